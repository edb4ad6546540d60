"""Bodies that a real server sent: SmolLM2-135M under llama.cpp, an answer cut at twelve tokens."""

from pathlib import Path

from distill.teachers.continuing import joined, turn_to_continue
from distill.teachers.wire import parse

RECORDED = Path(__file__).parent / "wire" / "recorded"
CUT = (RECORDED / "llamacpp-cut.json").read_bytes()
WHOLE = (RECORDED / "llamacpp-whole.json").read_bytes()  # the beginning was sent, and comes back


def test_a_thought_that_was_cut_is_all_thought() -> None:
    reply = parse(CUT)
    assert reply.finish_reason == "length"
    assert reply.reasoning
    assert reply.response == ""


def test_the_rest_is_asked_for_with_the_beginning_as_the_last_turn() -> None:
    turn, switches = turn_to_continue([CUT], "assistant_turn")
    assert turn == {"role": "assistant", "content": parse(CUT).texts[1]}
    assert switches == {}


def test_a_beginning_that_comes_back_with_the_rest_is_there_once() -> None:
    reply = joined([CUT, WHOLE])
    assert (reply.reasoning, reply.response) == (parse(WHOLE).reasoning, parse(WHOLE).response)
    assert reply.reasoning.startswith(parse(CUT).reasoning)
    assert reply.finish_reason == "stop"
    first, rest = parse(CUT).completion_tokens, parse(WHOLE).completion_tokens
    assert first is not None
    assert rest is not None
    assert reply.completion_tokens == first + rest
