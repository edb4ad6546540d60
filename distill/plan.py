"""Whom is asked, and how: with a question and a sample it makes a request. Sends nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from distill.files.done import fingerprint
from distill.ledger import Ask
from distill.recipes.prompts import Sampling
from distill.rows import Message

# Part of every plan: a change to what a request means asks anew instead of mixing.
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Whom is asked, and how: with a question and a sample number it makes a request."""

    who: str  # "https://api.x.com model", or "serve llama.cpp model"; part of a request's key
    render: Callable[[str], tuple[Message, ...]]
    template: str  # the template's text
    sampling: Sampling
    samples: int

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

    def key(self, ask: Ask) -> str:
        """The sha256 of the canonical request."""
        parts = [self.digest, ask.id, ask.question, ask.sample]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()

    def body(self, ask: Ask, messages: tuple[Message, ...], model: str) -> dict[str, Any]:
        """The keyword arguments of the chat request; the same for every try."""
        sampling = self.sampling.model_dump(exclude_none=True)
        if self.sampling.seed is not None:
            sampling["seed"] = _seed(self.sampling.seed, ask)
        if not sampling["extra_body"]:
            del sampling["extra_body"]
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return {"model": model, "messages": turns, **sampling}


def _seed(seed: int, ask: Ask) -> int:
    """31 bits of its own for every answer: one seed for all would draw the same luck for all."""
    text = f"{seed}\0{ask.id}\0{ask.sample}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1
