"""Rolling hashes of word n-grams, never across the end of a text."""

import numpy as np

from distill.near.arrays import Hashes, Ints
from distill.near.words import Words

STEP = np.uint64(0x9E3779B97F4A7C15)  # odd; 2^64 over the golden ratio, as in splitmix64


def grams(words: Words, size: int) -> tuple[Hashes, Ints]:
    """Hashes of all runs of ``size`` words, uint64, and the place of the first word of each.

    Places count the words of all texts and are ascending.
    """
    rolled = _rolled(words.hashes, size)
    inside = np.ones(len(rolled), bool)
    ends = words.offsets[1:-1, None] - np.arange(1, size)  # a run from here would cross the end
    inside[ends[(ends >= 0) & (ends < len(rolled))]] = False
    places = np.flatnonzero(inside)
    return rolled[places], places


def _rolled(hashes: Hashes, size: int) -> Hashes:
    """Polynomials in STEP, by doubling their length; the words' hashes are already random."""
    rolled, span = hashes, 1
    for bit in f"{size:b}"[1:]:
        rolled = rolled[:-span] * np.uint64(pow(int(STEP), span, 1 << 64)) + rolled[span:]
        span *= 2
        if bit == "1":
            rolled = rolled[:-1] * STEP + hashes[span:]
            span += 1
    return rolled


def shingles(words: Words, size: int) -> tuple[Hashes, Ints]:
    """The hashed n-grams of each text, and offsets as in ``Words``.

    A text of fewer than ``size`` words has one, of all its words, so it is only similar to texts
    with the same words. A text without words has none. Repeated n-grams are repeated.
    """
    hashes, places = grams(words, size)
    offsets = np.searchsorted(places, words.offsets).astype(np.int64)
    counts = np.diff(words.offsets)
    short = np.flatnonzero((counts > 0) & (counts < size))
    if not len(short):
        return hashes, offsets
    whole = [whole_hash(words.hashes[words.offsets[i] : words.offsets[i + 1]]) for i in short]
    hashes = np.insert(hashes, offsets[short], np.array(whole, np.uint64))
    more = np.zeros(len(offsets), np.int64)
    more[short + 1] = 1
    return hashes, offsets + np.cumsum(more)


def whole_hash(hashes: Hashes) -> np.uint64:
    """The hash of one run of words of any length."""
    return np.uint64(_rolled(hashes, len(hashes))[0])
