"""Polars SQL expressions over one row, as recipes write them. Evaluates nothing."""

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

# Parts of an expression whose value depends on other rows: a row's fate must not depend on the
# table that it happens to be in. polars' own meta.is_row_separable takes a > AVG(a) for separable.
_ACROSS = frozenset({"Agg", "Over", "Window", "Explode", "Len", "Shift", "Quantile", "Correlation"})


def looks_across(expression: pl.Expr) -> bool:
    """Whether its value for a row depends on other rows."""
    tree = orjson.loads(expression.meta.serialize(format="json"))
    return not _ACROSS.isdisjoint(_nodes(tree))


def first_line(error: pl.exceptions.PolarsError) -> str:
    """What polars says, without the plan that it adds."""
    return (str(error).strip().splitlines() or ["unknown"])[0]


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
