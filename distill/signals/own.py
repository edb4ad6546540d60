"""A signal of the user's own: a file beside a recipe that offers what a module of ours does."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from distill.errors import UserError
from distill.recipes.code import Code, read_code, refuse_repeated
from distill.recipes.places import Origin
from distill.signals.settings import Settings
from distill.sql import parse_sql

COLUMN = re.compile(r"[a-z][a-z0-9_]{0,62}")  # as a rule can name it without quotes
COSTS = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class OwnSignal:
    """Measures by the file's own ``measure``; picklable, unlike a module."""

    code: Code
    COLUMNS: Mapping[str, pl.DataType]
    COST: int

    @property
    def __name__(self) -> str:
        """The file's name."""
        return self.code.name

    @property
    def VERSION(self) -> str:
        """Changes with every byte of the file."""
        return self.code.digest

    def measure(self, frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """A table of COLUMNS for a table of rows.

        Raises:
            UserError: the file's ``measure`` fails, or returns another table.
        """
        with self.code.blamed():
            found = self.code.module().measure(frame, settings)
        if (wrong := self._wrong(found, frame.height)) is not None:
            msg = f"{self.code.path}: measure returned {wrong}"
            raise UserError(msg)
        made: pl.DataFrame = found
        return made

    def _wrong(self, found: object, height: int) -> str | None:
        if not isinstance(found, pl.DataFrame):
            return f"{type(found).__name__}; return a polars DataFrame, as frame.select(…) makes it"
        if found.columns != list(self.COLUMNS):
            return f"columns {', '.join(found.columns)}; COLUMNS says {', '.join(self.COLUMNS)}"
        if found.height != height:
            return f"{found.height} rows for {height}; return one for each, in the same order"
        for name, kind in self.COLUMNS.items():
            if found.schema[name] != kind:
                return f"{name} as {found.schema[name]}; COLUMNS says {kind}: cast it"
        return None


def own_signals(
    names: Sequence[str], origin: Origin, *, taken: Collection[str], allowed: bool
) -> tuple[OwnSignal, ...]:
    """The signals that a recipe names, loaded.

    Args:
        names: of the files.
        origin: the recipe.
        taken: columns that no signal of the user's own may make.
        allowed: the user lets the files run.

    Raises:
        UserError: a file cannot be used or may not run, or does not offer what a signal does.
    """
    files = [
        read_code(name, f"signals.{number}", origin, allowed=allowed)
        for number, name in enumerate(names)
    ]
    refuse_repeated([code.name for code in files], "signals", origin)
    found: list[OwnSignal] = []
    for code in files:
        there = {column: one.code.name for one in found for column in one.COLUMNS}
        found.append(_signal(code, dict.fromkeys(taken, "distill") | there))
    return tuple(found)


def _signal(code: Code, owners: Mapping[str, str]) -> OwnSignal:
    module = code.module()
    if not callable(getattr(module, "measure", None)):
        msg = f"{code.path}: write def measure(frame, settings), which returns COLUMNS"
        raise UserError(msg)
    cost = getattr(module, "COST", 0)
    if not isinstance(cost, int) or cost not in COSTS:
        msg = f"{code.path}: COST: {cost!r:.40}: give 0 (quick), 1 (slow), 2 or 3 (very slow)"
        raise UserError(msg)
    return OwnSignal(code, _columns(code, getattr(module, "COLUMNS", None), owners), cost)


def _columns(code: Code, said: object, owners: Mapping[str, str]) -> dict[str, pl.DataType]:
    if not isinstance(said, Mapping) or not said:
        msg = f'{code.path}: write COLUMNS = {{"my_column": pl.Float32()}}'
        raise UserError(msg)
    found = {}
    for name, kind in said.items():
        at = f"{code.path}: COLUMNS: {name!r:.80}"
        if not isinstance(name, str) or COLUMN.fullmatch(name) is None:
            msg = f"{at}: a column's name is lower-case letters, digits and _"
            raise UserError(msg)
        if not _is_name(name):
            msg = f"{at}: is a word of SQL; choose another name, which rules can use"
            raise UserError(msg)
        if name in owners:
            msg = f"{at}: is a column of {owners[name]}; choose another name"
            raise UserError(msg)
        made = _type(kind)
        if made is None:
            msg = f"{at}: {kind!r:.40} is no type; give one of polars', such as pl.Float32()"
            raise UserError(msg)
        found[name] = made
    return found


def _is_name(word: str) -> bool:
    """Whether a rule can name a column so without quotes."""
    try:
        return parse_sql(word).meta.eq(pl.col(word))
    except pl.exceptions.PolarsError:
        return False


def _type(said: object) -> pl.DataType | None:
    """A type of polars that a file can hold: pl.Float32() or, for short, pl.Float32."""
    if isinstance(said, type) and issubclass(said, pl.DataType):
        try:
            said = said()
        except TypeError:  # pl.List, without saying of what
            return None
    return said if isinstance(said, pl.DataType) and said != pl.Object else None
