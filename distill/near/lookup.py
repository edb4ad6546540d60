"""Finds hashes in a fixed set, and where each of them is in the questions."""

from dataclasses import dataclass

import numpy as np

from distill.near.arrays import Hashes, Ints, Truths

SPARE = 4  # the table has 16 to 32 slots per hash, so few others need the slower search
MOST_BITS = 24  # 16 MB


@dataclass(frozen=True, slots=True)
class Lookup:
    """Hashes with the questions and places they belong to.

    Attributes:
        hashes: distinct, ascending.
        bounds: hash ``i`` has the entries ``bounds[i]:bounds[i + 1]`` of the next two.
        questions: int64.
        places: int64, of the first word in the question.
        table: whether any hash begins with these bits; its length is a power of two.
    """

    hashes: Hashes
    bounds: Ints
    questions: Ints
    places: Ints
    table: Truths

    @classmethod
    def build(cls, hashes: Hashes, questions: Ints, places: Ints) -> "Lookup":
        """From one hash for each entry, in any order."""
        order = np.lexsort((places, questions, hashes))
        found, starts = np.unique(hashes[order], return_index=True)
        bits = min(max(len(found).bit_length(), 4) + SPARE, MOST_BITS)
        table = np.zeros(1 << bits, bool)
        table[found >> np.uint64(64 - bits)] = True
        bounds = np.append(starts, len(hashes)).astype(np.int64)
        return cls(found, bounds, questions[order], places[order], table)

    def find(self, hashes: Hashes) -> tuple[Ints, Ints, Ints]:
        """For every entry found: which of ``hashes`` it was, its question, its place there."""
        shift = np.uint64(65 - len(self.table).bit_length())
        likely = np.flatnonzero(self.table[hashes >> shift])
        where = np.searchsorted(self.hashes, hashes[likely])
        found = where < len(self.hashes)
        found[found] = self.hashes[where[found]] == hashes[likely[found]]
        likely, where = likely[found], where[found]
        counts = self.bounds[where + 1] - self.bounds[where]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        entries = np.arange(total) + np.repeat(self.bounds[where] - ends + counts, counts)
        return np.repeat(likely, counts), self.questions[entries], self.places[entries]
