"""The exact similarity of two texts: the Jaccard index of their sets of word n-grams."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl

from distill.near.arrays import Floats, Hashes, Ints, distinct
from distill.near.grams import shingles
from distill.near.words import blocks, read_words

# Returns the texts of some rows, in their order; the rows of a call are ascending and distinct.
Texts = Callable[[Ints], pl.Series]
AT_ONCE = 1024  # pairs whose texts are in memory together


def jaccards(pairs: Ints, texts: Texts, *, words: int) -> Floats:
    """The similarity, 0 … 1, of each pair of rows; ``pairs`` has shape (pairs, 2).

    N-grams are compared by 64-bit hashes: the similarity of two texts of a thousand n-grams is
    overestimated with probability < 1e-13. It is 0 for two texts without words.
    """
    found = [np.zeros(0)]
    for start in range(0, len(pairs), AT_ONCE):
        few = pairs[start : start + AT_ONCE]
        rows, places = np.unique(few, return_inverse=True)
        sets = gram_sets(texts(rows), words=words)
        ways = places.reshape(-1, 2).tolist()
        found.append(np.array([_jaccard(sets[one], sets[two]) for one, two in ways]))
    return np.concatenate(found)


def gram_sets(texts: pl.Series, *, words: int) -> list[Hashes]:
    """The distinct n-grams of each text, sorted."""
    sets = []
    for _, block in blocks(texts):
        hashes, offsets = shingles(read_words(block), words)
        ends = offsets.tolist()
        sets += [distinct(hashes[a:b])[0] for a, b in pairwise(ends)]
    return sets


def _jaccard(one: Hashes, two: Hashes) -> float:
    both = np.concatenate((one, two))
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    union = len(both) - common
    return common / union if union else 0.0
