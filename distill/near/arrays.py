"""Kinds of arrays that pass between the files here, and the distinct values of one.

``numpy.unique`` is not used where only the values count: from 2.3 on it hashes them, which takes
a hundred times as long as sorting for keys that differ in a few bits.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Truths = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]  # of words and n-grams
Ints = npt.NDArray[np.int64]  # rows, places, counts
Keys = npt.NDArray[np.uint32]  # one column for each band of a sketch
Floats = npt.NDArray[np.float64]
Kind = TypeVar("Kind", np.uint64, np.int64)


def distinct(values: npt.NDArray[Kind]) -> tuple[npt.NDArray[Kind], Ints]:
    """The different values, ascending, and how often each comes."""
    ordered = np.sort(values)
    heads = np.flatnonzero(heads_of(ordered))
    return ordered[heads], np.diff(np.append(heads, len(ordered))).astype(np.int64)


def heads_of(ordered: npt.NDArray[Kind]) -> Truths:
    """Where a value differs from the one before it; true at the first."""
    heads = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=heads[1:])
    return heads
