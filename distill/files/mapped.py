"""Computes the parts of a row by polars SQL over a file's own columns, as a recipe's ``map`` says.

Every mistake in a recipe's SQL is reported in one line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from distill.errors import UserError, first_line
from distill.files.talk import question_of
from distill.sql import looks_across, parse_sql

# Parts of a trace under names that no column of the data has; the others replace the column of
# their name.
TRACE = ("question", "reasoning", "response", "gold")
NESTED = ("question", "reasoning", "response")  # may be conversations or lists of answers


@dataclass(frozen=True, slots=True)
class Mapped:
    """A recipe's ``map``: SQL for some parts of a row."""

    parts: Mapping[str, str]
    where: str  # the recipe's path, for errors

    @property
    def given(self) -> dict[str, str]:
        """The parts of a trace that are mapped, with the columns that ``added`` gives them."""
        return {part: f"map.{part}" for part in self.parts if part in TRACE}

    @property
    def used(self) -> set[str]:
        """The columns that parts of a trace are made of: they play no other part."""
        texts = {part: text for part, text in self.parts.items() if part in TRACE}
        made = (by_row(text, f"{self.where}: map.{part}") for part, text in texts.items())
        return {name for each in made for name in each.meta.root_names()}

    def added(self, lines: Sequence[dict[str, Any]], path: str) -> list[dict[str, Any]]:
        """The same lines with the parts that the map makes of them.

        Raises:
            UserError: SQL is none, looks at other rows, or cannot be computed on these lines.
        """
        names = list(dict.fromkeys(name for line in lines for name in line))
        made = [self._column(part, lines, names, path) for part in self.parts]
        return [
            line | dict(zip(self._names(), values, strict=True))
            for line, *values in zip(lines, *made, strict=True)
        ]

    def own(self, lines: Sequence[dict[str, Any]], path: str) -> list[dict[str, Any]]:
        """Lines of our own schema with the mapped parts in their place. Raises as ``added``."""
        made = self.added(lines, path)
        for line in made:
            for part, name in self.given.items():
                value = line.pop(name)
                if part == "question":
                    turns = question_of(value)
                    line["messages"] = turns and [asdict(turn) for turn in turns]
                else:
                    line[part] = value
        return made

    def _names(self) -> list[str]:
        return [self.given.get(part, part) for part in self.parts]

    def _column(
        self, part: str, lines: Sequence[dict[str, Any]], names: Sequence[str], path: str
    ) -> list[Any]:
        text, at = self.parts[part], f"{self.where}: map.{part}"
        made = by_row(text, at)
        roots = made.meta.root_names()
        table = _table(lines, [name for name in roots if name in names], f"{at}: {text}: {path}")
        try:
            typed(text, table, names, at, "a text", nested=part in NESTED)
            return table.with_columns(made.alias("\0made"))["\0made"].to_list()
        except pl.exceptions.PolarsError as error:
            msg = f"{at}: {text}: cannot be computed on {path}: {first_line(error)}"
            raise UserError(msg) from None


def _table(lines: Sequence[dict[str, Any]], names: Iterable[str], at: str) -> pl.DataFrame:
    columns = {"\0row": range(len(lines))} | {n: [line.get(n) for line in lines] for n in names}
    try:
        return pl.DataFrame(columns, strict=False)
    except (pl.exceptions.PolarsError, TypeError) as error:
        msg = f"{at}: its lines do not make one table: {first_line(error)}"
        raise UserError(msg) from None


def by_row(text: str, at: str) -> pl.Expr:
    """The expression that a text is, over the columns of one row.

    Raises:
        UserError: it is not SQL, or it looks at other rows or at columns without naming them.
    """
    made = parsed(text, at)
    if made.meta.has_multiple_outputs():
        msg = f"{at}: {text}: makes several columns; name one"
        raise UserError(msg)
    if (across := looks_across(made)) is not None:
        msg = f"{at}: {text}: looks at other rows ({across}); it may only use the row's own columns"
        raise UserError(msg)
    return made


def parsed(text: str, at: str) -> pl.Expr:
    """The expression that a text is.

    Raises:
        UserError: it is not SQL.
    """
    try:
        return parse_sql(text)
    except pl.exceptions.PolarsError as error:
        msg = f"{at}: {text}: not a polars SQL expression: {first_line(error)}"
        raise UserError(msg) from None


def typed(
    text: str,
    table: pl.DataFrame,
    columns: Sequence[str],
    at: str,
    wanted: str,
    *,
    nested: bool = False,
) -> pl.Expr:
    """The expression, which makes what is wanted of a table with these columns.

    Raises:
        UserError: it is not SQL, names a column that is not there, or makes something else.
    """
    expression = parsed(text, at)
    try:
        made = table.head(0).select(expression).dtypes[0]
    except pl.exceptions.ColumnNotFoundError:
        plain = f"; as a text of its own: \"'{text}'\"" if text.isidentifier() else ""
        msg = f"{at}: {text}: names a column that is not there; found {', '.join(columns)}{plain}"
        raise UserError(msg) from None
    except pl.exceptions.PolarsError as error:
        msg = f"{at}: {text}: cannot be computed: {first_line(error)}"
        raise UserError(msg) from None
    if (made.is_nested() and not nested) or (wanted == "a condition" and made != pl.Boolean):
        msg = f"{at}: {text}: makes {made}, not {wanted}"
        raise UserError(msg)
    return expression
