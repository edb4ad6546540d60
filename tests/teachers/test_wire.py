"""Reading a chat completion: whatever shape a server gives it, or a reason why it is none."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.rows import ENDED
from distill.teachers.finish import FINISHED
from distill.teachers.wire import MalformedReply, Reply, parse


def reply(finish: Any = "stop", **message: Any) -> Reply:
    whole = {"choices": [{"message": message, "finish_reason": finish}]}
    return parse(orjson.dumps(whole))


@pytest.mark.parametrize("said", [*ENDED, "EOS_Token", " end_turn "])
def test_every_word_for_an_answers_end_is_stop(said: str) -> None:
    assert reply(said, content="x").finish_reason == "stop"
    assert "stop" in FINISHED


@pytest.mark.parametrize(
    "said", ["length", "content_filter", "tool_calls", "banana", "", "x" * 999]
)
def test_any_other_finish_reason_is_kept_as_the_server_said_it(said: str) -> None:
    assert reply(said, content="x").finish_reason == said


@pytest.mark.parametrize("said", [None, 1, ["stop"]])
def test_no_finish_reason_is_unknown(said: Any) -> None:
    assert reply(said, content="x").finish_reason == "unknown"


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "2 and "}]}
PARTS = [
    ([{"type": "text", "text": "It is "}, {"type": "text", "text": "4."}], "", "It is 4."),
    ([THOUGHT, {"type": "text", "text": "4"}], "2 and", "4"),
    (
        [THOUGHT, {"type": "thinking", "thinking": "2"}, {"type": "text", "text": "4"}],
        "2 and 2",
        "4",
    ),
    ([{"type": "reasoning", "text": "so"}, {"type": "text", "text": "4"}], "so", "4"),
    ([{"type": "text", "text": "<think>so"}, {"type": "text", "text": "</think>4"}], "so", "4"),
    (["plain ", "strings"], "", "plain strings"),
    ([{"type": "image_url", "image_url": "x"}, {"type": "text", "text": "4"}], "", "4"),
    ([], "", ""),
    ([None, 3, {"type": ["text"]}, {"type": "thinking"}, {"text": 5}], "", ""),
]


@pytest.mark.parametrize(("content", "reasoning", "response"), PARTS)
def test_a_content_in_parts_is_joined(content: list[Any], reasoning: str, response: str) -> None:
    found = reply(content=content)
    assert (found.reasoning, found.response, found.finish_reason) == (reasoning, response, "stop")


def test_a_thought_part_beside_another_thought_is_two_thoughts() -> None:
    same = reply(content=[THOUGHT, {"type": "text", "text": "4"}], reasoning="2 and")
    other = reply(content=[THOUGHT, {"type": "text", "text": "4"}], reasoning="else")
    assert (same.reasoning, same.finish_reason) == ("2 and", "stop")
    assert other.finish_reason == "two_thoughts"


def refused(body: bytes) -> str:
    with pytest.raises(MalformedReply) as caught:
        parse(body)
    return str(caught.value)


BROKEN = [
    orjson.dumps({"error": {"message": "x" * 5000}}),
    orjson.dumps({"id": "y" * 5000, "error": "overloaded"}),
    orjson.dumps(["x" * 5000]),
    b"\x00" * 5000,
    b"<html>" * 5000,
]


@pytest.mark.parametrize("body", BROKEN)
def test_a_body_that_is_no_completion_is_echoed_in_200_characters_at_most(body: bytes) -> None:
    assert len(refused(body)) <= 200


def test_an_error_in_a_200_is_said_in_the_servers_words() -> None:
    assert "overloaded" in refused(BROKEN[1])
    assert "x" * 150 in refused(BROKEN[0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["stop", "text", "thinking"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "content", "reasoning", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(message=st.dictionaries(st.sampled_from(["content", "reasoning", "thinking"]), JSON))
def test_any_message_becomes_two_texts(message: dict[str, Any]) -> None:
    found = reply(**message)
    assert isinstance(found.reasoning, str)
    assert isinstance(found.response, str)


def test_half_an_emoji_and_nan_are_read_since_they_were_paid_for() -> None:
    body = (
        b'{"choices": [{"message": {"content": "so \\ud83d \\boxed{4}"}, '
        b'"finish_reason": "length", "logprobs": NaN}]}'
    ).replace(b"\\boxed", b"\\\\boxed")
    reply = parse(body)
    assert reply.response == "so ? \\boxed{4}"
    assert reply.finish_reason == "length"
