"""Polars SQL expressions over one row, as recipes write them. Evaluates nothing, reads no file."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

# Parts of an expression whose value depends on other rows: a row's fate must not depend on the
# table that it happens to be in. polars' own meta.is_row_separable takes a > AVG(a) for separable.
_ACROSS = frozenset({"Agg", "Over", "Window", "Explode", "Len", "Shift", "Quantile", "Correlation"})


# polars opens what these name while it reads the text, be it a file, a pipe or an address. They are
# refused wherever they stand, in quotes too: telling quotes apart takes polars' own parser.
_OPENS = re.compile(
    r"\b(?:read|scan)_(?:\w+[\"`\s]*\(|(?:csv|parquet|ipc|json|ndjson)\b)", re.IGNORECASE
)


def parse_sql(text: str) -> pl.Expr:
    """The expression that a text is.

    Raises:
        PolarsError: it is none, or holds a query or what would open a file.
    """
    if found := _OPENS.search(text):
        msg = f"{found[0].rstrip('(')} opens files, and an expression is over one row's columns"
        raise pl.exceptions.SQLSyntaxError(msg)
    try:
        made = pl.sql_expr(text)
    except pl.exceptions.PanicException as error:  # no Exception: GREATEST(), say
        msg = f"polars cannot read it: {error}"
        raise pl.exceptions.SQLSyntaxError(msg) from None
    if "SubPlan" in _nodes(_tree(made)):
        msg = "holds a query; write an expression over one row's columns"
        raise pl.exceptions.SQLSyntaxError(msg)
    return made


def looks_across(expression: pl.Expr) -> bool:
    """Whether its value for a row depends on other rows."""
    return not _ACROSS.isdisjoint(_nodes(_tree(expression)))


def _tree(expression: pl.Expr) -> Any:
    return orjson.loads(expression.meta.serialize(format="json"))


def _nodes(tree: Any) -> Iterator[str]:
    """The names of an expression's nodes, without those of columns and without literals."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for inner in tree:
            yield from _nodes(inner)
    elif isinstance(tree, dict):
        for key, inner in tree.items():
            yield key
            if key not in ("Column", "Literal", "Alias"):
                yield from _nodes(inner)
