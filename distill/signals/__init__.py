"""Signals: what can be measured on a trace. Rules decide what a value means.

Each module here declares the columns it makes and one function, ``measure``, from a table of rows
to a table of exactly those columns: same height, same order, null where it cannot be measured. No
network, clock, randomness or printing. A new signal is a new module and one line in MODULES; of
the user's own, which only one recipe knows, ``own`` makes such a module by value.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import polars as pl

from distill.signals import (
    ending,
    finish,
    format,
    gibberish,
    identity,
    language,
    length,
    markup,
    personal,
    question,
    readability,
    reflection,
    repetition,
    score,
    verdict,
)
from distill.signals.settings import Settings


class Signal(Protocol):
    """What a module of signals offers; filter measures hashes, votes and sketches the same way."""

    @property
    def __name__(self) -> str:
        """By it stored values are found again."""

    @property
    def COLUMNS(self) -> Mapping[str, pl.DataType]:
        """The columns that ``measure`` returns, in order, with their types."""

    @property
    def VERSION(self) -> int | str:
        """Changes whenever the same row may get another value; stored values are then void."""

    @property
    def COST(self) -> int:
        """0 cheap, 1 reads every character slowly, 2 checks answers, 3 runs a model."""

    def measure(self, frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """A table of COLUMNS for a table of rows."""


COSTLY = 2  # from this cost on, only rows that passed the rules before are measured
MODULES: tuple[Signal, ...] = (
    finish,
    ending,
    format,
    length,
    question,
    readability,
    language,
    repetition,
    identity,
    markup,
    reflection,
    gibberish,
    personal,
    verdict,
    score,
)  # cheap first


def owner(column: str) -> Signal | None:
    """The module that makes a column; None if no signal of ours has that name."""
    return next((module for module in MODULES if column in module.COLUMNS), None)


def all_columns(signals: Iterable[Signal] = MODULES) -> dict[str, pl.DataType]:
    """Every column that can be measured, with its type, cheap ones first."""
    return {name: kind for module in signals for name, kind in module.COLUMNS.items()}
