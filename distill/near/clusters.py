"""Finds rows that are near copies of a row that stays.

Rows are handled in the order of their ranks: a row goes if its similarity to a row that stays
reaches the threshold, otherwise it stays. So no row goes because of a row that goes too, and the
result depends neither on the order of the rows nor on how they were read. Candidates are rows that
agree on enough bands (``sketch``). Each is only compared with rows that stay, so a thousand copies
cost a thousand comparisons. Rows with exactly the same n-grams count as one.

*Crowds*: if many rows share keys but are not alike (one long template, other values), each would
have to be compared with all. Rows that are left after ROUNDS are compared with the FEW rows that
agree on the most bands, among the last MANY that stayed. Only there can a near copy be missed more
often than ``sketch.missed`` says; the time stays linear.
"""

import numpy as np
import polars as pl

from distill.near.arrays import Hashes, Ints, Keys, distinct, heads_of
from distill.near.compare import Texts, jaccards
from distill.near.grams import STEP
from distill.near.sketch import EMPTY, plan
from distill.near.words import mixed

ROUNDS = 8
FEW = 16
MANY = 20_000
BLOCK = 128  # rows of a crowd that are decided together
AT_ONCE = 1 << 16  # pairs whose sketches are compared together
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
SCHEMA = {"row": pl.Int64, "keeps_row": pl.Int64, "jaccard": pl.Float64}


def near_duplicates(
    keys: Keys, ranks: Ints, texts: Texts, *, words: int, jaccard: float
) -> pl.DataFrame:
    """The rows that go: ``row``, ``keeps_row`` (stays instead of it), ``jaccard``; by ``row``.

    Args:
        keys: the sketches of all rows, made with the same ``words`` and ``jaccard``.
        ranks: int64, one per row; the lowest stays. Among equal ranks the earlier row stays.
        texts: returns the texts of the given rows (ascending, distinct), the same that were
            sketched. It is called for one or two thousand at a time.
        words: size of the n-grams.
        jaccard: the threshold, 0.5 … 1; a row that reaches it goes.

    Raises:
        ValueError: ``jaccard`` is out of range, or the arrays do not match.
    """
    if len(ranks) != len(keys) or keys.shape[1:] != (plan(jaccard).bands,):
        msg = f"{keys.shape} keys and {len(ranks)} ranks do not fit jaccard {jaccard:g}"
        raise ValueError(msg)
    order = np.argsort(ranks, kind="stable")
    left = order[keys[order, 0] != EMPTY]
    same, left = _same(keys, left, texts, words)
    gone = [pl.DataFrame(schema=SCHEMA)]
    for _ in range(ROUNDS):
        if len(left):
            lost, left = _round(keys, left, texts, words, jaccard)
            gone.append(lost)
    gone.append(_crowd(keys, left, texts, words, jaccard))
    alike = pl.concat(gone)
    # A row equal to one that went goes in favour of the same row, to which it is as similar.
    last = alike.rename({"row": "keeps_row", "keeps_row": "stays", "jaccard": "as"})
    moved = same.join(last, on="keeps_row", how="left").select(
        "row",
        keeps_row=pl.coalesce("stays", "keeps_row"),
        jaccard=pl.coalesce("as", "jaccard"),
    )
    return pl.concat([alike, moved]).sort("row")


def _same(keys: Keys, left: Ints, texts: Texts, words: int) -> tuple[pl.DataFrame, Ints]:
    """(rows with the sketch and exactly the n-grams of an earlier one, the other rows)."""
    names = np.zeros(len(left), np.uint64)
    for band in range(keys.shape[1]):
        names = mixed(names * STEP + keys[left, band])
    pairs = _led(names >> HALF)
    pairs = pairs[_agreeing(keys, left[pairs]) == keys.shape[1]]
    found = _compared(left[pairs], texts, words).filter(pl.col("jaccard") == 1)
    return found, left[~np.isin(left, found["row"].to_numpy())]


