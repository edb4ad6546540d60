"""Going on with a cut answer: the turn that asks for the rest, and the parts joined again."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distill.teachers.continuing import ECHO_CHARS, joined, turn_to_continue
from distill.teachers.wire import Reply, parse
from distill.think import CLOSE, OPEN
from tests.builders.teacher_server import completion

NAMES = ("reasoning_content", "reasoning", "thinking")
# Tags and their pieces are as likely as any letter; a lone surrogate is no JSON.
ANY = st.lists(st.sampled_from([OPEN, CLOSE, "<", "/", "think>", "a", "é", " ", "\n"]) | st.text())
TEXTS = ANY.map("".join)
# Where the server has separated the two, a tag in a text is the teacher's own word: it cannot be
# told from one that the server left in.
PLAIN = st.text().filter(lambda text: OPEN not in text and CLOSE not in text)
SAID = PLAIN.filter(bool)


def body(content: str, thought: str | None = None, name: str = NAMES[0], **values: Any) -> bytes:
    message = {} if thought is None else {name: thought}
    return json.dumps(completion(content, message=message, **values)).encode()


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut at those places, as far as they lie in it."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)] or [""]


def bare(text: str) -> str:
    return text.strip().removeprefix(OPEN).strip()


def echo(parts: list[str]) -> bool:
    """Whether a part begins with all that was said before it: it is then taken for the whole."""
    return any(
        len(before := bare("".join(parts[:i]))) >= ECHO_CHARS and bare(parts[i]).startswith(before)
        for i in range(1, len(parts))
    )


def said(reply: Reply) -> tuple[str, str]:
    return reply.reasoning, reply.response


CUTS = st.lists(st.integers(0, 10_000), max_size=5)


@given(text=TEXTS, cuts=CUTS)
def test_an_inline_answer_is_the_same_wherever_it_was_cut(text: str, cuts: list[int]) -> None:
    """With and without an opening tag, and with the cut within a tag."""
    parts = pieces(text, cuts)
    assume(not echo(parts))
    assert said(joined([body(part) for part in parts])) == said(parse(body(text)))


@given(thought=SAID, response=PLAIN, cuts=CUTS, opened=st.booleans())
def test_an_inline_thought_that_was_cut_is_whole(
    thought: str, response: str, cuts: list[int], opened: bool
) -> None:
    text = (OPEN if opened else "") + thought + CLOSE + response
    parts = pieces(text, cuts)
    assume(not echo(parts))
    whole = joined([body(part) for part in parts])
    assert said(whole) == (thought.strip(), response.strip())


@given(
    thought=SAID,
    response=PLAIN,
    thought_cuts=CUTS,
    response_cuts=CUTS,
    name=st.sampled_from(NAMES),
    as_thought=st.booleans(),
)
def test_a_separated_answer_is_the_same_wherever_it_was_cut(
    thought: str,
    response: str,
    thought_cuts: list[int],
    response_cuts: list[int],
    name: str,
    as_thought: bool,
) -> None:
    """Not cut between its thought and its response: then what comes next may be either.

    Some servers that separate take what goes on with a response for thought (``as_thought``).
    """
    assume(not echo(pieces(thought, thought_cuts)))
    *before, last = pieces(thought, thought_cuts)
    first, *after = pieces(response, response_cuts)
    assume(not any(echo([thought, piece]) for piece in after))
    if not response:
        first = "."  # the thought has ended, so something followed it
    parts = [
        *(body("", piece, name) for piece in before),
        body(first, last, name),
        *(body("", piece, name) if as_thought else body(piece) for piece in after),
    ]
    assert said(joined(parts)) == (thought.strip(), (first + "".join(after)).strip())


@given(thought=SAID, response=PLAIN, cuts=CUTS, name=st.sampled_from(NAMES))
def test_a_thought_whose_rest_comes_inline_is_whole(
    thought: str, response: str, cuts: list[int], name: str
) -> None:
    """The server separates what begins with a tag, and leaves as it is what goes on."""
    at = max(1, len(thought) // 2)
    rest = pieces(thought[at:] + CLOSE + response, cuts)
    parts = [body("", thought[:at], name), *map(body, rest)]
    assert said(joined(parts)) == (thought.strip(), response.strip())


def test_a_thought_that_was_cut_and_never_ended_has_no_response() -> None:
    for parts in ([body(f"{OPEN}one"), body(" two")], [body("", "one"), body("", " two")]):
        assert said(joined(parts)) == ("one two", "")


@given(
    thought=PLAIN,
    response=PLAIN,
    cut=st.integers(0, 10_000),
    name=st.none() | st.sampled_from(NAMES),
)
def test_a_server_that_says_all_again_is_taken_at_its_word(
    thought: str, response: str, cut: int, name: str | None
) -> None:
    """llama.cpp's answer to an answer that was cut is the whole, not the rest."""
    start = "Let me see."
    begun, thought = start + thought[: cut % (len(thought) + 1)], start + thought
    if name is None:
        parts = [body(OPEN + begun), body(OPEN + thought + CLOSE + response)]
    else:
        parts = [body("", begun, name), body(response, thought, name)]
    assert said(joined(parts)) == (thought.strip(), response.strip())


