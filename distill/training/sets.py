"""The data sets that a student is trained on: in which order, how often each, and what of them.

An answer that is in an earlier set too is left out as a duplicate. Several sets become one mixture,
which the trainer shuffles.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from distill.errors import UserError, nearest
from distill.files.done import data_digest, fingerprint
from distill.files.inputs import Data, Input, inputs_of
from distill.files.named import data_at
from distill.files.read import frames
from distill.recipes.load import Loaded
from distill.recipes.places import missing
from distill.recipes.students import StudentRecipe
from distill.recipes.validation import Validation
from distill.training.chosen import Chosen, Part
from distill.training.prompts import Prompts
from distill.training.suitable import (
    refuse_own_folder,
    refuse_unsuitable,
    warn_of_mixed,
    with_rows,
)


@dataclass(slots=True, kw_only=True)
class Sets:
    """Several data sets, or one."""

    inputs: tuple[Input, ...]  # as given
    read: tuple[Input, ...]  # the same, with the folder that the rows are in
    weights: tuple[float, ...]
    validation: Validation | None
    apart: str | Path | None  # the file for validation, if it is one of its own
    where: Path  # the recipe, for errors
    last_user: bool  # whether the student only sees the last user turn
    limit: int | None  # rows of all sets together
    rows: Counter[int] = field(default_factory=Counter)  # of each set, as far as they were read
    duplicates: Counter[int] = field(default_factory=Counter)  # of these, in an earlier set too
    known: int = 0  # left out because their prompt is in the file for validation
    spared: int = 0  # left out because the weight of their set is below 1
    examples: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        """What the user named."""
        return ", ".join(map(str, self.inputs))

    def digest(self) -> str:
        """16 hex digits that change with the content of any set; of one set, its ``data_digest``.

        Raises:
            UserError: there is no such DATA.
        """
        (first, *others) = self.read
        if not others and first.name is None and self.apart is None:
            return data_digest(first.data)
        apart = None if self.apart is None else data_digest(self.apart)
        each = [[one.name, data_digest(one.data)] for one in self.read]
        return fingerprint(sets=each, validation=apart)

    def key(self) -> Any:
        """A JSON value that changes with anything that decides which rows count, and how often."""
        asked = self.validation and self.validation.model_dump(mode="json")
        return [self.digest(), self.weights, asked, self.last_user, self.limit]

    def parts(self) -> Iterator[Part]:
        """All rows that count, in the order of the sets; then the file for validation.

        Raises:
            UserError: DATA cannot be read, or nothing would be held out, or nothing left to train.
        """
        chosen = self._chosen()
        self.rows.clear()
        self.duplicates.clear()
        for source, frame in self._frames():
            whole = [Part(frame=frame, source=source)]
            yield from whole if chosen is None else chosen.parts(frame, source)
        self.known, self.spared = (0, 0) if chosen is None else (chosen.known, chosen.spared)
        if self.apart is not None:
            for frame in frames(self.apart, beside=True):
                yield Part(frame=frame, source=None, held=True)

    def count(self, part: Part, lengths: Iterable[int]) -> None:
        """Counts the examples that were made of a part, of so many tokens each."""
        if part.source is not None and not part.held:
            found = list(lengths)
            self.examples[part.source] += part.copies * len(found)
            self.tokens[part.source] += part.copies * sum(found)

    def skipped(self) -> dict[str, int]:
        """Rows that were left out before they were tokenised, by reason."""
        found = {
            "duplicate": self.duplicates.total(),
            "in_validation": self.known,
            "not_drawn": self.spared,
        }
        return {reason: count for reason, count in found.items() if count}

    def values(self) -> list[dict[str, Any]]:
        """For train.json: the rows of each set, and what of them is trained on in one epoch."""
        return [
            {
                "data": str(one),
                "weight": self.weights[i],
                "rows": self.rows[i],
                "duplicates": self.duplicates[i],
                "examples": self.examples[i],
                "tokens": self.tokens[i],
            }
            for i, one in enumerate(self.inputs)
        ]

    def _chosen(self) -> Chosen | None:
        """None if every row counts once. Reads them all: only then is known which ask the same.

        Raises:
            UserError: as ``Chosen.hold_out``.
        """
        if self.validation is None and all(weight in (0, 1) for weight in self.weights):
            return None
        prompts = Prompts(last_user=self.last_user)
        of_sets: list[set[int]] = [set() for _ in self.read]
        apart: set[int] = set()
        for source, frame in self._frames(silent=True):
            of_sets[source].update(prompts.add(frame, source=source))
        for frame in frames(self.apart, silent=True) if self.apart is not None else ():
            apart.update(prompts.add(frame, source=len(self.read)))
        chosen = Chosen(
            prompts=prompts,
            names=[str(one) for one in self.inputs],
            weights=self.weights,
            apart=frozenset(map(prompts.least, apart)),
            where=self.where,
        )
        chosen.hold_out([set(map(prompts.least, each)) for each in of_sets], self.validation)
        return chosen

    def _frames(self, *, silent: bool = False) -> Iterator[tuple[int, pl.DataFrame]]:
        """The rows of each set that counts, without those that are in an earlier one."""
        left = self.limit
        seen: set[int] = set()
        for source, one in enumerate(self.read):
            if self.weights[source] == 0 or left == 0:
                continue
            here: set[int] = set()
            for frame in frames((one,), limit=left, silent=silent, beside=True):
                left = None if left is None else left - frame.height
                self.rows[source] += frame.height
                if len(self.read) > 1:
                    digests = _contents(frame)
                    here.update(digests)
                    new = pl.Series([each not in seen for each in digests], dtype=pl.Boolean)
                    self.duplicates[source] += int((~new).sum())
                    frame = frame.filter(new)
                yield source, frame
            seen |= here


def open_sets(
    loaded: Loaded[StudentRecipe],
    data: Data,
    *,
    out: Path,
    limit: int | None,
    unfiltered: bool,
) -> Sets:
    """The sets that DATA and the recipe name, checked as far as that is possible without reading.

    Raises:
        UserError: there is no such DATA; it is not for training, or ``out`` lies in it; or weights
            name another set, or leave nothing.
    """
    recipe, inputs = loaded.recipe, inputs_of(data)
    names = [str(one) for one in inputs]
    if again := next((name for name in names if names.count(name) > 1), None):
        msg = f"{again}: is given twice; to repeat it, give it once, with weights: {{{again}: 2}}"
        raise UserError(msg)
    read = tuple(map(with_rows, inputs))
    refuse_unsuitable(read, unfiltered=unfiltered)
    refuse_own_folder(inputs, out)
    warn_of_mixed(read)
    return Sets(
        inputs=inputs,
        read=read,
        weights=_weights(recipe, inputs, loaded.path),
        validation=recipe.validation,
        apart=apart(loaded, unfiltered=unfiltered),
        where=loaded.path,
        last_user=recipe.prompt == "last_user",
        limit=limit,
    )


def _weights(recipe: StudentRecipe, inputs: tuple[Input, ...], where: Path) -> tuple[float, ...]:
    given = dict(recipe.weights or {})
    found = []
    for one in inputs:
        names = [name for name in given if _names(name, one)]
        if len(names) > 1:
            msg = f"{where}: weights: {' and '.join(names)} are the same DATA; keep one of them"
            raise UserError(msg)
        found.append(given.pop(names[0]) if names else 1.0)
    if given:
        (name, *_) = given
        known = [one.name or str(one.data) for one in inputs]
        msg = f"{where}: weights.{name}: no DATA of that name; {nearest(name, known)}"
        raise UserError(msg)
    if not any(found):
        msg = f"{where}: weights: every DATA has weight 0, so nothing is left to train on"
        raise UserError(msg)
    return tuple(found)


def _names(name: str, one: Input) -> bool:
    return name in (one.name, str(one.data), str(one)) or Path(name) == Path(one.data)


def apart(loaded: Loaded[StudentRecipe], *, unfiltered: bool = False) -> str | Path | None:
    """The recipe's file for validation, if it names one; of a filtered set, what was kept.

    Raises:
        UserError: there is none, the recipe may not read it, or it is not for training: it decides
            which weights are kept.
    """
    asked = loaded.recipe.validation
    if asked is None or asked.data is None:
        return None
    key = "validation.data"
    found = data_at(asked.data, key, loaded.origin)
    if found is None:
        raise missing(asked.data, key, loaded.origin)
    read = with_rows(Input(found))
    refuse_unsuitable((read,), unfiltered=unfiltered)
    return read.data


def _contents(frame: pl.DataFrame) -> list[int]:
    """A 64-bit digest of what each row asks and answers, whatever its id and source are."""
    rows = frame.select("messages", "reasoning", "response").iter_rows()
    return [
        int.from_bytes(hashlib.blake2b(orjson.dumps(row), digest_size=8).digest()) for row in rows
    ]
