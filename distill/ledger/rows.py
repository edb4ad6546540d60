"""What goes into a ledger and comes out of it."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import orjson

from distill.rows import Problem

# The name in ``meta`` of: endpoint → how many answers came with a usage that was not believed.
DOUBTED = "doubted"
# "retry": no answer, to be asked again; "quarantined": an answer that is no success,
# or cannot be read.
State = Literal["done", "failed", "quarantined", "retry"]


def request_key(plan: str, name: str, question: str, sample: int, fields: str | None) -> str:
    """The sha256 of the canonical request, hex: what an answer is found by.

    Args:
        plan: the digest of who is asked, and how.
        name: the problem's id.
        question: its text.
        sample: which of its answers, from 0.
        fields: what else the problem has, as JSON.
    """
    parts = [plan, name, question, sample]
    return hashlib.sha256(orjson.dumps(parts if fields is None else [*parts, fields])).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one try of one request ended."""

    key: str  # see ``request_key``
    plan: str  # digest of who is asked, and how
    id: str
    sample: int
    state: State
    started: float  # Unix seconds
    took_s: float
    status: int  # HTTP; 0 when there was no response
    max_tokens: int  # what this try was allowed
    endpoint: str  # the address that was asked
    after: int | None = None  # the try whose cut answer this one goes on with
    repair: bool = False  # a second try at an answer that was cut
    # The check's label, where answers are checked as they come; "cut" for one that was cut.
    verdict: str | None = None
    error: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    worst_usd: float = 0.0  # what a try without an answer may have cost
    body: bytes | None = None  # the raw response


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A body that was kept because it could not be read."""

    key: str
    attempt: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a request of an open problem stands."""

    sample: int
    state: State
    finish: str | None
    max_tokens: int
    repaired: bool
    verdict: str | None
    attempt: int
    final: bool  # needs no more asking, see ``wants``


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A problem that still wants answers, and those it has."""

    problem: Problem
    asked: tuple[Asked, ...]  # by sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A final answer, joined with its problem."""

    problem: Problem
    sample: int
    bodies: tuple[bytes, ...]  # raw responses: the answer, and what continued it
    cost_usd: float | None  # of all of them, like the tokens; None: not known, or not believed
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    completion_tokens: int | None = None
