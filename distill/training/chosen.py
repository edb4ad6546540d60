"""Decides by the prompt alone how often a row is trained on, and whether it is held out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from distill.errors import UserError
from distill.recipes.validation import Validation
from distill.training.prompts import Prompts, drawn, lowest

HELD, SAMPLED = "validation", "weights"  # two draws of each prompt, independent of each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows that count alike."""

    frame: pl.DataFrame
    source: int | None  # the number of its set; None: of the file for validation
    copies: int = 1  # how often each row is in one epoch
    held: bool = False  # not trained on


@dataclass(slots=True, kw_only=True)
class Chosen:
    """What is decided about the prompts of several sets."""

    prompts: Prompts
    names: Sequence[str]  # of the sets, for errors
    weights: Sequence[float]
    apart: frozenset[int]  # prompts of the file for validation: not trained on
    where: Path  # the recipe, for errors
    held: frozenset[int] = frozenset()
    known: int = field(default=0, init=False)  # rows that were left out because of ``apart``
    spared: int = field(default=0, init=False)  # and those that a weight below 1 did not take

    def parts(self, frame: pl.DataFrame, source: int) -> Iterator[Part]:
        """The rows of a set by how they count; without those that do not."""
        asked = self.prompts.of(frame)
        copies = [self._copies(source, prompt) for prompt in asked]
        known = [prompt in self.apart for prompt in asked]
        self.known += sum(one and count > 0 for one, count in zip(known, copies, strict=True))
        self.spared += copies.count(0)
        held = [prompt in self.held for prompt in asked]
        columns = {"copies": copies, "known": known, "held": held}
        kinds = {"copies": pl.UInt32, "known": pl.Boolean, "held": pl.Boolean}
        marks = pl.DataFrame(columns, schema=kinds).with_row_index("row")
        kept = marks.filter(~pl.col("known") & (pl.col("copies") > 0)).with_columns(
            copies=pl.when("held").then(1).otherwise("copies")
        )
        for (count, out), rows in kept.group_by("copies", "held", maintain_order=True):
            yield Part(frame=frame[rows["row"]], source=source, copies=count, held=out)

    def hold_out(self, of_sets: Sequence[set[int]], validation: Validation | None) -> None:
        """Chooses what is held out of the prompts of each set.

        Raises:
            UserError: it would be nothing, or everything; or a set's weight takes none of it.
        """
        taken: set[int] = set()
        for source, asked in enumerate(of_sets):
            mine = {prompt for prompt in asked if self._copies(source, prompt)}
            if asked and not mine and self.weights[source]:
                raise self._takes_none(source, asked)
            taken |= mine - self.apart
        if not taken:
            msg = f"{self.where}: validation.data: has every prompt of {self._all}; none is left"
            raise UserError(msg)
        if validation is not None and validation.data is None:
            self.held = self._held(taken, validation)

    def _copies(self, source: int, prompt: int) -> int:
        rest, whole = math.modf(self.weights[source])
        return int(whole) + (drawn(prompt, SAMPLED) < rest)

    @property
    def _all(self) -> str:
        return ", ".join(self.names)

    def _held(self, taken: set[int], asked: Validation) -> frozenset[int]:
        if len(taken) == 1:
            msg = (
                f"{self.where}: validation: all rows of {self._all} answer one prompt, which can "
                "not be on both sides; next: more prompts, or validation.data: a file of others"
            )
            raise UserError(msg)
        if asked.prompts is not None:
            if asked.prompts >= len(taken):
                raise self._wrong(len(taken), len(taken) - 1, "all", "prompts", asked.prompts)
            return lowest(taken, asked.prompts, HELD)
        share = asked.share or 0.0
        held = frozenset(prompt for prompt in taken if drawn(prompt, HELD) < share)
        numbers = [drawn(prompt, HELD) for prompt in taken]
        if not held:
            raise self._wrong(len(taken), _above(min(numbers)), "none", "share", share)
        if len(held) == len(taken):
            raise self._wrong(len(taken), _below(max(numbers)), "all", "share", share)
        return held

    def _wrong(self, prompts: int, valid: float, what: str, key: str, value: float) -> UserError:
        return UserError(
            f"{self.where}: validation.{key}: {value}: holds out {what} of the {prompts:,} prompts "
            f"of {self._all}; nearest valid: {valid:.6g}"
        )

    def _takes_none(self, source: int, asked: set[int]) -> UserError:
        least = _above(min(drawn(prompt, SAMPLED) for prompt in asked))
        return UserError(
            f"{self.where}: weights.{self.names[source]}: {self.weights[source]:g}: takes none of "
            f"its {len(asked):,} prompts; nearest valid: {least:.6g}, or 0 to leave it out"
        )


def _above(number: float) -> float:
    """The next number with six decimals above."""
    return math.floor(number * 1e6 + 1) / 1e6


def _below(number: float) -> float:
    """The next number with six decimals, not above."""
    return math.floor(number * 1e6) / 1e6