COUNT = st.none() | st.integers(0, 9_999)


@given(counts=st.lists(st.tuples(COUNT, COUNT), min_size=2, max_size=4))
def test_tokens_are_sums_and_unknown_where_one_is_unknown(
    counts: list[tuple[int | None, int | None]],
) -> None:
    usage = [{"prompt_tokens": p, "completion_tokens": c} for p, c in counts]
    whole = joined([body("a", usage=used) for used in usage])
    prompts, answers = zip(*counts, strict=True)
    for total, known in ((whole.prompt_tokens, prompts), (whole.completion_tokens, answers)):
        assert total == (None if None in known else sum(n for n in known if n is not None))


def test_the_last_part_says_how_it_ended_and_who_answered() -> None:
    parts = [body("a", finish_reason="length"), body("b", model="newer", finish_reason="stop")]
    whole = joined(parts)
    assert (whole.response, whole.finish_reason, whole.model) == ("ab", "stop", "newer")
    assert joined([*parts, body("c", finish_reason="length")]).finish_reason == "length"


@given(text=TEXTS)
def test_one_part_is_read_as_any_answer_is(text: str) -> None:
    assert joined([body(text)]) == parse(body(text))


# (what was cut, the turn that each kind of endpoint is asked with)
CUT = {
    "in the thought": (body(f"{OPEN}\nso fa"), "so fa", None),
    "before the thought": (body(f"{OPEN}\n"), "", None),
    "in a thought of its own field": (body("", "so fa"), "so fa", None),
    "in the response": (body(f"{OPEN}\nso\n{CLOSE}\n\nIt is \\bo"), "so\n", "\n\nIt is \\bo"),
    "in a response of its own field": (body("It is \\bo", "so"), "so", "It is \\bo"),
    "without a thought": (body("It is \\bo"), "", "It is \\bo"),
}


@pytest.mark.parametrize("where", CUT)
def test_the_last_turn_is_the_cut_answer_as_the_model_wrote_it(where: str) -> None:
    cut, thought, response = CUT[where]
    text = f"{OPEN}\n{thought}" if thought or response is None else ""
    if response is not None:
        text += (CLOSE if thought else "") + response
    turn, switches = turn_to_continue([cut], "assistant_turn")
    assert (turn, switches) == ({"role": "assistant", "content": text}, {})
    again, switches = turn_to_continue([cut], "continue_final_message")
    assert again == turn
    assert switches == {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize("where", CUT)
def test_deepseek_is_told_thought_and_response_apart(where: str) -> None:
    cut, thought, response = CUT[where]
    turn, switches = turn_to_continue([cut], "deepseek_prefix")
    assert switches == {}
    assert turn.pop("reasoning_content").strip() == thought.strip()
    assert turn == {"role": "assistant", "content": response or "", "prefix": True}


@given(thought=SAID.filter(str.strip), response=PLAIN, cut=st.integers(0, 10_000))
def test_what_is_gone_on_with_is_all_that_was_said(thought: str, response: str, cut: int) -> None:
    """The turn and the rest are together what would have been said at once."""
    text = OPEN + thought + CLOSE + response
    at = len(OPEN) + cut % (len(text) - len(OPEN) + 1)
    turn, _ = turn_to_continue([body(text[:at])], "assistant_turn")
    whole = turn["content"] + text[at:]
    assert said(parse(body(whole))) == said(parse(body(text)))
