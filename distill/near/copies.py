"""Finds near copies of whole questions: other names, other numbers, another order.

A text is a near copy of a question if it has a given share of the question's distinct words and
pairs of neighbouring words, counted together. Text around the question does not matter. The search
is exact: the share decides which n-grams a near copy must contain (a prefix filter over the rarest
ones), and finally the words themselves are compared.

This was chosen among words, pairs, triples and mixtures of them, by what each flags in a training
set and by how many altered test questions it finds; see ``python -m bench.near --flags``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from distill.near.arrays import Hashes, Ints, distinct
from distill.near.grams import grams
from distill.near.lookup import Lookup
from distill.near.words import Words

SHORTEST = 5  # words of a question that can have a near copy
EXTRA = 0.15  # of the n-grams that a copy must contain: how many more are looked up
LOW = 0xFFFFFFFF
CLOSE = 1e-9  # tolerance for shares computed in floating point


@dataclass(frozen=True, slots=True)
class Copies:
    """Questions ready to be compared with whole texts."""

    words: Words
    share: float
    rare: Lookup
    owners: Ints  # the question of each entry of ``rare``
    least: Ints  # how many of its rare n-grams a copy of each question has

    @classmethod
    def build(cls, words: Words, share: float) -> "Copies":
        """``share`` is the share of words and pairs that must be found, 0.5 … 1."""
        hashes, questions = _sets(words)
        _, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        order = np.lexsort((hashes, counts[which], questions))
        hashes, questions = hashes[order], questions[order]
        sizes = np.bincount(questions, minlength=len(words))
        needed = np.ceil(sizes * share - CLOSE).astype(np.int64)
        extra = np.maximum((needed * EXTRA).astype(np.int64), 1)
        looked = np.minimum(sizes - needed + extra, sizes)
        ranks = np.arange(len(questions)) - (np.cumsum(sizes) - sizes)[questions]
        short = np.diff(words.offsets) < SHORTEST
        rare = (ranks < looked[questions]) & ~short[questions]
        owners = questions[rare]
        lookup = Lookup.build(hashes[rare], owners, np.arange(len(owners)))
        return cls(words, share, lookup, owners, needed - sizes + looked)

    def find(self, texts: Words) -> Iterator[tuple[int, int, float]]:
        """(text, question, share of the question's words and pairs) of every near copy."""
        hashes, rows = _grams(texts)
        which, _, entries = self.rare.find(hashes)
        met, _ = distinct((rows[which] << 32) | entries)  # an n-gram counts once a text
        pairs = (met >> 32 << 32) | self.owners[met & LOW]
        pairs, counts = distinct(pairs)
        likely = pairs[counts >= self.least[pairs & LOW]]
        for pair in likely.tolist():
            row, question = pair >> 32, pair & LOW
            wanted = _spelled(self.words, question)
            share = len(wanted & _spelled(texts, row)) / len(wanted)
            if share >= self.share - CLOSE:
                yield row, question, share


def _grams(words: Words) -> tuple[Hashes, Ints]:
    """The words and pairs of every text, hashed, and the text of each."""
    singles, pairs = grams(words, 1), grams(words, 2)
    hashes = np.concatenate([singles[0], pairs[0]])
    places = np.concatenate([singles[1], pairs[1]])
    return hashes, np.searchsorted(words.offsets, places, side="right") - 1


def _sets(words: Words) -> tuple[Hashes, Ints]:
    """The distinct words and pairs, in the order of the texts."""
    hashes, texts = _grams(words)
    order = np.lexsort((hashes, texts))
    hashes, texts = hashes[order], texts[order]
    new = np.append(True, (np.diff(hashes) != 0) | (np.diff(texts) != 0))[: len(hashes)]
    return hashes[new], texts[new]


def _spelled(words: Words, text: int) -> set[bytes | tuple[bytes, bytes]]:
    start, end = words.offsets[text : text + 2].tolist()
    spelled = words.spelled(start, end - start)
    return {*spelled, *pairwise(spelled)}
