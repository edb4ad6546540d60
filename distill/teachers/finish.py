"""What a server's word for the end of an answer means: the one table of them.

Sources, by vendor: OpenAI (chat: stop, length, content_filter; responses: max_output_tokens),
Anthropic and Bedrock (end_turn, max_tokens, model_context_window_exceeded, refusal,
guardrail_intervened), Gemini and Vertex (STOP, MAX_TOKENS, SAFETY, RECITATION, BLOCKLIST,
PROHIBITED_CONTENT, SPII, LANGUAGE, as names of an enum: FINISH_REASON_STOP, FinishReason.STOP),
Mistral (model_length, error), Cohere (COMPLETE, ERROR_LIMIT, ERROR_TOXIC, USER_CANCEL), DeepSeek
(insufficient_system_resource), GLM (sensitive, network_error), watsonx (token_limit, time_limit,
cancelled), OpenRouter (error), vLLM and SGLang (abort; SGLang's own API: {"type": "length"}), TGI
(eos_token), llama.cpp (eos, limit), Ollama (load), Aleph Alpha (maximum_tokens).
"""

import re
from typing import Any, Final

from distill.rows import ENDED

STOP, LENGTH, FILTERED = "stop", "length", "content_filter"
# What an answer may end with and count; anything else is kept, and is not a success.
FINISHED: Final = (STOP, LENGTH, FILTERED)
UNKNOWN = "unknown"  # there was no word
_ENDED = (
    *(*ENDED, "complete", "completed", "end_of_text", "endoftext", "stop_token", "normal", "end"),
    *("stop_string", "stop_str", "stop_word", "stop_token_ids", "eos_found", "finished", "natural"),
    *("success", "finish", "finished_stopped", "hit_eos", "normal_stop"),
)
_LIMIT = (
    *("length", "limit", "truncated", "max_tokens", "max_output_tokens", "max_new_tokens"),
    *("max_length", "length_limit", "token_limit", "maximum_tokens", "model_length", "error_limit"),
    *("model_context_window_exceeded", "context_length_exceeded", "context_length", "max_context"),
    *("max_len", "max_seq_len", "content_length", "length_finish", "num_predict", "n_predict"),
    *("limit_reached", "hit_limit", "cut_off", "too_long", "incomplete"),
)
_FILTER = (
    *("content_filter", "content_filtered", "safety", "image_safety", "recitation", "blocklist"),
    *("prohibited_content", "spii", "language", "guardrail_intervened", "refusal", "sensitive"),
    *("error_toxic", "blocked", "model_armor", "refused", "declined"),
)
_BROKEN = (
    *("error", "abort", "aborted", "insufficient_system_resource", "network_error", "timeout"),
    *("time_limit", "cancelled", "user_cancel", "load", "unload", "busy", "internal", "oom"),
    "lost",
)
BROKEN = "broken"
MEANING: Final = {
    word: meaning
    for meaning, words in (
        *((STOP, _ENDED), (LENGTH, _LIMIT), (FILTERED, _FILTER)),
        (BROKEN, _BROKEN),
    )
    for word in words
}
# Words that no list has yet, by what they are made of; the first that fits.
_LIKE = (
    (BROKEN, re.compile("rate_limit|quota")),
    (
        LENGTH,
        re.compile(
            "(?=.*(max|limit|exceed|reach|trunc|full|cap|out_of|exhaust))"
            "(?=.*(token|length|context|output|cache|predict))"
        ),
    ),
    (
        FILTERED,
        re.compile(
            "safety|filter|moderat|prohibit|guardrail|toxic|policy|censor|blocked|blacklist|flagged"
            "|risk|unsafe|violation|harm|inappropriate|inspection|recitation|copyright|jailbreak"
        ),
    ),
    (
        BROKEN,
        re.compile(
            "error|abort|cancel|fail|timed?_?out|deadline|overload|insufficient|unavailable|crash|exception"
            "|disconnect|interrupt|kill|preempt|reset|shutdown|unexpected_e"
            "|connection|client_closed|evict|out_of_memory|resource_exhausted|_died|expired"
        ),
    ),
    # the model's own sign for the end, or what a list of such signs is called
    (
        STOP,
        re.compile(
            r"^(eos|eot|eod|eog|end_token)(_|$)|^stop_(token|word|str|seq|criteri|condition)"
            r"|^end_of_(turn|text|seq|sentence|message|generation|response)|^</?[^<> ]+>$"
        ),
    ),
)
_ENUM = re.compile(r"^(finish|stop)_?reason(_?type)?[._]+")
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])|[\s-]+")
MOST_CHARS = 64  # of a word; what is longer is none


def finish_of(reason: Any) -> str:
    """``stop``, ``length`` or ``content_filter`` for what means that; else as the server said it.

    >>> [finish_of(said) for said in ("MAX_TOKENS", "eos", "SAFETY", "tool_calls", None)]
    ['length', 'stop', 'content_filter', 'tool_calls', 'unknown']
    """
    if isinstance(reason, dict):
        reason = reason.get("type")
    if not isinstance(reason, str):
        return UNKNOWN
    found = _meaning(reason)
    return found if found in FINISHED else reason


def is_broken(finish: str) -> bool:
    """Whether the server gave up on the answer: what it sent is a fragment, worth another try."""
    return finish not in FINISHED and _meaning(finish) == BROKEN


def _meaning(word: str) -> str | None:
    if (found := MEANING.get(word)) is not None or len(word) > MOST_CHARS:
        return found
    folded = _ENUM.sub("", _JOINT.sub("_", word.strip()).lower())
    if (found := MEANING.get(folded)) is not None:
        return found
    return next((meaning for meaning, like in _LIKE if like.search(folded)), None)
