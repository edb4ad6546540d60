"""Chooses among rows that passed every rule, looking at the whole set. Reads only small columns.

The reasons it gives are ``duplicate``, ``per_prompt`` and ``quota``. Every choice is decided by
columns and by a hash of the key, never by chance or by the order of the input.
"""

import hashlib
import re

import polars as pl

from distill.errors import UserError, nearest
from distill.recipes.filters import Select

# What selection needs beside the columns that ``prefer`` names.
NEEDED = ("id", "sample", "domain", "reason", "text_hash", "prompt_hash")
ORDER = re.compile(r"^\s*([a-z_0-9]+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)


def preferred(select: Select, columns: list[str], where: str) -> list[tuple[str, bool]]:
    """The (column, descending) pairs of ``per_prompt.prefer``.

    Raises:
        UserError: not a list of columns with ASC or DESC, or no such column.
    """
    if select.per_prompt is None:
        return []
    pairs = []
    for term in select.per_prompt.prefer.split(","):
        match = ORDER.match(term)
        if match is None:
            msg = f"{where}: select.per_prompt.prefer: {term.strip()!r}: write 'column ASC' or DESC"
            raise UserError(msg)
        name, way = match.group(1), (match.group(2) or "asc").lower()
        if name not in columns:
            hint = nearest(name, columns)
            msg = f"{where}: select.per_prompt.prefer: no column {name!r}; {hint}"
            raise UserError(msg)
        pairs.append((name, way == "desc"))
    return pairs


def choose(table: pl.DataFrame, select: Select, order: list[tuple[str, bool]]) -> pl.Series:
    """The reason of every row of ``table`` (null = kept), in its order.

    ``table`` has NEEDED and the columns of ``order``; a row whose ``reason`` is set keeps it.
    """
    state = table.with_row_index("_row").with_columns(
        draw=pl.Series(_draws(table), dtype=pl.UInt64)
    )
    if select.dedupe is not None:
        state = _drop(state, _duplicates(_alive(state)), "duplicate")
    if select.per_prompt is not None:
        state = _drop(
            state, _surplus(_alive(state), select.per_prompt.at_most, order), "per_prompt"
        )
    for domain, most in select.quota.items():
        own = _alive(state).filter(pl.col("domain") == domain).sort("draw", "id", "sample")
        state = _drop(state, own["_row"].slice(most), "quota")
    return state.sort("_row")["reason"]


def _draws(table: pl.DataFrame) -> list[int]:
    """A number for each key, uniform over 64 bits and the same on every machine."""
    return [
        int.from_bytes(hashlib.blake2b(f"{name}\0{sample}".encode(), digest_size=8).digest(), "big")
        for name, sample in table.select("id", "sample").iter_rows()
    ]


def _alive(state: pl.DataFrame) -> pl.DataFrame:
    return state.filter(pl.col("reason").is_null())


def _drop(state: pl.DataFrame, rows: pl.Series, reason: str) -> pl.DataFrame:
    chosen = pl.col("_row").is_in(rows.implode())
    return state.with_columns(
        pl.when(chosen).then(pl.lit(reason)).otherwise(pl.col("reason")).alias("reason")
    )


def _duplicates(alive: pl.DataFrame) -> pl.Series:
    first = alive.sort("id", "sample").unique("text_hash", keep="first", maintain_order=True)
    return alive.join(first.select("_row"), on="_row", how="anti")["_row"]


def _surplus(alive: pl.DataFrame, most: int, order: list[tuple[str, bool]]) -> pl.Series:
    names = [name for name, _ in order] + ["sample", "id"]
    down = [descending for _, descending in order] + [False, False]
    ranked = alive.sort(names, descending=down, nulls_last=True, maintain_order=True)
    place = pl.int_range(pl.len()).over("prompt_hash")
    return ranked.filter(place >= most)["_row"]
