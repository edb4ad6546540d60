"""The one place where a chat completion becomes (reasoning, response).

Servers put the thinking in ``reasoning_content`` (DeepSeek, SGLang, llama.cpp), ``reasoning``
(vLLM, OpenRouter), ``thinking`` (Ollama), or inline in ``<think>`` tags, with or without the
opening one; or in parts of the content (Mistral).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from distill.rows import ENDED
from distill.teachers import lenient
from distill.teachers.refusal import server_said
from distill.think import split_think

FIELDS = ("reasoning", "reasoning_content", "thinking")
THOUGHT_PARTS = ("thinking", "reasoning")  # the types of a content's parts that are not the answer
# What ``parse`` says of an answer that a server ended; anything else is kept, and is not a success.
FINISHED = ("stop", "length", "content_filter")
SHOWN_CHARS = 200  # of a body that is not a completion
AN_ERROR = "an error in a 200"
# Stands for what is not a count: "many", -1, true, 1e400.
NO_COUNT = -1


class MalformedReply(ValueError):
    """A 200 whose body is not a completion; worth another try.

    ``holds`` says whether there may be an answer in it that we cannot read: not so in an error, a
    web page, an empty body, or JSON without a message.
    """

    def __init__(self, reason: str, *, holds: bool = False) -> None:
        super().__init__(reason)
        self.holds = holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a teacher."""

    reasoning: str
    response: str
    finish_reason: str  # "stop" for whatever is in ENDED, else as the server said; or "unknown"
    model: str | None  # as the server reported it
    prompt_tokens: int | None  # as the server says, like all counts; NO_COUNT where that is none
    cached_tokens: int | None  # of prompt_tokens, those billed as cached
    reasoning_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None = None  # what the server says that it charged (OpenRouter)
    # (thinking, content) as the server sent them: not stripped, not split
    texts: tuple[str, str] = field(default=("", ""), repr=False)


def parse(body: bytes) -> Reply:
    """The reply in the body of a 200.

    Servers have several words for an answer that came to its end (``rows.ENDED``: eos_token,
    end_turn, …); the finish reason of all of them is "stop", which is what rules ask for. Two
    different thoughts in one message get the finish reason "two_thoughts", which is not a success.

    Raises:
        MalformedReply: HTML, cut or empty JSON, an error object, no choices.
    """
    whole, choice, message = _opened(body)
    return _reply(whole, choice, message)


Opened = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def _opened(body: bytes) -> Opened:
    """(the whole, the choice, its message)."""
    try:
        return _completion([orjson.loads(body)], body)
    except (orjson.JSONDecodeError, MalformedReply) as error:
        strict = error
    try:
        return _completion(lenient.read(body), body)
    except (ValueError, RecursionError) as error:
        if isinstance(strict, MalformedReply):
            raise strict from None
        if isinstance(error, MalformedReply) and (error.holds or AN_ERROR in str(error)):
            raise
        msg = f"not JSON: {body[:80]!r}"[:SHOWN_CHARS]
        raise MalformedReply(msg, holds=_holds(body)) from None


def _holds(body: bytes) -> bool:
    """Whether what cannot be read may be an answer: not if it is empty, or a web page."""
    text = body.lstrip(b"\xef\xbb\xbf\0 \t\r\n")
    return bool(text) and not text.startswith(b"<")


def _completion(values: Iterable[Any], body: bytes) -> Opened:
    """The completion in one object, or in the events of a stream.

    An error beside a whole answer does not undo the answer.

    Raises:
        MalformedReply: there is none.
    """
    parts = [value for value in values if isinstance(value, dict)]
    found = [(whole, *found) for whole in parts if (found := _chosen(whole)) is not None]
    told = (one for one in found if isinstance(one[1].get("message"), dict))
    whole, choice, message = next(told, None) or _streamed(found)
    error = next((part for part in parts if part.get("error")), None)
    if error is not None or not parts:
        ended = _finish(choice.get("finish_reason")) in FINISHED
        if not (ended and any(map(message.get, ("content", *FIELDS)))):
            msg = f"{AN_ERROR}: {server_said(200, body)}"[:SHOWN_CHARS]
            raise MalformedReply(msg)
    if not found:
        listed = any(part.get("choices") for part in parts)
        msg = "no message in it" if listed else "no choices in it"
        raise MalformedReply(msg)
    return whole, choice, message


def _chosen(whole: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(choice, message) of the first choice that has one, wherever the server puts it."""
    choices = whole.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        for message in (choice.get("message"), choice.get("delta")):
            if isinstance(message, dict):
                return choice, message
        if isinstance(choice.get("text"), str):
            return choice, {"content": choice["text"]}
    return None


def _streamed(found: list[Opened]) -> Opened:
    """Events joined to the one completion that they tell bit by bit.

    Raises:
        MalformedReply: nothing says that it has come to an end.
    """
    if len(found) <= 1:
        return found[0] if found else ({}, {}, {})
    whole: dict[str, Any] = {}
    ended: dict[str, Any] = {}
    said: dict[str, str] = {}
    for part, choice, message in found:
        whole |= {name: value for name, value in part.items() if value is not None}
        ended |= {name: value for name, value in choice.items() if value is not None}
        for name in ("content", *FIELDS):
            said[name] = said.get(name, "") + _joined(message.get(name))
    if not isinstance(ended.get("finish_reason"), str):
        msg = "a stream without its end"
        raise MalformedReply(msg, holds=True)
    return whole, ended, dict(said)


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
    inline, content = _content(message)
    thoughts = [inline, *(_joined(message.get(name)) for name in FIELDS)]
    said = list(dict.fromkeys(filter(None, map(str.strip, thoughts))))
    reasoning, response = (said[0], content.strip()) if said else split_think(content.strip())
    finish = "two_thoughts" if len(said) > 1 else _finish(choice.get("finish_reason"))
    model = whole.get("model")
    return Reply(
        reasoning=reasoning,
        response=response,
        finish_reason=finish,
        model=model if isinstance(model, str) else None,
        texts=(next(filter(None, thoughts), ""), content),
        **_usage(whole.get("usage")),
    )


def _usage(usage: Any) -> dict[str, Any]:
    """The counts, and the cost. xAI counts the thinking beside the completion, others within it.

    Gemini counts it in the total alone.
    """
    usage = usage if isinstance(usage, dict) else {}
    cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
    thought = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    if thought is None:  # SGLang counts them beside the details
        thought = _count(usage, "reasoning_tokens")
    prompt, said = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if said is not None and said >= 0 and prompt is not None and prompt >= 0:
        said += thought if thought is not None and thought > said else 0
        said = max(said, (_count(usage, "total_tokens") or 0) - prompt)
    return {
        "prompt_tokens": prompt,
        "cached_tokens": _count(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        "reasoning_tokens": thought,
        "completion_tokens": said,
        "cost_usd": _usd(usage.get("cost")),
    }


def _finish(reason: Any) -> str:
    if not isinstance(reason, str):
        return "unknown"
    return "stop" if reason.strip().lower() in ENDED else reason


def _count(block: Any, name: str) -> int | None:
    value = block.get(name) if isinstance(block, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    return NO_COUNT


def _usd(value: Any) -> float | None:
    if value is None:
        return None
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**32
    return float(value) if known else NO_COUNT
