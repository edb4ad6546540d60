"""SQL over a source's columns: which rows are meant, and which columns are id, question and gold.

Every mistake in a recipe's SQL is reported in one line.
"""

from collections.abc import Sequence

import polars as pl

from distill.errors import UserError, first_line, nearest
from distill.files.mapped import parsed, typed
from distill.problems.sources import Content
from distill.recipes.prompts import Problems

PARTS = ("id", "question", "gold")
# Where the recipe's map does not say which column it is; an id is only what the map says it is.
QUESTIONS = ("question", "problem", "prompt", "instruction")
GOLDS = ("gold", "answer", "expected_answer")
NAMES = {"id": (), "question": QUESTIONS, "gold": GOLDS}
# Instructions to follow (google/IFEval's columns): together they are the gold, as JSON.
INSTRUCTIONS = ("instruction_id_list", "kwargs")


def columns_needed(spec: Problems, where: str) -> tuple[str, ...] | None:
    """The columns that ``map`` and ``where`` read; None: the text does not tell, so any.

    Raises:
        UserError: a text is not SQL.
    """
    texts = {
        f"problems.map.{part}": text for part, text in spec.map.items() if isinstance(text, str)
    }
    if spec.where is not None:
        texts["problems.where"] = spec.where
    names = [name for part in PARTS if part not in spec.map for name in NAMES[part]]
    names += INSTRUCTIONS if "gold" not in spec.map else ()
    names += [name for one in spec.map.values() if not isinstance(one, str) for name in one]
    for at, text in texts.items():
        roots = parsed(text, f"{where}: {at}").meta.root_names()
        if not roots:  # COLUMNS('…'), or no column at all
            return None
        names += roots
    return tuple(dict.fromkeys(names))


def asked(
    spec: Problems, content: Content, where: str, source: str, *, checked: bool
) -> pl.DataFrame:
    """Id, question and gold of the rows that ``problems.where`` leaves, as strings.

    An id is null where the map names none, a gold only where no check needs it.

    Raises:
        UserError: a column is missing, two could be meant, or SQL does not fit the data.
    """
    table = content.table
    try:
        if spec.where is not None:
            at = f"{where}: problems.where"
            table = table.filter(condition(spec.where, table, content.columns, at))
        chosen = [_part(part, spec, content, where, source, checked=checked) for part in PARTS]
        return table.select(chosen)
    except pl.exceptions.PolarsError as error:
        msg = f"{where}: problems: where or map cannot be computed on {source}: {first_line(error)}"
        raise UserError(msg) from None


def condition(text: str, table: pl.DataFrame, columns: Sequence[str], at: str) -> pl.Expr:
    """The expression that tells which rows of a table are meant."""
    return typed(text, table, columns, at, "a condition")


def _part(
    part: str, spec: Problems, content: Content, where: str, source: str, *, checked: bool
) -> pl.Expr:
    text = spec.map.get(part) or _named(part, content.columns, where)  # type: ignore[call-overload]
    at = f"{where}: problems.map.{part}"
    if isinstance(text, tuple):
        return _object(text, content, at).alias(part)
    if text is not None:
        made = typed(text, content.table, content.columns, at, "text")
        return made.cast(pl.String).alias(part)
    if part == "gold" and set(INSTRUCTIONS) <= set(content.columns):
        return pl.struct(INSTRUCTIONS).struct.json_encode().alias("gold")
    if part == "question" or (part == "gold" and checked):
        there = ", ".join(content.columns)
        hint = "use map" if part == "question" else "use map, or verify: null"
        msg = f"{where}: problems: {source} has no {part} column; found {there}; {hint}"
        raise UserError(msg)
    return pl.lit(None, pl.String).alias(part)


def _object(names: Sequence[str], content: Content, at: str) -> pl.Expr:
    """A JSON object of these columns; what a column holds is JSON too, lists included."""
    for name in names:
        if name not in content.columns:
            msg = (
                f"{at}: names a column that is not there: {name}; {nearest(name, content.columns)}"
            )
            raise UserError(msg)
    return pl.struct(names).struct.json_encode()


def _named(part: str, columns: Sequence[str], where: str) -> str | None:
    found = [name for name in NAMES[part] if name in columns]
    if len(found) > 1:
        msg = f"{where}: problems: {' and '.join(found)} could both be the {part}; say which in map"
        raise UserError(msg)
    return f'"{found[0]}"' if found else None
