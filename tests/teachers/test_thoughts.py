"""Wherever a server puts the thought, it is read, and once: whole or as an event stream."""

from typing import Any

import orjson
import pytest

from distill.teachers.wire import Reply, parse

Message = dict[str, Any]
T = "7 times 8 is 56,\n\nand 1 is 57."
A = "It is 57."
TEXT = {"type": "text", "text": A}
SIGNED = {"type": "thinking", "thinking": T, "signature": "EqoBCkgIARABGAIiQL2"}
DETAIL = {"type": "reasoning.text", "text": T, "format": "anthropic-claude-v1", "index": 0}
SECRET = {"type": "reasoning.encrypted", "data": "gAAAAABl", "format": "openai-responses-v1"}
SUMMARY = {"type": "reasoning.summary", "summary": T, "format": "openai-responses-v1"}

# where it is: the message as the vendor's documentation or its client's tests show it
SHAPES: dict[str, Message] = {
    "DeepSeek": {"content": A, "reasoning_content": T},
    "vLLM 0.11": {"content": A, "reasoning": T, "reasoning_content": T},
    "OpenRouter": {"content": A, "reasoning": T, "reasoning_details": [DETAIL]},
    "OpenRouter, details alone": {"content": A, "reasoning_details": [DETAIL]},
    "OpenRouter, in pieces": {
        "content": A,
        "reasoning": None,
        "reasoning_details": [{**DETAIL, "text": T[:9]}, {**DETAIL, "text": T[9:]}, SECRET],
    },
    "OpenRouter, a summary": {"content": A, "reasoning_details": [SUMMARY, SECRET]},
    "OpenRouter, text and summary": {
        "content": A,
        "reasoning_details": [{**SUMMARY, "summary": "I multiply."}, DETAIL],
    },
    "OpenRouter, a field cut short": {
        "content": A,
        "reasoning": T[:12],
        "reasoning_details": [DETAIL],
    },
    "LiteLLM": {"content": A, "reasoning_content": T, "thinking_blocks": [SIGNED]},
    "LiteLLM, blocks alone": {"content": A, "thinking_blocks": [SIGNED]},
    "LiteLLM, its own fields": {
        "content": A,
        "provider_specific_fields": {"thinking_blocks": [SIGNED], "citations": None},
    },
    "Copilot": {"content": A, "reasoning_text": T, "reasoning_opaque": "x"},
    "an object": {"content": A, "reasoning": {"content": T}},
    "an object's text": {"content": A, "reasoning": {"type": "x", "text": T}},
    "an object's summary": {"content": A, "reasoning": {"effort": "high", "summary": T}},
    "the responses API's": {
        "content": A,
        "reasoning": {"id": "rs_1", "summary": [{"type": "summary_text", "text": T}]},
    },
    "all at once": {
        "content": f"<think>\n{T}\n</think>\n\n{A}",
        "reasoning": T,
        "reasoning_content": T,
        "reasoning_details": [DETAIL],
        "thinking_blocks": [SIGNED],
    },
    "in its field and in tags": {"content": f"<think>{T}</think>{A}", "reasoning_content": T},
    "in tags with other line breaks": {
        "content": f"<think>\n{T.replace(chr(10), ' ')}\n</think>{A}",
        "reasoning_content": T,
    },
    "in its field, the closing tag left": {"content": f"</think>\n\n{A}", "reasoning": T},
    "in its field, empty tags left": {"content": f"<think>\n\n</think>\n\n{A}", "reasoning": T},
    "in Magistral's tags": {"content": f"[THINK]{T}[/THINK]{A}", "reasoning_content": T},
    "Mistral": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": T}]}, TEXT],
    },
    "Anthropic": {"content": [SIGNED, {"type": "redacted_thinking", "data": "x"}, TEXT]},
    "Gemini": {"content": [{"text": T, "thought": True}, {"text": A}]},
    "Bedrock": {
        "content": [{"reasoningContent": {"reasoningText": {"text": T, "signature": "x"}}}, TEXT],
    },
    "a part's value": {"content": [{"type": "text", "text": {"value": A}}], "reasoning": T},
    "a part's content": {"content": [{"type": "text", "content": A}], "reasoning": T},
    "one part": {"content": TEXT, "reasoning_content": T},
    "beside a switch": {"content": A, "reasoning": "high", "reasoning_content": T},
    "Bedrock through LiteLLM": {
        "content": A,
        "provider_specific_fields": {"reasoningContentBlocks": [{"reasoningText": {"text": T}}]},
    },
    "a summary in its field": {"content": A, "reasoning_summary": T},
    "thoughts": {"content": A, "thoughts": T},
    "in camels": {"content": A, "reasoningContent": T},
    "a refusal": {"content": None, "refusal": A, "reasoning": T},
    "a refusal in parts": {"content": [{"type": "refusal", "refusal": A}], "reasoning": T},
    "parts of both": {"content": [{"type": "reasoning_text", "text": T}, TEXT], "reasoning": T},
}  # fmt: skip


