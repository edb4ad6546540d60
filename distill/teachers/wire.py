"""The one place where a chat completion becomes (reasoning, response). Knows no HTTP.

Servers put the thinking in ``reasoning_content`` (DeepSeek, SGLang, llama.cpp), ``reasoning``
(vLLM, OpenRouter), ``thinking`` (Ollama), or inline in ``<think>`` tags, with or without the
opening one.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from distill.think import split_think

FIELDS = ("reasoning", "reasoning_content", "thinking")
# What a server may say when it stopped by itself; anything else is kept, and is no success.
FINISHED = ("stop", "length", "content_filter")


class MalformedReply(ValueError):
    """A 200 whose body is no completion; worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a teacher."""

    reasoning: str
    response: str
    finish_reason: str  # as the server said; "unknown" if it said nothing
    model: str | None  # as the server reported it
    prompt_tokens: int | None
    cached_tokens: int | None  # of prompt_tokens, those billed as cached
    reasoning_tokens: int | None
    completion_tokens: int | None


def parse(body: bytes) -> Reply:
    """The reply in the body of a 200.

    Two different thoughts in one message get the finish reason "two_thoughts", which is no success.

    Raises:
        MalformedReply: HTML, cut or empty JSON, an error object, no choices.
    """
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        msg = f"not JSON: {body[:80]!r}"
        raise MalformedReply(msg) from None
    if not isinstance(whole, dict) or whole.get("error"):
        msg = f"an error in a 200: {str(whole)[:200]}"
        raise MalformedReply(msg)
    choices = whole.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        msg = "no choices in it"
        raise MalformedReply(msg)
    message = choices[0].get("message")
    if not isinstance(message, dict):
        msg = "no message in it"
        raise MalformedReply(msg)
    return _reply(whole, choices[0], message)


def _text(block: dict[str, Any], name: str) -> str:
    value = block.get(name)
    return value.strip() if isinstance(value, str) else ""


def _reply(whole: dict[str, Any], choice: dict[str, Any], message: dict[str, Any]) -> Reply:
    said = list(dict.fromkeys(filter(None, (_text(message, name) for name in FIELDS))))
    content = _text(message, "content")
    reasoning, response = (said[0], content) if said else split_think(content)
    finish = "two_thoughts" if len(said) > 1 else choice.get("finish_reason")
    model, usage = whole.get("model"), whole.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    of_prompt = usage.get("prompt_tokens_details")
    of_answer = usage.get("completion_tokens_details")
    cached = _count(of_prompt, "cached_tokens")
    return Reply(
        reasoning=reasoning,
        response=response,
        finish_reason=finish if isinstance(finish, str) else "unknown",
        model=model if isinstance(model, str) else None,
        prompt_tokens=_count(usage, "prompt_tokens"),
        cached_tokens=_count(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning_tokens=_count(of_answer, "reasoning_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def _count(block: Any, name: str) -> int | None:
    value = block.get(name) if isinstance(block, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**32 else None
