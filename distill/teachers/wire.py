"""The one place where a chat completion becomes (reasoning, response).

Where its thought is: ``thoughts``. What its last word means: ``finish``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from distill.teachers import lenient
from distill.teachers.finish import FINISHED, UNKNOWN, finish_of
from distill.teachers.refusal import STOP_ROW, STOP_RUN, error_in, stands_for, words_of
from distill.teachers.thoughts import FIELDS, LISTS, joined, said_in, untagged
from distill.think import split_think

# The names of the word for how it ended, the chat API's own first: proxies leave those of Gemini,
# Anthropic, OpenRouter's vendors and Ollama. vLLM's stop_reason is the text that it stopped at.
REASONS = ("finish_reason", "finishReason", "stop_reason", "native_finish_reason", "done_reason")
# Where other APIs than the chat API put an answer: Anthropic, Ollama, OpenAI's responses, Gemini,
# TGI; the others: gateways.
ANSWERS = (
    *("content", "message", "output", "candidates", "response", "generated_text", "output_text"),
    *("outputs", "completion", "generation", "text", "data", "result", "results"),
)
# What gateways wrap a whole completion in (DashScope's own API: output).
WRAPS = ("data", "result", "response", "output", "body")
# A web page: somebody else answers, or something between.
PAGE = re.compile(rb"[\xef\xbb\xbf\0\s]*<(!|\?xml|html|head|body|title)", re.IGNORECASE)
SHOWN_CHARS = 200  # of a body that is not a completion
AN_ERROR = "an error in a 200"
# Stands for what is not a count: "many", -1, true, 1e400.
NO_COUNT = -1


class MalformedReply(ValueError):
    """A 200 whose body is not a completion; worth another try.

    ``holds`` says whether there may be an answer in it that we cannot read: not so in an error, a
    web page, an empty body, or JSON without a message. ``status`` is the HTTP status that an error
    in it stands for, if that is known, and ``said`` its words; ``paid`` says whether it may have
    been charged for: not a web page, nor an error beside which there is neither text nor usage.
    """

    def __init__(
        self,
        reason: str,
        *,
        holds: bool = False,
        status: int | None = None,
        said: str = "",
        paid: bool = True,
    ) -> None:
        super().__init__(reason[:SHOWN_CHARS])
        self.holds = holds
        self.status = status
        self.said = said
        self.paid = paid


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a teacher."""

    reasoning: str
    response: str
    finish_reason: str  # see ``finish.finish_of``
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

    Two different thoughts in one message get the finish reason "two_thoughts", which is not a
    success.

    Raises:
        MalformedReply: HTML, cut or empty JSON, an error object, no choices.
    """
    whole, choice, message = _opened(body)
    return _reply(whole, choice, message)


Opened = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
THOUGHTS = (*FIELDS, *LISTS)
TEXTS = ("content", "refusal", *THOUGHTS)  # of a message


def _opened(body: bytes) -> Opened:
    """(the whole, the choice, its message)."""
    try:
        return _completion([orjson.loads(body)])
    except (orjson.JSONDecodeError, MalformedReply) as error:
        strict = error
    try:
        return _completion(lenient.read(body))
    except (ValueError, RecursionError) as error:
        if isinstance(strict, MalformedReply):
            raise strict from None
        if isinstance(error, MalformedReply) and (error.holds or AN_ERROR in str(error)):
            raise
        msg = f"not JSON: {body[:80]!r}"
        page, text = PAGE.match(body) is not None, body.strip(b"\xef\xbb\xbf\0 \t\r\n")
        raise MalformedReply(msg, holds=bool(text) and not page, paid=not page) from None


def _completion(values: Iterable[Any]) -> Opened:
    """The completion in one object, or in the events of a stream.

    An error beside a whole answer does not undo the answer.

    Raises:
        MalformedReply: there is none.
    """
    each = (value if isinstance(value, list) else [value] for value in values)  # Gemini's errors
    parts = [_unwrapped(part) for several in each for part in several if isinstance(part, dict)]
    found = [(whole, *found) for whole in parts if (found := _chosen(whole)) is not None]
    told = next((one for one in found if isinstance(one[1].get("message"), dict)), None)
    whole, choice, message = told or _streamed(found)
    finish, has_text = _finish(choice), any(map(message.get, TEXTS))
    error = next((error for part in parts if (error := error_in(part)) is not None), None)
    if error is not None and not (finish in FINISHED and has_text):
        raise _an_error(error, paid=has_text or any(_used(part.get("usage")) for part in parts))
    if not parts or not found:
        listed = any(part.get("choices") for part in parts)
        msg = "no message in it" if listed else "no choices in it"
        # what was paid for, perhaps in the shape of another API, is not bought eight times
        holds = any(_used(part.get("usage")) or any(map(part.get, ANSWERS)) for part in parts)
        raise MalformedReply(msg if parts else f"{AN_ERROR}: no object in it", holds=holds)
    if told is None and finish == UNKNOWN and (len(found) > 1 or "delta" in choice):
        msg = "a stream without its end"
        raise MalformedReply(msg, holds=True)
    if not whole.get("usage"):  # in the choice (Moonshot), or in an event without choices
        used = (choice.get("usage"), *(part.get("usage") for part in reversed(parts)))
        whole = {**whole, "usage": next(filter(_used, used), None)}
    return whole, choice, message


def _unwrapped(whole: dict[str, Any]) -> dict[str, Any]:
    """The completion, where it is in a wrapper with a code of its own."""
    if "choices" in whole:
        return whole
    inner = (whole[name] for name in WRAPS if isinstance(whole.get(name), dict))
    return next(({**whole, **one} for one in inner if one.get("choices")), whole)


def _an_error(error: Any, *, paid: bool) -> MalformedReply:
    said, status = words_of(error), stands_for(error)
    # what was paid for and would be refused again is bought once more at most
    holds = paid and status in (*STOP_ROW, *STOP_RUN)
    return MalformedReply(f"{AN_ERROR}: {said}", holds=holds, status=status, said=said, paid=paid)


def _used(usage: Any) -> bool:
    """Whether anything is counted in it."""
    return any(usage.values()) if isinstance(usage, dict) else bool(usage)


Chosen = tuple[dict[str, Any], dict[str, Any]]


def _chosen(whole: dict[str, Any]) -> Chosen | None:
    """(choice, message) of the first choice that has one, wherever the server puts it.

    Of one that only says how it ended, where none has a message: the message is empty.
    """
    choices = whole.get("choices")
    found: Chosen | None = None
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        if (message := _message(choice)) is not None:
            beside = {name: choice[name] for name in THOUGHTS if name in choice}
            return choice, {**beside, **message} if beside else message
        if found is None and _finish(choice) != UNKNOWN:
            found = choice, {}
    return found


def _message(choice: dict[str, Any]) -> dict[str, Any] | None:
    places = [choice.get(name) for name in ("message", "delta", "text")]
    texts = ({"content": text} for text in places if isinstance(text, str))
    return next((place for place in places if isinstance(place, dict)), next(texts, None))


def _streamed(found: list[Opened]) -> Opened:
    """Events joined to the one completion that they tell bit by bit."""
    if len(found) <= 1:
        return found[0] if found else ({}, {}, {})
    whole: dict[str, Any] = {}
    ended: dict[str, Any] = {}
    number = found[0][1].get("index", 0)  # others belong to another answer
    found = [one for one in found if one[1].get("index", number) == number]
    for part, choice, _ in found:
        whole |= {name: value for name, value in part.items() if value is not None}
        ended |= {name: value for name, value in choice.items() if value not in (None, "")}
    said = {name: joined(message.get(name) for *_, message in found) for name in TEXTS}
    return whole, ended, {name: value for name, value in said.items() if value}


def _reply(whole: dict[str, Any], choice: dict[str, Any], message: dict[str, Any]) -> Reply:
    thoughts, content = said_in(message)
    thought = next(iter(thoughts), "")
    reasoning, response = thought.strip(), content.strip()
    if reasoning:
        reasoning = untagged(reasoning, response)
    else:
        reasoning, response = split_think(response)
    model = whole.get("model")
    return Reply(
        reasoning=reasoning,
        response=response,
        finish_reason="two_thoughts" if len(thoughts) > 1 else _finish(choice),
        model=model if isinstance(model, str) else None,
        texts=(thought, content),
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


def _finish(choice: dict[str, Any]) -> str:
    names = (name for name in REASONS if choice.get(name) is not None)
    return finish_of(choice.get(next(names, "")))


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