def whole(message: Message, finish: str = "stop") -> Reply:
    return parse(orjson.dumps({"choices": [{"message": message, "finish_reason": finish}]}))


def streamed(message: Message) -> Reply:
    """Each field cut in two, as deltas; lists part by part."""
    deltas: list[Message] = [{"role": "assistant", "content": ""}]
    order = sorted(message, key=lambda name: name == "content")  # the answer comes last
    for name in order:
        value = message[name]
        pieces = [value[:5], value[5:]] if isinstance(value, str) else [value]
        if isinstance(value, list):
            pieces = [[part] for part in value]
        deltas += [{name: piece} for piece in pieces]
    events: list[Any] = [{"choices": [{"delta": delta}]} for delta in deltas]
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    text = "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events)
    return parse(f": PROCESSING\n\n{text}data: [DONE]\n\n".encode())


@pytest.mark.parametrize("how", [whole, streamed])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_thought_is_there_once_and_the_answer_without_it(shape: str, how: Any) -> None:
    reply = how(SHAPES[shape])
    assert " ".join(reply.reasoning.split()) == " ".join(T.split())
    assert (reply.response, reply.finish_reason) == (A, "stop")
    assert len("".join(reply.texts)) < 1.2 * len(T + A)  # and is counted once


TAGGED: dict[str, Message] = {
    "in its field, with its tags": {"content": A, "reasoning_content": f"<think>\n{T}\n</think>\n"},
    "in its field, with the closing tag": {"content": A, "reasoning": f"{T}\n</think>"},
    "in its field, with the opening tag": {"content": A, "reasoning": f"<think>{T}"},
    "in its field, with the answer": {"content": A, "reasoning": f"<think>{T}</think>\n{A}"},
    "Seed's tags": {"content": f"<seed:think>{T}</seed:think>{A}"},
    "Cohere's tags": {"content": f"<|START_THINKING|>{T}<|END_THINKING|>{A}"},
}


@pytest.mark.parametrize("how", [whole, streamed])
@pytest.mark.parametrize("shape", TAGGED)
def test_a_thought_is_kept_without_its_tags(shape: str, how: Any) -> None:
    reply = how(TAGGED[shape])
    assert (reply.reasoning, reply.response) == (T, A)


def test_a_choice_may_hold_the_thought_itself_or_be_a_text() -> None:
    for message in ({"message": {"content": A}}, {"message": A}, {"text": A}):
        choice = {**message, "reasoning_content": T, "finish_reason": "stop"}
        reply = parse(orjson.dumps({"choices": [choice]}))
        assert (reply.reasoning, reply.response) == (T, A)


def test_two_different_thoughts_are_not_taken_for_one() -> None:
    reply = whole({"content": A, "reasoning": T, "reasoning_content": "something else"})
    assert reply.finish_reason == "two_thoughts"


# messages whose content must stay as it is
KEPT: dict[str, Message] = {
    "about the tag": {"content": "<think> is a tag of R1.", "reasoning": "What is it?"},
    "a tag is closed in it": {"content": "Write </think> at its end.", "reasoning": "Which tag?"},
    "a thought about a tag": {"content": "4", "reasoning": "<think> and </think> are R1's."},
    "another thought in tags": {"content": "<think>no</think>4", "reasoning": "What is it?"},
}


@pytest.mark.parametrize("name", KEPT)
def test_an_answer_that_speaks_of_tags_stays_whole(name: str) -> None:
    reply = whole(KEPT[name])
    assert (reply.reasoning, reply.response) == (KEPT[name]["reasoning"], KEPT[name]["content"])


EMPTY = [
    {"reasoning": "off"},
    {"reasoning_details": [SECRET]},
    {"reasoning": {"enabled": True}},
    {"thinking_blocks": []},
]


@pytest.mark.parametrize("nothing", EMPTY)
def test_what_has_no_text_is_no_thought(nothing: Message) -> None:
    reply = whole({"content": A, **nothing})
    assert (reply.reasoning, reply.response) == ("", A)


def test_a_choice_may_hold_the_thoughts_list() -> None:
    choice = {"message": {"content": A}, "reasoning_details": [DETAIL], "finish_reason": "stop"}
    reply = parse(orjson.dumps({"choices": [choice]}))
    assert (reply.reasoning, reply.response) == (T, A)


def test_what_is_nested_without_end_is_no_thought() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"content": [deep]}
    assert whole({"content": A, "reasoning": deep}).reasoning == ""


def test_a_stream_of_magistrals_shape_is_read() -> None:
    """As in a public report of one, the words changed."""
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "So "}]}
    more = {"type": "thinking", "thinking": [{"type": "text", "text": "57."}], "closed": True}
    contents: list[Any] = ["", "", [part], [more], "It is ", "57."]
    events = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in contents]
    events.append({"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]})
    text = "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events)
    reply = parse(f"{text}data: [DONE]\n\n".encode())
    assert (reply.reasoning, reply.response) == ("So 57.", "It is 57.")
