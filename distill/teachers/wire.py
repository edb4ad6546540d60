"""The one place where a chat completion becomes (reasoning, response). Knows no HTTP.

Servers put the thinking in ``reasoning_content`` (DeepSeek, SGLang, llama.cpp), ``reasoning``
(vLLM, OpenRouter), ``thinking`` (Ollama), or inline in ``<think>`` tags, with or without the
opening one; or in parts of the content (Mistral).
"""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from distill.rows import ENDED
from distill.teachers.refusal import server_said
from distill.think import split_think

FIELDS = ("reasoning", "reasoning_content", "thinking")
THOUGHT_PARTS = ("thinking", "reasoning")  # the types of a content's parts that are no answer
# What ``parse`` says of an answer that a server ended; anything else is kept, and is no success.
FINISHED = ("stop", "length", "content_filter")
SHOWN_CHARS = 200  # of a body that is no completion


class MalformedReply(ValueError):
    """A 200 whose body is no completion; worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a teacher."""

    reasoning: str
    response: str
    finish_reason: str  # "stop" for whatever is in ENDED, else as the server said; or "unknown"
    model: str | None  # as the server reported it
    prompt_tokens: int | None
    cached_tokens: int | None  # of prompt_tokens, those billed as cached
    reasoning_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None = None  # what the server says that it charged (OpenRouter)


def parse(body: bytes) -> Reply:
    """The reply in the body of a 200.

    Servers have several words for an answer that came to its end (``rows.ENDED``: eos_token,
    end_turn, …); the finish reason of all of them is "stop", which is what rules ask for. Two
    different thoughts in one message get the finish reason "two_thoughts", which is no success.

    Raises:
        MalformedReply: HTML, cut or empty JSON, an error object, no choices.
    """
    whole, choice, message = _opened(body)
    return _reply(whole, choice, message)


def texts(body: bytes) -> tuple[str, str]:
    """(thinking, content) of a completion as the server sent them: not stripped, not split.

    Raises:
        MalformedReply: as ``parse``.
    """
    message = _opened(body)[2]
    thought, content = _content(message)
    said = (thought, *(_joined(message.get(name)) for name in FIELDS))
    return next(filter(None, said), ""), content


def _opened(body: bytes) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(the whole, its first choice, that choice's message)."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        whole = _lenient(body)
    if not isinstance(whole, dict) or whole.get("error"):
        msg = f"an error in a 200: {server_said(200, body)}"[:SHOWN_CHARS]
        raise MalformedReply(msg)
    choices = whole.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        msg = "no choices in it"
        raise MalformedReply(msg)
    message = choices[0].get("message")
    if not isinstance(message, dict):
        msg = "no message in it"
        raise MalformedReply(msg)
    return whole, choices[0], message


def _lenient(body: bytes) -> Any:
    """What Python's own parser still reads: half an emoji (becomes "?"), NaN. It was paid for."""
    try:
        value = json.loads(body.decode("utf-8", "replace"), parse_constant=lambda _: None)
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        msg = f"not JSON: {body[:80]!r}"[:SHOWN_CHARS]
        raise MalformedReply(msg) from None


def _text(block: dict[str, Any], name: str) -> str:
    return _joined(block.get(name)).strip()


def _joined(value: Any) -> str:
    """A string as it is; of a list of parts the text, one after the other; else nothing."""
    if isinstance(value, list):
        texts = (part.get("text") if isinstance(part, dict) else part for part in value)
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """(thinking, text) of the content: a string, or parts such as {type: text, text: …}.

    Mistral's thinking part is {type: thinking, thinking: [{type: text, text: …}]}.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return "", _joined(content)
    thought, rest = "", []
    for part in content:
        if isinstance(part, dict) and part.get("type") in THOUGHT_PARTS:
            thought += _joined(part.get(part["type"]) or part.get("text"))
        else:
            rest.append(part)
    return thought, _joined(rest)


def _reply(whole: dict[str, Any], choice: dict[str, Any], message: dict[str, Any]) -> Reply:
    thought, content = (text.strip() for text in _content(message))
    fields = (thought, *(_text(message, name) for name in FIELDS))
    said = list(dict.fromkeys(filter(None, fields)))
    reasoning, response = (said[0], content) if said else split_think(content)
    finish = "two_thoughts" if len(said) > 1 else _finish(choice.get("finish_reason"))
    model, usage = whole.get("model"), whole.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    of_prompt = usage.get("prompt_tokens_details")
    of_answer = usage.get("completion_tokens_details")
    cached = _count(of_prompt, "cached_tokens")
    thought_tokens = _count(of_answer, "reasoning_tokens")
    return Reply(
        reasoning=reasoning,
        response=response,
        finish_reason=finish,
        model=model if isinstance(model, str) else None,
        prompt_tokens=_count(usage, "prompt_tokens"),
        cached_tokens=_count(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning_tokens=(  # SGLang counts them beside the details
            _count(usage, "reasoning_tokens") if thought_tokens is None else thought_tokens
        ),
        completion_tokens=_count(usage, "completion_tokens"),
        cost_usd=_usd(usage.get("cost")),
    )


def _finish(reason: Any) -> str:
    if not isinstance(reason, str):
        return "unknown"
    return "stop" if reason.strip().lower() in ENDED else reason


def _count(block: Any, name: str) -> int | None:
    value = block.get(name) if isinstance(block, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**32 else None


def _usd(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**32
    return float(value) if known else None
