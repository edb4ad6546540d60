"""MinHash sketches: a few bytes per text with which near copies are found.

A sketch is a row of 32-bit keys, one for each *band*; a band hashes the minima of ``rows``
multiplicative permutations of the text's shingles. Two texts of Jaccard similarity J agree on a
band with probability p = J^rows, independently for each band, and are compared if they agree on
AGREE bands. ``plan`` takes the widest bands with which two texts exactly at the threshold are
missed with probability (1 - p)^bands + bands p (1 - p)^(bands - 1) < 1e-6. At 0.85 these are 29
bands of 5 (116 bytes per text), with 9.9e-7; texts of J = 0.3 are compared with probability 2.3e-3.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from distill.near.arrays import Hashes, Ints, Keys
from distill.near.grams import STEP, shingles
from distill.near.words import blocks, mixed, read_words

MISSED = 1e-6  # probability for two texts whose similarity is exactly the threshold
AGREE = 2  # with one, chance matches would be compared, and many texts of J = 0.3
MOST = 160  # permutations; each takes 0.2 ns per shingle
EMPTY = np.uint32(0)  # in every band of a text without words


@dataclass(frozen=True, slots=True)
class Plan:
    """How texts are sketched for one threshold."""

    rows: int  # minima in a band
    bands: int
    agree: int = AGREE  # bands that two texts must share to be compared


@lru_cache
def plan(jaccard: float) -> Plan:
    """The most selective plan with at most MOST permutations; ``jaccard`` in 0.5 … 1.

    Raises:
        ValueError: outside that range.
    """
    if not 0.5 <= jaccard <= 1:
        msg = f"jaccard is {jaccard:g}; it must be in 0.5 … 1"
        raise ValueError(msg)
    fits = [
        Plan(rows, bands)
        for rows in range(1, 9)
        for bands in range(AGREE, MOST // rows + 1)
        if missed(jaccard, Plan(rows, bands)) < MISSED
    ]
    most = max(fit.rows for fit in fits)
    return min((fit for fit in fits if fit.rows == most), key=lambda fit: fit.bands)


def missed(jaccard: float, plan: Plan) -> float:
    """The probability that two texts of this similarity agree on too few bands."""
    p = jaccard**plan.rows
    return math.fsum(
        math.comb(plan.bands, k) * p**k * (1 - p) ** (plan.bands - k) for k in range(plan.agree)
    )


def sketches(texts: pl.Series, *, words: int, jaccard: float) -> Keys:
    """One sketch per text: uint32, shape (texts, bands); all EMPTY for a text without words.

    ``words`` is the size of the n-grams, ``jaccard`` the threshold. The same text has the same
    sketch in every process and on every machine.
    """
    chosen = plan(jaccard)
    keys = np.zeros((len(texts), chosen.bands), np.uint32)
    for start, block in blocks(texts):
        hashes, offsets = shingles(read_words(block), words)
        keys[start : start + len(block)] = _keys(hashes, offsets, chosen)
    return keys


def _keys(hashes: Hashes, offsets: Ints, plan: Plan) -> Keys:
    keys = np.zeros((len(offsets) - 1, plan.bands), np.uint32)
    filled = np.flatnonzero(np.diff(offsets))
    if not len(filled):
        return keys
    points, starts = (hashes >> np.uint64(32)).astype(np.uint32), offsets[filled]
    moved = np.empty_like(points)
    minima = np.empty((plan.bands, plan.rows, len(filled)), np.uint32)
    factors = _factors(plan.bands * plan.rows).reshape(plan.bands, plan.rows)
    for place in np.ndindex(factors.shape):
        np.multiply(points, factors[place], out=moved)
        np.minimum.reduceat(moved, starts, out=minima[place])
    band = np.zeros((plan.bands, len(filled)), np.uint64)
    for row in range(plan.rows):
        band = mixed(band * STEP + minima[:, row])
    keys[filled] = np.maximum((band >> np.uint64(32)).astype(np.uint32), 1).T
    return keys


@lru_cache
def _factors(count: int) -> Keys:
    """Odd numbers, because multiplying by one permutes the 32-bit numbers."""
    drawn = mixed(np.arange(1, count + 1, dtype=np.uint64) * STEP)
    return (drawn >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
