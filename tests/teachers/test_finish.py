"""Whatever word a server has for it, an answer that ended, was cut or broke off is one of these."""

from typing import Any

import orjson
import pytest

from distill.teachers.finish import MEANING, finish_of, is_broken
from distill.teachers.wire import MalformedReply, parse

CUT = [
    "length", "max_tokens", "MAX_TOKENS", "FINISH_REASON_MAX_TOKENS", "FinishReason.MAX_TOKENS",
    "FinishReasonType.length", "model_length", "max_output_tokens", "maxTokens", "length_limit",
    "Length", "token_limit", "ERROR_LIMIT", "model_context_window_exceeded", "limit",
    "max_completion_tokens", "MAX-TOKENS", "out_of_tokens", "TokenLimitReached", "context_full",
    "context_window_reached", "TRUNCATED", "context_length", "max_len", "MAX_SEQ_LEN",
    "limit_reached", "cut_off", "incomplete", "num_predict", "too_long",
    {"type": "length", "length": 100},
]  # fmt: skip
FILTERED = [
    "content_filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "contentFilter", "refusal",
    "guardrail_intervened", "sensitive", "ERROR_TOXIC", "content_policy_violation", "blocked",
    "data_inspection_failed", "flagged", "risk_control", "IMAGE_RECITATION", "unsafe", "refused",
]  # fmt: skip
ENDED = [
    "stop", "STOP", "end_turn", "COMPLETE", "stop_sequence", "eos", "FinishReason.STOP", "EOS",
    "<|im_end|>", "</s>", "eos_token_id", "end_of_turn", "stop_words", "STOP_CRITERIA_TRIGGERED",
    "success", "FINISHED_STOPPED",
]  # fmt: skip
BROKEN = [
    "error", "ERROR", "abort", "aborted", "insufficient_system_resource", "network_error",
    "cancelled", "USER_CANCEL", "time_limit", "server-error", "provider_overloaded", "load",
    "token_rate_limit", "server_shutdown", "connection reset",
    "timed_out", "deadline_exceeded", "connection_refused", "evicted", "RESOURCE_EXHAUSTED", "busy",
    "stopped_by_error", "stop_timeout",
]  # fmt: skip
# words that say neither: kept as they are, and no success
OTHERS = [
    "tool_calls", "function_call", "pause_turn", "banana", "OTHER", "repetition", "", "☃",
    "end_of_context", "user_stop", "stopped",
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "means"), [(CUT, "length"), (FILTERED, "content_filter"), (ENDED, "stop")]
)
def test_a_word_of_any_vendor_is_stored_as_the_chat_apis_own(words: list[Any], means: str) -> None:
    assert {str(word): finish_of(word) for word in words} == {str(w): means for w in words}


def test_a_word_for_a_broken_answer_is_kept_and_known_as_one() -> None:
    assert [word for word in BROKEN if finish_of(word) != word or not is_broken(word)] == []


def test_any_other_word_is_kept_as_it_is_and_means_nothing() -> None:
    assert [word for word in OTHERS if finish_of(word) != word or is_broken(word)] == []
    none: list[Any] = [None, 2, [], {}, True]
    assert [finish_of(said) for said in none] == ["unknown"] * 5


def test_the_tables_words_are_written_as_they_are_compared() -> None:
    assert all(word == word.lower() and " " not in word for word in MEANING)


def body(choice: dict[str, Any], **more: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, **choice}], **more})


NO_MESSAGE: list[dict[str, Any]] = [{}, {"message": None}, {"delta": None}, {"text": None}]


@pytest.mark.parametrize("message", NO_MESSAGE)
@pytest.mark.parametrize(
    ("said", "means"), [("MAX_TOKENS", "length"), ("SAFETY", "content_filter")]
)
def test_a_choice_without_a_message_is_an_answer_without_a_text(
    message: dict[str, Any], said: str, means: str
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 109}
    reply = parse(body({"finish_reason": said, **message}, usage=usage))
    assert (reply.reasoning, reply.response, reply.finish_reason) == ("", "", means)
    assert reply.completion_tokens == 100  # Gemini counts its thoughts in the total alone


OTHER_NAMES = ["finishReason", "stop_reason", "native_finish_reason", "done_reason"]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_name_for_the_reason_is_read_where_the_usual_one_is_not(name: str) -> None:
    said = {"message": {"content": "4"}, "finish_reason": None, name: "max_tokens"}
    assert parse(body(said)).finish_reason == "length"
    # vLLM has both, and the second is the text that it stopped at
    both = {"message": {"content": "4"}, "finish_reason": "stop", "stop_reason": "max_tokens"}
    assert parse(body(both)).finish_reason == "stop"


def test_neither_a_message_nor_a_reason_is_no_answer() -> None:
    with pytest.raises(MalformedReply, match="no message in it"):
        parse(body({"message": None, "finish_reason": None}))


def test_a_streams_last_event_may_have_no_delta() -> None:
    events = [
        {"choices": [{"delta": {"role": "assistant", "content": "so"}, "finish_reason": None}]},
        {"choices": [{"finish_reason": "MAX_TOKENS"}]},
    ]
    text = "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events)
    reply = parse(f"{text}data: [DONE]\n\n".encode())
    assert (reply.response, reply.finish_reason) == ("so", "length")
