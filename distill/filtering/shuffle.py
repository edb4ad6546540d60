"""Sorts the kept rows of a whole set by a hash of their keys.

``write`` lays rows into groups that fit into memory; then each group is sorted.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from distill.files.write import write_parquet
from distill.filtering.selection import draws
from distill.filtering.write import KEPT, PART, SHUFFLING


def places(table: pl.DataFrame) -> pl.DataFrame:
    """``group`` and ``place`` of each kept row (``reason`` is null); null of the others.

    Needs id, sample, reason and text_bytes. A group holds as many rows as fit into one part.
    """
    kept = table.with_row_index("_row").filter(pl.col("reason").is_null())
    drawn = kept.with_columns(draws(kept)).sort("draw", "id", "sample")
    placed = drawn.select(
        "_row",
        group=(pl.col("text_bytes").cum_sum() // PART).cast(pl.UInt32),
        place=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    every = table.select(_row=pl.int_range(pl.len(), dtype=pl.get_index_type()))
    return every.join(placed, on="_row", how="left", maintain_order="left").drop("_row")


def groups(folder: Path) -> Sequence[Path]:
    """The groups, in order."""
    return sorted((folder / SHUFFLING).iterdir()) if (folder / SHUFFLING).is_dir() else []


def gather(group: Path) -> None:
    """Writes one group, sorted, as a part of kept/, and removes it."""
    rows = pl.concat([pl.read_parquet(path, glob=False) for path in sorted(group.iterdir())])
    out = group.parent.parent / KEPT / f"part-{group.name}.parquet"
    write_parquet(out, rows.sort("place").drop("place"))
    shutil.rmtree(group)
