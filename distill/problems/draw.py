"""Draws problems by a seed: the same ones on every machine.

What is drawn depends only on the seed and on the problems' own texts. Neither the order of the
source nor its other problems matter, and a larger sample contains every smaller one.
"""

import hashlib
import logging
from collections.abc import Callable

import polars as pl

log = logging.getLogger("distill")

LOOKED_AT = 10_000  # rows that are checked at once; a small sample need not check a whole set


def drawn(
    rows: pl.DataFrame,
    by: str,
    *,
    count: int,
    seed: int,
    check: Callable[[pl.DataFrame], pl.DataFrame] = lambda part: part,
) -> pl.DataFrame:
    """``count`` of the rows that ``check`` leaves, or all of them, in their own order.

    ``by`` is a column of texts that are all different. Rows are checked in the order in which they
    are drawn, until there are enough.
    """
    numbers = pl.Series("rank", [rank(text, seed) for text in rows[by]], dtype=pl.UInt64)
    order = rows.with_row_index("place").with_columns(numbers).sort("rank", by)
    taken, lacking = [order.clear()], count
    for part in order.iter_slices(LOOKED_AT):
        found = check(part).head(lacking)
        taken.append(found)
        lacking -= found.height
        if not lacking:
            break
    return pl.concat(taken).sort("place").select(rows.columns)


def rank(text: str, seed: int) -> int:
    """64 bits of blake2b over seed, NUL, text: the smallest ones make the sample."""
    data = f"{seed}\0{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def say_few(found: int, wanted: int, where: str) -> None:
    """Warns of a set that is smaller than the sample."""
    if 0 < found < wanted:
        log.warning("%s: problems.sample: %d: only %d are there; all taken", where, wanted, found)
