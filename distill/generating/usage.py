"""What a server reports of an answer's tokens and cost, as far as it is possible.

The limits are the least that the text must have taken, and what was set aside for the request. A
report outside them is ignored, and the most that it can have cost is booked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distill.generating.budget import MILLION, cost_usd, most_prompt_tokens, worst_usd
from distill.recipes.teachers import Price
from distill.teachers.wire import NO_COUNT, Reply

# The longest tokens of GPT-2, cl100k, o200k, Tekken, Qwen2.5 and SmolLM2: 128 bytes (spaces), and
# 20 letters beyond U+07FF (Thai, in o200k).
TOKEN_BYTES = 128
TOKEN_WIDE = 32
# What may stand in a text without having been counted: <think> tags that the server puts there.
UNCOUNTED = 8
# A text in three characters, for counting its words.
BLANKS = b" \t\n\r\v\f"
SHAPE = bytes(32 if i in BLANKS else 47 if i == 47 else 120 for i in range(256))
ROUNDING = 1 + 1e-9  # of sums of floats


def least_tokens(text: str) -> int:
    """A lower bound, whatever the tokenizer.

    No token of the vocabularies above goes on from one word to the next across white space, but for
    signs before a slash (";", line break, "//"). Of 955 real traces the bound is 0.4 to 0.8 of what
    six tokenizers make of them, of text without spaces far less.

    >>> least_tokens("To be or not to be, that is the question: whether")
    3
    """
    data = text.encode("utf-8", "replace")
    shape = data.translate(SHAPE)
    words = shape.count(b"x ") + shape.count(b"/ ") + (shape[-1:] not in b" ")
    wide = len(data) - 2 * len(text) + len(text.encode("ascii", "ignore"))
    most = max(words - shape.count(b" /"), -(-wide // TOKEN_WIDE), -(-len(data) // TOKEN_BYTES))
    return max(most - UNCOUNTED, min(1, most))


def enough_tokens(text: str) -> int:
    """No less than ``least_tokens``, in a tenth of the time: as if all letters were wide."""
    return 1 + max(sum(map(text.count, BLANKS.decode())), 3 * len(text) // TOKEN_WIDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What can be known of a request's tokens and cost before it is answered."""

    price: Price | None
    least_prompt: int
    most_prompt: int
    most_answer: int
    worst_usd: float  # set aside


def sent(
    price: Price | None,
    turns: Iterable[Mapping[str, Any]],
    max_tokens: int,
    *,
    switches: str = "",
) -> Sent:
    """The limits of a request: its messages, its limit, what else may be part of the prompt.

    An assistant's turn, the beginning of a cut answer, may be left out by a chat template.
    """
    turns = list(turns)
    asked = (turn.get("content") for turn in turns if turn.get("role") != "assistant")
    every = [*turns, {"switches": switches}] if switches else turns
    return Sent(
        price=price,
        least_prompt=sum(least_tokens(text) for text in asked if isinstance(text, str)),
        most_prompt=most_prompt_tokens(every),
        most_answer=max_tokens,
        worst_usd=worst_usd(price, every, max_tokens),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What is believed of an answer's usage."""

    reply: Reply  # with None for every count that is not possible
    cost_usd: float | None  # None: not known
    most_usd: float  # what it can have cost
    doubts: tuple[str, ...]  # what was said and is not possible, or was not said where it matters


def believed(reply: Reply, text: str, sent: Sent, *, began: float, ended: float) -> Believed:
    """What a reply says of its usage, as far as it is possible.

    Args:
        reply: as the server sent it.
        text: all of its text that is new, thinking and response.
        sent: the limits of its request.
        began: Unix seconds, as ``ended``: for the hours of a price.
        ended: when it was there.
    """
    least_answer = 0 if _plainly_possible(reply, text, sent) else least_tokens(text)
    doubts: list[str] = []
    wanted = sent.worst_usd > 0 and reply.cost_usd in (None, NO_COUNT)
    prompt = _within(
        reply.prompt_tokens, sent.least_prompt, sent.most_prompt, "prompt", doubts, wanted
    )
    answer = _within(
        reply.completion_tokens, least_answer, sent.most_answer, "completion", doubts, wanted
    )
    known = replace(
        reply,
        prompt_tokens=prompt,
        completion_tokens=answer,
        cached_tokens=_of(reply.cached_tokens, prompt),
        reasoning_tokens=_of(reply.reasoning_tokens, answer),
        cost_usd=None,
    )
    if sent.price is None:
        cost = reply.cost_usd if reply.cost_usd != NO_COUNT else None
        return Believed(reply=known, cost_usd=cost, most_usd=0.0, doubts=tuple(doubts))
    most = min(_most_usd(sent, known, sent.price, began=began, ended=ended), sent.worst_usd)
    cost = None if None in (prompt, answer) else most
    if reply.cost_usd is not None:
        least = _least_usd(sent.price, sent.least_prompt, min(least_answer, sent.most_answer))
        cost, most = _said_usd(reply.cost_usd, cost, most, least, sent.worst_usd, doubts)
    return Believed(reply=known, cost_usd=cost, most_usd=most, doubts=tuple(doubts))


def _plainly_possible(reply: Reply, text: str, sent: Sent) -> bool:
    """Whether the answer's tokens need no closer look: nearly always."""
    said = reply.completion_tokens
    if said is None or said > sent.most_answer or reply.cost_usd is not None:
        return False
    return said >= enough_tokens(text)


def _said_usd(
    said: float, table: float | None, most: float, least: float, worst: float, doubts: list[str]
) -> tuple[float | None, float]:
    """(the cost, what it can be at most) where the server says a cost.

    One that is too low, or no number, leaves it at the price table's; one that is too high may come
    of a dearer vendor behind a router, and counts as all that was set aside.
    """
    if least <= said * ROUNDING and said <= worst * ROUNDING:
        return min(said, worst), most
    shown = "no number" if said == NO_COUNT else f"${said:.4g}"
    limits = f"at least ${least:.4g} and at most ${worst:.4g} is possible"
    doubts.append(f"a cost of {shown}, where {limits}")
    return (None, worst) if said > worst else (table, most)


def _most_usd(sent: Sent, known: Reply, price: Price, *, began: float, ended: float) -> float:
    """By the price table, with the most that is possible for every count that is not known."""
    prompt, answer, cached = known.prompt_tokens, known.completion_tokens, known.cached_tokens
    if prompt is None:
        prompt = sent.most_prompt
        cached = prompt if (price.cached_input or 0.0) > price.input else 0
    if answer is None or known.prompt_tokens is None:
        answer = sent.most_answer if answer is None else answer
        known = replace(known, prompt_tokens=prompt, cached_tokens=cached, completion_tokens=answer)
    return cost_usd(price, known, began=began, ended=ended) or 0.0


def _within(
    count: int | None, least: int, most: int, what: str, doubts: list[str], wanted: bool
) -> int | None:
    if count is not None and least <= count <= most:
        return count
    if count is not None or wanted:
        said = "no count of" if count in (None, NO_COUNT) else f"{min(count or 0, 2**63):,}"
        limits = f"at least {least:,} and at most {most:,} are possible"
        doubts.append(f"{said} {what} tokens, where {limits}")
    return None


def _of(part: int | None, whole: int | None) -> int | None:
    return part if part is not None and whole is not None and 0 <= part <= whole else None


def _least_usd(price: Price, prompt: int, answer: int) -> float:
    cheap = price.input if price.cached_input is None else min(price.input, price.cached_input)
    return (prompt * cheap + answer * price.output) / MILLION
