"""Finds texts that contain benchmark questions.

A text can contain one in three ways:

    exact   every word of the question, in runs of n words or more; a question of fewer words
            appears as a whole, and one of fewer than five is the whole text
    ngram   n words in a row
    fuzzy   most of its words and pairs of words (``copies``); only searched for in questions

Case, punctuation, white space and Unicode form do not count (``words``). Symbols do not either, so
formulas that differ only in a plus or minus are the same. A hash never decides alone: every hit is
compared word by word.

*Stock phrases.* One shared n-gram is enough, as in the published recipes, and some are just "where
m and n are relatively prime positive integers. Find m + n". Of 7,473 training questions of GSM8K, 4
share 13 words with its test set (10 words: 11, 8 words: 94); of 7,474 of MATH, 154 with MATH-500
(351, 893). Of 20 drawn from the 75 with a ``share`` below 0.3, 18 were phrases and drawing code; of
20 drawn from the 43 up to 0.6, about half were the same problem with other numbers; above that,
most were. How often an n-gram occurs in a benchmark does not help (the phrase above is in one
question of MATH-500), so only the frame around a benchmark's questions is left out (``runs``).
``least`` requires a share: with 0.3, 79 of the 154 are left.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import polars as pl

from distill.near.copies import Copies
from distill.near.runs import Questions, Run
from distill.near.words import Words, blocks, read_words

KINDS = ("exact", "ngram", "fuzzy")  # of several, the first is reported
WORDS = (5, 50)
SCHEMA = {
    "row": pl.Int64,
    "benchmark": pl.String,
    "benchmark_row": pl.String,
    "kind": pl.String,
    "share": pl.Float64,
    "text": pl.String,
}
RECORD = {
    "row": pl.Int64,
    "question": pl.Int64,
    "kind": pl.String,
    "share": pl.Float64,
    "start": pl.Int64,  # place of its first word among those of all texts
    "words": pl.Int64,
}
PLACE = ("row", "question", "start", "words")
Record = tuple[int, int, str, float, int, int]
WIDE = 40  # characters per word; an excerpt with more is not written in words


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """Questions that training data must not contain; picklable."""

    rows: pl.DataFrame
    questions: Questions
    copies: Copies | None
    least: float

    @classmethod
    def build(
        cls,
        rows: pl.DataFrame,
        *,
        words: int = 13,
        fuzzy: float | None = 0.8,
        least: float = 0.0,
    ) -> "Benchmarks":
        """``rows`` has the string columns ``benchmark``, ``row`` and ``question``.

        Args:
            rows: the questions; ``row`` names each one within its benchmark.
            words: size of the n-grams, 5 … 50. 13 is GPT-3's, 10 DeepSeek-R1's, 8 open-r1's.
            fuzzy: share of a question's words and pairs that makes a near copy, 0.5 … 1; None
                looks for none.
            least: share of a question's words, 0 … 1, that n-grams must cover; 0: any is enough.

        Raises:
            ValueError: a number out of range.
        """
        if not WORDS[0] <= words <= WORDS[1]:
            msg = f"words is {words}; it must be in {WORDS[0]} … {WORDS[1]}"
            raise ValueError(msg)
        if fuzzy is not None and not 0.5 <= fuzzy <= 1:
            msg = f"fuzzy is {fuzzy:g}; it must be in 0.5 … 1"
            raise ValueError(msg)
        if not 0 <= least <= 1:
            msg = f"least is {least:g}; it must be in 0 … 1"
            raise ValueError(msg)
        read = read_words(rows["question"])
        questions = Questions.build(read, rows["benchmark"], words)
        copies = None if fuzzy is None else Copies.build(read, fuzzy)
        return cls(rows.select("benchmark", "row", "question"), questions, copies, least)

    def hits(self, questions: pl.Series, more: pl.Series | None = None) -> pl.DataFrame:
        """At most one hit for each row and benchmark, by ``row``.

        ``questions`` and ``more`` (such as reasoning and response) have one text per row, or null.

        Returns:
            ``row`` counts the texts from 0; ``benchmark`` and ``benchmark_row`` name the question
            of which most was found; ``kind`` is one of KINDS; ``share`` is the share of its words
            in n-grams that were found (for ``fuzzy``, of its words and pairs); ``text`` is the
            first n words that were found, as in the row (for ``fuzzy``, the question).
        """
        distinct = questions.unique(maintain_order=True)
        places = pl.DataFrame({"row": range(len(questions)), "text": questions}).join(
            pl.DataFrame({"place": range(len(distinct)), "text": distinct}),
            on="text",
            nulls_equal=True,
        )
        found = self._hits(distinct, own=True).rename({"row": "place"})
        frame = places.select("row", "place").join(found, on="place").select(*SCHEMA)
        if more is not None:
            frame = pl.concat([frame, self._hits(more, own=False)])
        return _best(frame)

    def _hits(self, texts: pl.Series, *, own: bool) -> pl.DataFrame:
        """The best hits in texts, which are questions (``own``) or something longer."""
        found = [pl.DataFrame(schema=SCHEMA)]
        for first, block in blocks(texts):
            read = read_words(block)
            records = self._grams(read, own=own)
            if own and self.copies is not None:
                copies = self.copies.find(read)
                records += [
                    (row, question, "fuzzy", share, 0, 0) for row, question, share in copies
                ]
            best = _best(self._named(records))
            shown = [self._shown(block, read, *place) for place in best.select(PLACE).rows()]
            row, text = pl.col("row") + first, pl.Series(shown, dtype=pl.String)
            found.append(best.with_columns(row=row, text=text).select(*SCHEMA))
        return pl.concat(found)

    def _grams(self, read: Words, *, own: bool) -> list[Record]:
        """What the texts share with each question, if it is enough."""
        runs = self.questions.runs(read)
        runs += self.questions.equals(read) if own else []
        records = []
        for (row, question), few in _grouped(runs).items():
            share = self._share(question, few)
            if share >= self.least:
                kind, head = "exact" if share == 1 else "ngram", few[0]
                words = min(head.words, self.questions.size)
                records.append((row, question, kind, share, head.start, words))
        return records

    def _shown(
        self, texts: pl.Series, read: Words, row: int, question: int, start: int, words: int
    ) -> str:
        """The words of a hit; of a near copy, the question."""
        if not words:
            return str(self.rows["question"][question])
        written = excerpt(texts[row], start - int(read.offsets[row]), words)
        if len(written) <= WIDE * words:
            return written
        return b" ".join(read.spelled(start, words)).decode()  # it has no white space to split at

    def _share(self, question: int, runs: list[Run]) -> float:
        offsets = self.questions.words.offsets
        met = np.zeros(int(offsets[question + 1] - offsets[question]), bool)
        for run in runs:
            met[run.place : run.place + run.words] = True
        return float(met.mean())

    def _named(self, records: list[Record]) -> pl.DataFrame:
        frame = pl.DataFrame(records, schema=RECORD, orient="row")
        named = self.rows[frame["question"]].select("benchmark", benchmark_row="row")
        return pl.concat([frame, named], how="horizontal")


def _best(hits: pl.DataFrame) -> pl.DataFrame:
    """The best hit for each row and benchmark; among equally good ones the first."""
    kind = pl.col("kind").replace_strict(KINDS, range(len(KINDS)), return_dtype=pl.Int8)
    ordered = hits.sort("row", "benchmark", kind, -pl.col("share"), maintain_order=True)
    return ordered.unique(["row", "benchmark"], keep="first", maintain_order=True)


def excerpt(text: str, first: int, count: int) -> str:
    """The ``count`` words of a text from the ``first`` on, as written there.

    >>> excerpt("So, (Tom's) dog ran.", 1, 3)
    "(Tom's) dog"
    """
    pieces = text.split()
    ends = read_words(pl.Series(pieces, dtype=pl.String)).offsets[1:]
    begin = int(np.searchsorted(ends, first, side="right"))
    end = int(np.searchsorted(ends, first + count, side="left"))
    return " ".join(pieces[begin : end + 1])


def _grouped(runs: list[Run]) -> dict[tuple[int, int], list[Run]]:
    """By text and question, in the order of the questions."""
    groups: dict[tuple[int, int], list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.row, run.question, run.start)):
        groups[run.row, run.question].append(run)
    return groups
