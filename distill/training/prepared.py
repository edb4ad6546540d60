"""Tokenises and proves DATA once, for every start, resume and process that trains on it.

The tokens lie beside the student in OUT/tokens, under a digest of all that decides them, and stay
there when it is finished: more epochs use them again. Other tokens in OUT/tokens are removed.
"""

import hashlib
import logging
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
from distill.training.sets import Sets
from distill.training.store import Store, opened
from distill.training.tokens import Tokenized, tokenize

log = logging.getLogger("distill")
FORM = 2  # of the stored tokens; a change of what we make of the same row needs another number
FOLDER = "tokens"  # in the student's folder
PARTS = ("trained", "held")  # in FOLDER
MORE = {"proof", "thoughtless", "sets"}  # saved with the tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The examples, and their proof as JSON."""

    store: Store  # what is trained on
    held: Store  # what validation measures
    proof: dict[str, Any]
    thoughtless: int  # examples that are trained on and answer without a thought
    sets: list[dict[str, Any]]  # as ``Sets.values``


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


def prepared(tokens: Tokens, sets: Sets, *, out: Path | None) -> Prepared:
    """The rows' tokens: those in ``out`` if they are the same, else new ones, which are kept there.

    Args:
        tokens: how they are made.
        sets: the rows; only read if they have to be tokenised.
        out: the student's folder; None: they are only counted, and nothing is written.

    Raises:
        UserError: a row fails the proof, or DATA or ``out`` cannot be used.
    """
    if out is None:
        return _fill(None, tokens, sets)
    return made_once(
        out / FOLDER,
        tokens.digest(sets.key()),
        make=lambda folder: _fill(folder, tokens, sets),
        read=_read,
    )


def _fill(folder: Path | None, tokens: Tokens, sets: Sets) -> Prepared:
    store, held = (Store(folder=_part(folder, name)) for name in PARTS)
    proof, thoughtless = Proof(chat=tokens.chat), 0
    for part in sets.parts():
        found = tokens.of(part.frame)
        proof.add(found)
        made = [example for _, example in found.examples]
        (held if part.held else store).add(made * part.copies)
        sets.count(part, [len(one.input_ids) for one in made])
        thoughtless += 0 if part.held else part.copies * found.thoughtless
        store.skipped.update(found.skipped)
    store.skipped.update(sets.skipped())
    told: dict[str, Any] = {
        "proof": proof.values(),
        "thoughtless": thoughtless,
        "sets": sets.values(),
    }
    held.save()
    store.save(**told)
    return Prepared(store=store, held=held, **told)


def _part(folder: Path | None, name: str) -> Path | None:
    if folder is None:
        return None
    (folder / name).mkdir()
    return folder / name


def _read(folder: Path) -> Prepared | None:
    store, held = (opened(folder / name) for name in PARTS)
    if store is None or held is None or set(store[1]) != MORE:
        return None
    return Prepared(store=store[0], held=held[0], **store[1])