def _round(
    keys: Keys, left: Ints, texts: Texts, words: int, jaccard: float
) -> tuple[pl.DataFrame, Ints]:
    """Keeps the rows that are first in all their buckets; (their near copies, rows still left)."""
    first = np.ones(len(left), bool)
    packed = np.zeros(0, np.uint64)
    for band in range(keys.shape[1]):
        pairs = _led(keys[left, band].astype(np.uint64))
        first[pairs[:, 1]] = False
        if len(pairs):
            both = pairs.astype(np.uint64)
            packed, _ = distinct(np.concatenate([packed, (both[:, 0] << HALF) | both[:, 1]]))
    pairs = np.stack([packed >> HALF, packed & LOW], axis=1).astype(np.int64)
    pairs = pairs[first[pairs[:, 0]]]
    pairs = pairs[_agreeing(keys, left[pairs]) >= plan(jaccard).agree]
    # Pairs are in the order of their leaders' ranks.
    alike = _compared(left[pairs], texts, words).filter(pl.col("jaccard") >= jaccard)
    lost = alike.unique("row", keep="first", maintain_order=True)
    return lost, left[~first & ~np.isin(left, lost["row"].to_numpy())]


def _led(names: Hashes) -> Ints:
    """(first, member) for every row but the first in each bucket; ``names`` have 32 bits."""
    packed = np.sort((names << HALF) | np.arange(len(names), dtype=np.uint64))
    heads = heads_of(packed >> HALF)
    starts, members = np.flatnonzero(heads), np.flatnonzero(~heads)
    leaders = packed[starts[np.searchsorted(starts, members) - 1]] & LOW
    return np.stack([leaders, packed[members] & LOW], axis=1).astype(np.int64)


def _agreeing(keys: Keys, rows: Ints) -> Ints:
    """On how many bands each pair of rows agrees."""
    found = np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), AT_ONCE):
        few = rows[start : start + AT_ONCE]
        same = keys[few[:, 0]] == keys[few[:, 1]]
        found[start : start + AT_ONCE] = np.count_nonzero(same, axis=1)
    return found


def _compared(pairs: Ints, texts: Texts, words: int) -> pl.DataFrame:
    """The similarity of each (stays, goes)."""
    found = jaccards(pairs, texts, words=words)
    columns = {"row": pairs[:, 1], "keeps_row": pairs[:, 0], "jaccard": found}
    return pl.DataFrame(columns, schema=SCHEMA)


def _crowd(keys: Keys, left: Ints, texts: Texts, words: int, jaccard: float) -> pl.DataFrame:
    """Decides the remaining rows block by block; returns those that go."""
    kept = left[:0]
    gone: list[tuple[int, int, float]] = []
    for start in range(0, len(left), BLOCK):
        block = left[start : start + BLOCK]
        pairs = _closest(keys, np.concatenate([kept, block]), len(block), jaccard)
        alike = _compared(pairs, texts, words).filter(pl.col("jaccard") >= jaccard)
        lost: dict[int, tuple[int, int, float]] = {}
        for row, other, found in alike.rows():  # in the order of ranks
            if other not in lost:
                lost.setdefault(row, (row, other, found))
        gone += lost.values()
        kept = np.concatenate([kept, block[~np.isin(block, list(lost))]])[-MANY:]
    return pl.DataFrame(gone, schema=SCHEMA, orient="row")


def _closest(keys: Keys, rows: Ints, last: int, jaccard: float) -> Ints:
    """(earlier, row) for the ``last`` rows: the FEW earlier ones that agree on the most bands."""
    counts = np.zeros((last, len(rows)), np.uint8)
    for band in range(keys.shape[1]):
        column = keys[rows, band]
        counts += column[-last:, None] == column
    first = len(rows) - last
    counts[np.arange(len(rows)) >= first + np.arange(last)[:, None]] = 0
    best = np.argsort(-counts.astype(np.int16), axis=1, kind="stable")[:, :FEW]
    which, column = np.nonzero(np.take_along_axis(counts, best, axis=1) >= plan(jaccard).agree)
    return np.stack([rows[best[which, column]], rows[first + which]], axis=1)
