"""The sides of ``bench.near``: ours, and what other tools do. Each runs in a process of its own.

A side of the first kind says which rows have a near copy, one of the second which rows hold a
question. rensa and datasketch are measured where they are installed; they are no dependencies.
"""

import random
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

SHINGLE, JACCARD, PERMUTATIONS, BANDS = 5, 0.85, 128, 32
Found = tuple[set[int], float]  # rows, CPU seconds


def cpu_s() -> float:
    """CPU time of this process with all its threads, seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and its CPU seconds."""
    began = cpu_s()
    found = function()
    return found, cpu_s() - began


def ours(texts: list[str]) -> Found:
    """Sketches, candidates, and every one of them verified."""
    from distill.near.clusters import near_duplicates
    from distill.near.sketch import sketches

    series = pl.Series(texts)

    def run() -> set[int]:
        keys = sketches(series, words=SHINGLE, jaccard=JACCARD)
        ranks = np.arange(len(series))
        found = near_duplicates(keys, ranks, series.gather, words=SHINGLE, jaccard=JACCARD)
        return set(found["row"])

    return timed(run)


def datasketch(texts: list[str]) -> Found:
    """MinHash.update_batch and MinHashLSH; candidates are not verified."""
    from datasketch import MinHash, MinHashLSH

    def run() -> set[int]:
        index = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS)
        found = set()
        for row, text in enumerate(texts):
            sketch = MinHash(num_perm=PERMUTATIONS)
            sketch.update_batch([shingle.encode() for shingle in shingles(text)])
            if index.query(sketch):
                found.add(row)
            index.insert(row, sketch)
        return found

    return timed(run)


def rensa(texts: list[str]) -> Found:
    """RMinHash and its LSH over Python's shingles; candidates are not verified."""
    from rensa import RMinHash, RMinHashLSH

    def run() -> set[int]:
        index = RMinHashLSH(JACCARD, PERMUTATIONS, BANDS)
        found = set()
        for row, text in enumerate(texts):
            sketch = RMinHash(PERMUTATIONS, 42)
            sketch.update(shingles(text))
            if index.query(sketch):
                found.add(row)
            index.insert(row, sketch)
        return found

    return timed(run)


def rensa_flat(texts: list[str]) -> Found:
    """polars splits and hashes, numpy rolls, rensa sketches; unverified, both of a pair flagged."""
    from rensa import RMinHash, RMinHashLSH

    series = pl.Series(texts)

    def run() -> set[int]:
        words = series.str.to_lowercase().str.split(" ")
        ends = np.cumsum(words.list.len().to_numpy()).astype(np.int64)
        hashes = words.list.explode(empty_as_null=True).hash().to_numpy()
        rolled = hashes[: len(hashes) - SHINGLE + 1].copy()
        for shift in range(1, SHINGLE):
            rolled = rolled * np.uint64(0x9E3779B97F4A7C15) + hashes[shift : shift + len(rolled)]
        inside = np.ones(len(rolled), bool)
        inside[(ends[:-1, None] - np.arange(1, SHINGLE)).ravel()] = False
        bounds = np.append(0, ends - np.arange(1, len(ends) + 1) * (SHINGLE - 1))
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            rolled[inside], bounds.astype(np.uint64), PERMUTATIONS, 42
        )
        flags = RMinHashLSH(JACCARD, PERMUTATIONS, BANDS).query_duplicate_flags_matrix_one_shot(
            matrix
        )
        return set(np.flatnonzero(flags).tolist())

    return timed(run)


def shingles(text: str) -> list[str]:
    """The word n-grams of a text as strings."""
    words = text.lower().split()
    return [" ".join(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)]


def questions_ours(texts: list[str], questions: list[str], words: int, fuzzy: bool) -> Found:
    """Beside each text its row has a question, made of the words of one of the benchmark's."""
    from distill.near.contamination import Benchmarks

    series = pl.Series(texts)
    asked = pl.Series([_shuffled(questions[i % len(questions)], i) for i in range(len(texts))])
    names = [str(i) for i in range(len(questions))]
    rows = pl.DataFrame({"benchmark": ["b"] * len(names), "row": names, "question": questions})
    known = Benchmarks.build(rows, words=words, fuzzy=0.8 if fuzzy else None)
    return timed(lambda: set(known.hits(asked, series)["row"]))


def _shuffled(question: str, number: int) -> str:
    """Half the words of a question, in another order, and a number: like real ones, and none."""
    words = question.split()
    kept = random.Random(number).sample(words, len(words) // 2)
    return " ".join([*kept, str(number)] * 2)


def questions_open_r1(texts: list[str], questions: list[str], words: int, fuzzy: bool) -> Found:
    """A pass as in open-r1's decontamination script: n-grams of strings in one dictionary."""

    def parts(text: str) -> list[str]:
        split = text.lower().strip().split()
        return [" ".join(split[i : i + words]) for i in range(len(split) - words + 1)]

    known: dict[str, set[int]] = {}
    for number, question in enumerate(questions):
        for part in parts(question):
            known.setdefault(part, set()).add(number)

    def run() -> set[int]:
        return {row for row, text in enumerate(texts) if any(p in known for p in set(parts(text)))}

    return timed(run)


COPIES = {
    "datasketch": datasketch,
    "rensa": rensa,
    "polars, numpy, rensa": rensa_flat,
    "distill": ours,
}
QUESTIONS = {"as open-r1": questions_open_r1, "distill": questions_ours}
