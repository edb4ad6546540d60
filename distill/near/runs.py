"""Finds questions in texts word by word: by n-grams first, then by the words themselves."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from distill.near.arrays import Hashes, Ints, Truths
from distill.near.grams import grams, whole_hash
from distill.near.lookup import Lookup
from distill.near.words import Words

SHORTEST = 5  # words of a question that is searched for inside other texts
# An n-gram in more than this many questions of a benchmark, and in more than this share of them, is
# part of the frame around all of them ("answer with the letter of the correct option").
COMMON = 10
COMMON_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive words of a question in a text."""

    row: int
    question: int
    start: int  # word of the text
    place: int  # word of the question
    words: int


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions ready to be searched for.

    ``parts`` holds the n-grams of those with ``size`` words or more, ``whole`` the first SHORTEST
    words of those with fewer, and ``tiny`` those with fewer than SHORTEST, by their whole hash.
    """

    words: Words
    size: int
    parts: Lookup
    whole: Lookup
    tiny: dict[int, tuple[int, ...]]

    @classmethod
    def build(cls, words: Words, names: pl.Series, size: int) -> "Questions":
        """``names`` is the benchmark of each question."""
        counts = np.diff(words.offsets)
        hashes, questions, places = _placed(words, size)
        own = _own(hashes, questions, words, names)
        parts = Lookup.build(hashes[own], questions[own], places[own])
        heads, short, at = _placed(words, SHORTEST)
        first = (at == 0) & (counts[short] < size)
        whole = Lookup.build(heads[first], short[first], at[first])
        tiny: dict[int, tuple[int, ...]] = {}
        for question in np.flatnonzero((counts > 0) & (counts < SHORTEST)).tolist():
            key = _whole(words, question)
            tiny[key] = (*tiny.get(key, ()), question)
        return cls(words, size, parts, whole, tiny)

    def runs(self, texts: Words) -> list[Run]:
        """Every run of ``size`` words or more, and every whole short question, in the texts."""
        found = _joined(texts, self.size, self.parts)
        if len(self.whole.hashes) and self.size > SHORTEST:
            rows, questions, starts, places, _ = _joined(texts, SHORTEST, self.whole)
            counts = np.diff(self.words.offsets)[questions]
            fit = starts + counts <= texts.offsets[rows + 1]
            more = np.stack([rows, questions, starts, places, counts])[:, fit]
            found = np.concatenate([found, more], axis=1)
        runs = [Run(*numbers) for numbers in found.T.tolist()]
        return [run for run in runs if self._spelled(texts, run)]

    def equals(self, texts: Words) -> list[Run]:
        """Texts that are a question of fewer than SHORTEST words and nothing else."""
        counts = np.diff(texts.offsets)
        found = []
        for row in np.flatnonzero((counts > 0) & (counts < SHORTEST)).tolist():
            start, count = int(texts.offsets[row]), int(counts[row])
            alike = self.tiny.get(_whole(texts, row), ())
            found += [Run(row, question, start, 0, count) for question in alike]
        return [run for run in found if self._spelled(texts, run)]

    def _spelled(self, texts: Words, run: Run) -> bool:
        """Whether the words are the same letter by letter, because a hash is not enough."""
        here = int(self.words.offsets[run.question]) + run.place
        return texts.spelled(run.start, run.words) == self.words.spelled(here, run.words)


def _placed(words: Words, size: int) -> tuple[Hashes, Ints, Ints]:
    """The n-grams of all texts: their hashes, their texts, and their places in these."""
    hashes, places = grams(words, size)
    texts = np.searchsorted(words.offsets, places, side="right") - 1
    return hashes, texts, places - words.offsets[texts]


def _whole(words: Words, text: int) -> int:
    return int(whole_hash(words.hashes[words.offsets[text] : words.offsets[text + 1]]))


def _own(hashes: Hashes, questions: Ints, words: Words, names: pl.Series) -> Truths:
    """Which n-grams count: not the frame of a benchmark, unless a question has nothing else.

    For such a question the rarest ones count, so that a copy of a whole question is always found. A
    question that appears twice in a benchmark counts once.
    """
    same = np.array([_whole(words, i) if n else 0 for i, n in enumerate(np.diff(words.offsets))])
    about = pl.DataFrame({"benchmark": names, "same": same}).select(
        "benchmark", "same", total=pl.col("same").n_unique().over("benchmark")
    )
    entries = about[questions].with_columns(hash=pl.Series(hashes), question=pl.Series(questions))
    met = pl.col("same").n_unique().over("benchmark", "hash")
    entries = entries.with_columns(met=met)
    frame = (pl.col("met") > COMMON) & (pl.col("met") > COMMON_SHARE * pl.col("total"))
    rarest = pl.col("met") == pl.col("met").min().over("question")
    nothing = frame.all().over("question")
    return entries.select((~frame | (nothing & rarest)).alias("own"))["own"].to_numpy()


def _joined(texts: Words, size: int, lookup: Lookup) -> Ints:
    """Runs of n-grams that a text and a question share; the rows are the fields of ``Run``."""
    hashes, at = grams(texts, size)
    which, questions, places = lookup.find(hashes)
    starts = at[which]
    order = np.lexsort((starts, starts - places, questions))
    starts, places, questions = starts[order], places[order], questions[order]
    ahead = (np.diff(starts) == 1) & (np.diff(places) == 1) & (np.diff(questions) == 0)
    heads = np.flatnonzero(np.append(True, ~ahead)[: len(starts)])
    lengths = np.diff(np.append(heads, len(starts))) + size - 1
    starts = starts[heads]
    rows = np.searchsorted(texts.offsets, starts, side="right") - 1
    return np.stack([rows, questions[heads], starts, places[heads], lengths]).astype(np.int64)
