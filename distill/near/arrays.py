"""Types of the arrays that are used here, and the distinct values of one.

``numpy.unique`` is not used if only the values count: since 2.3 it hashes them, which takes a
hundred times as long as sorting for keys that differ in a few bits.
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
    """The distinct values, ascending, and how often each occurs."""
    ordered = np.sort(values)
    heads = np.flatnonzero(heads_of(ordered))
    return ordered[heads], np.diff(np.append(heads, len(ordered))).astype(np.int64)


def heads_of(ordered: npt.NDArray[Kind]) -> Truths:
    """Whether each value differs from the one before it; true for the first."""
    heads = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=heads[1:])
    return heads
