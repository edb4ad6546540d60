"""Who is asked, and how: makes requests of problems."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distill.files.done import fingerprint
from distill.ledger.rows import request_key
from distill.ledger.wants import Wants
from distill.recipes.prompts import Sampling, Truncated, Until
from distill.rows import Message, Problem
from distill.teachers.endpoint import Endpoint
from distill.verify.isolation import JAILED, Isolation
from distill.verify.own import Checks

# Part of every plan: raised when a request comes to mean something else, so that answers are not
# mixed.
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One answer that is wanted."""

    problem: Problem
    sample: int
    max_tokens: int
    repair: bool = False  # a second try at an answer that was cut
    after: int | None = None  # the try that holds the cut answer, where this goes on with it
    cut: tuple[bytes, ...] = ()  # the raw responses so far
    cut_at: int = 0  # the limit that they reached, in tokens


@dataclass(frozen=True, kw_only=True)
class RequestPlan:
    """Who is asked, and how."""

    who: str  # "https://api.x.com model", or "serve llama.cpp model"; part of a request's key
    render: Callable[[Problem], tuple[Message, ...]]
    template: str  # the template's text
    sampling: Sampling
    samples: int  # answers a problem; at most so many with ``until``
    until: Until | None = None
    truncated: Truncated | None = None
    # how answers are checked as they come
    isolation: Isolation = JAILED  # of programs
    checks: Checks = ()  # of the user's own

    def values(self) -> dict[str, Any]:
        """What changes the answers: JSON values, without samples and max_tokens.

        More samples or a larger limit keep the answers there are.
        """
        return {
            "who": self.who,
            "template": self.template,
            "sampling": self.sampling.model_dump(exclude={"max_tokens"}),
            "schema": SCHEMA_VERSION,
        }

    @cached_property
    def digest(self) -> str:
        """16 hex digits over ``values``."""
        return fingerprint(plan=self.values())

    @property
    def most_tokens(self) -> int:
        """The largest limit that one request gets."""
        larger = self.truncated.retry_max_tokens if self.truncated else None
        return larger or self.sampling.max_tokens

    @property
    def continues(self) -> bool:
        """Whether answers that were cut are continued."""
        return self.truncated is not None and self.truncated.continue_tokens is not None

    def wants(self, *, again: bool = False) -> Wants:
        """What it wants of a ledger; ``again``: also what failed for good, once more."""
        return Wants(
            plan=self.digest,
            samples=self.samples,
            max_tokens=self.most_tokens,
            correct=None if self.until is None else self.until.correct,
            continues=self.continues,
            again=again,
        )

    def key(self, ask: Ask) -> str:
        """The sha256 of the canonical request."""
        asked = ask.problem
        return request_key(self.digest, asked.id, asked.question, ask.sample, asked.fields)

    def body(self, ask: Ask, messages: tuple[Message, ...], endpoint: Endpoint) -> dict[str, Any]:
        """The chat request; the same for every try at one endpoint."""
        turns = [{"role": m.role, "content": m.content} for m in messages]
        body = {"model": endpoint.model, "messages": turns, **endpoint.extra_body, **self._fixed}
        body[endpoint.limit_name] = ask.max_tokens
        if self.sampling.seed is not None:
            body["seed"] = _seed(self.sampling.seed, ask)
        return body

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        left_out = {"max_tokens", "seed", "extra_body"}
        return {
            **self.sampling.model_dump(exclude_none=True, exclude=left_out),
            **self.sampling.extra_body,
        }


def _seed(seed: int, ask: Ask) -> int:
    """31 bits, different for every answer: one seed would make all answers to a problem alike."""
    text = f"{seed}\0{ask.problem.id}\0{ask.sample}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1
