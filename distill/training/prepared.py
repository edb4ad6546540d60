"""Tokenises and proves DATA once, for every start, resume and process that trains on it.

The tokens lie beside the student in OUT/tokens, under a digest of all that decides them, and stay
there when it is finished: more epochs use them again. Other tokens in OUT/tokens are removed.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from distill.files.beside import NAME, Beside
from distill.files.done import fingerprint
from distill.files.once import made_once
from distill.recipes.students import StudentRecipe
from distill.rows import from_frame
from distill.training.base import ChatFormat
from distill.training.proof import Proof
from distill.training.store import Store, opened
from distill.training.tokens import Tokenized, tokenize

log = logging.getLogger("distill")
FORM = 1  # of the stored tokens; a change of what we make of the same row needs another number
FOLDER = "tokens"  # in the student's folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The examples, and their proof as JSON."""

    store: Store
    proof: dict[str, Any]
    thoughtless: int  # examples that answer without a thought


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """How rows become tokens, apart from the rows."""

    chat: ChatFormat
    recipe: StudentRecipe
    longest: int | None  # tokens of an example

    def of(self, frame: pl.DataFrame) -> Tokenized:
        """The rows of a table with SCHEMA, and perhaps what stood beside them."""
        told = frame[NAME].to_list() if NAME in frame.columns else None
        return tokenize(
            from_frame(frame),
            self.chat,
            prompt=self.recipe.prompt,
            max_length=self.longest,
            turns=self.recipe.turns or "last",
            history=self.recipe.history or "template",
            beside=None if told is None else [Beside.read(one) for one in told],
        )

    def digest(self, data: Any) -> str:
        """16 hex digits that change with anything that decides the tokens; ``data``: as JSON."""
        tokenizer = self.chat.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        files = backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab()))
        return fingerprint(
            form=FORM,
            data=data,
            tokenizer=hashlib.sha256(files.encode()).hexdigest(),
            kind=type(tokenizer).__name__,
            template=self.chat.template,
            ends=[tokenizer.bos_token, tokenizer.eos_token],
            manner=[self.recipe.prompt, self.recipe.turns, self.recipe.history],
            longest=self.longest,
            versions=[version(name) for name in ("tokenizers", "transformers")],
        )


def prepared(
    tokens: Tokens, frames: Iterable[pl.DataFrame], *, data: Any, out: Path | None
) -> Prepared:
    """The rows' tokens: those in ``out`` if they are the same, else new ones, which are kept there.

    Args:
        tokens: how they are made.
        frames: the rows; only read if they have to be tokenised.
        data: a JSON value that changes with the rows.
        out: the student's folder; None: they are only counted, and nothing is written.

    Raises:
        UserError: a row fails the proof, or DATA or ``out`` cannot be used.
    """
    if out is None:
        return _fill(Store(folder=None), tokens, frames)
    store, told = made_once(
        out / FOLDER,
        tokens.digest(data),
        make=lambda folder: _fill(Store(folder=folder), tokens, frames),
        read=opened,
    )
    return Prepared(store=store, **told)


def _fill(store: Store, tokens: Tokens, frames: Iterable[pl.DataFrame]) -> Prepared:
    proof, thoughtless = Proof(chat=tokens.chat), 0
    for frame in frames:
        found = tokens.of(frame)
        proof.add(found)
        store.add(example for _, example in found.examples)
        store.skipped.update(found.skipped)
        thoughtless += found.thoughtless
    made = Prepared(store=store, proof=proof.values(), thoughtless=thoughtless)
    store.save(proof=made.proof, thoughtless=thoughtless)
    return made
