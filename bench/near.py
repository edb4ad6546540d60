"""distill's near copies and decontamination against other tools, on the same texts in one run.

    python -m bench.near [DATA]               documents per CPU second, recall, false ones, memory
    python -m bench.near [DATA] --growth N …  ours at N rows; 800000 takes some minutes
    python -m bench.near DATA --flags         what is flagged of real training sets
    python -m bench.near --plans              the sketch for each threshold

DATA is a folder with gsm8k_train.jsonl, gsm8k_test.jsonl, math_train.jsonl and math500.jsonl, as
published; their words and questions are used. Documents have 750 words and are drawn from a seed:
one in ten is an altered copy of the one before it, one in a hundred holds a benchmark question.
"""

import argparse
import json
import multiprocessing
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.machine import header, peak_mb
from bench.near_sides import COPIES, JACCARD, QUESTIONS, SHINGLE, shingles, timed
from bench.table import table

WORDS = 750
SHARD = 2000
MODULES = {"datasketch": "datasketch", "rensa": "rensa", "polars, numpy, rensa": "rensa"}
SETS = {"GSM8K": ("gsm8k_train", "gsm8k_test"), "MATH": ("math_train", "math500")}


def main() -> None:
    options = _options()
    print(header(Path.cwd()), end="\n\n")
    if options.plans:
        print(_plans())
    elif options.flags:
        print(_flags(options.data))
    elif options.growth:
        rows = [_alone(_growth, options.data, count) for count in options.growth]
        print(table(["rows", "CPU s", "us a row: text", "compare", "peak MB", "B a row"], rows))
    else:
        for seed in options.seeds:
            _compare(options.data, options.documents, options.questions, seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--growth", type=int, nargs="*", metavar="ROWS")
    parser.add_argument("--flags", action="store_true")
    parser.add_argument("--plans", action="store_true")
    return parser.parse_args()


def _alone(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns in a fresh process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def _read(data: Path | None, name: str) -> list[str]:
    if data is None:
        rng = random.Random(name)
        return [" ".join(f"w{rng.randrange(9000)}" for _ in range(45)) for _ in range(7473)]
    lines = (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row.get("question") or row["problem"] for row in rows]


@cache
def _vocabulary(data: Path | None) -> list[str]:
    """Words as often as real problems have them; ASCII, so that every side has the same words."""
    text = " ".join(_read(data, "gsm8k_test") + _read(data, "math500"))
    return text.encode("ascii", "ignore").decode().split()


@cache
def _questions(data: Path | None) -> list[str]:
    return _read(data, "gsm8k_train")


def _document(data: Path | None, number: int, seed: int) -> str:
    """One document, whatever others are made."""
    if number % 10 == 9:
        words = _document(data, number - 1, seed).split(" ")
        rng = random.Random(f"{seed} {number}")
        for _ in range(number // 10 % 26):  # Jaccard from 1 to 0.7
            words[rng.randrange(len(words))] = f"other{rng.randrange(10**6)}"
        return " ".join(words)
    rng = random.Random(f"{seed} {number}")
    words = rng.choices(_vocabulary(data), k=WORDS)
    if number % 100 == 50:
        questions = _questions(data)[:5000]
        question = questions[number // 100 % len(questions)]
        words[rng.randrange(WORDS) : 0] = question.upper().split(" ")
    return " ".join(words)


def _documents(data: Path | None, rows: range, seed: int) -> list[str]:
    return [_document(data, number, seed) for number in rows]


def _compare(data: Path | None, documents: int, questions: int, seed: int) -> None:
    texts = _documents(data, range(documents), seed)
    alike = {
        number
        for number in range(9, documents, 10)
        if _jaccard(texts[number - 1], texts[number]) >= JACCARD
    }
    size = sum(map(len, texts)) / documents
    print(f"seed {seed}: {documents:,} documents of {size:,.0f} characters; near copies: ", end="")
    print(f"{len(alike)} at or above {JACCARD}, {documents // 10 - len(alike)} below")
    rows = []
    for name, side in COPIES.items():
        if name not in MODULES or find_spec(MODULES[name]):
            found, cpu, peak = _alone(_with_peak, side, texts)
            met = sum(bool({number, number - 1} & found) for number in alike)
            wrong = len(found - alike - {number - 1 for number in alike})
            rows.append(_line(name, documents / cpu, met, len(alike), wrong, peak))
    head = ["side", "docs/CPU s", "found", "of", "false", "peak MB"]
    print(table(["near copies", *head[1:]], rows), end="\n\n")
    ours = documents / _number(rows[-1][1])
    for words in (13, 8):
        rows = _contaminated(texts, _questions(data)[:questions], words)
        print(table([f"questions, {words} words", *head[1:]], rows))
        both = documents / (ours + documents / _number(rows[-1][1]))
        print(f"distill, near copies and near questions together: {both:,.0f} docs/CPU s\n")


def _contaminated(texts: list[str], questions: list[str], words: int) -> list[list[str]]:
    held = set(range(50, len(texts), 100))
    rows = []
    sides = [("as open-r1", False), ("distill", False), ("distill", True)]
    for name, fuzzy in sides:
        found, cpu, peak = _alone(_with_peak, QUESTIONS[name], texts, questions, words, fuzzy)
        label = f"{name}, near questions too" if fuzzy else name
        numbers = (len(held & found), len(held), len(found - held))
        rows.append(_line(label, len(texts) / cpu, *numbers, peak))
    return rows


def _line(name: str, speed: float, met: int, of: int, wrong: int, peak: float) -> list[str]:
    return [name, f"{speed:,.0f}", str(met), str(of), str(wrong), f"{peak:.0f}"]


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _with_peak(side: Callable[..., Any], *args: Any) -> tuple[set[int], float, float]:
    """What a side found, its CPU seconds, and by how much the process grew meanwhile, MB."""
    before = peak_mb() or 0.0
    found, cpu = side(*args)
    return found, cpu, (peak_mb() or 0.0) - before


def _jaccard(one: str, two: str) -> float:
    a, b = (set(shingles(" ".join(re.findall(r"[a-z0-9]+", x.lower())))) for x in (one, two))
    return len(a & b) / len(a | b)


def _growth(data: Path | None, count: int) -> list[str]:
    """Sketches and questions shard by shard, then the near copies of all; texts are made anew."""
    from distill.near.clusters import near_duplicates
    from distill.near.contamination import Benchmarks
    from distill.near.sketch import plan, sketches

    questions = _questions(data)[:5000]
    names = [str(i) for i in range(len(questions))]
    frame = pl.DataFrame({"benchmark": ["b"] * len(names), "row": names, "question": questions})
    known = Benchmarks.build(frame, words=13, fuzzy=0.8)
    keys = np.zeros((count, plan(JACCARD).bands), np.uint32)
    spent = making = 0.0
    for start in range(0, count, SHARD):
        rows = range(start, min(start + SHARD, count))
        texts = pl.Series(_documents(data, rows, 1))
        asked = texts.str.slice(0, 250)
        more, seconds = timed(lambda: sketches(texts, words=SHINGLE, jaccard=JACCARD))  # noqa: B023
        keys[start : start + SHARD] = more
        spent += seconds + timed(lambda: known.hits(asked, texts))[1]  # noqa: B023

    def read(rows: np.ndarray) -> pl.Series:
        nonlocal making
        texts, seconds = timed(lambda: [_document(data, int(row), 1) for row in rows])
        making += seconds
        return pl.Series(texts)

    before = peak_mb() or 0.0
    ranks = np.arange(count)
    _, seconds = timed(lambda: near_duplicates(keys, ranks, read, words=SHINGLE, jaccard=JACCARD))
    compared = seconds - making
    peak = peak_mb() or 0.0
    each = (keys.nbytes + (peak - before) * 2**20) / count
    figures = [spent / count * 1e6, compared / count * 1e6, peak, each]
    return [f"{count:,}", f"{spent + compared:.1f}", *(f"{x:,.1f}" for x in figures)]


def _flags(data: Path) -> str:
    """How many questions of a training set are taken for one of its test set, and how."""
    from distill.near.contamination import Benchmarks

    rows = []
    for name, (train, test) in SETS.items():
        known = _read(data, test)
        names = [str(i) for i in range(len(known))]
        frame = pl.DataFrame({"benchmark": ["b"] * len(names), "row": names, "question": known})
        texts = pl.Series(_read(data, train))
        for words in (13, 10, 8):
            for fuzzy in (None, 0.9, 0.8, 0.75, 0.7):
                found = Benchmarks.build(frame, words=words, fuzzy=fuzzy)
                hits = found.hits(texts)
                kinds = [str((hits["kind"] == k).sum()) for k in ("exact", "ngram", "fuzzy")]
                altered = [_altered(found, known, change) for change in CHANGES.values()]
                rows.append([f"{name}, {words} words", str(fuzzy), *kinds, *altered])
    head = ["training set", "fuzzy", "exact", "ngram", "fuzzy", *CHANGES]
    return table(head, rows)


def _altered(known: Any, questions: list[str], change: Callable[[list[str]], Iterator[str]]) -> str:
    """The share of the test questions that are found once every one of them was changed."""
    texts = [" ".join(change(question.split(" "))) for question in questions]
    return f"{known.hits(pl.Series(texts))['row'].n_unique() / len(texts):.3f}"


def _numbers(words: list[str]) -> Iterator[str]:
    for word in words:
        yield "".join(str((int(c) + 3) % 10) if c in "0123456789" else c for c in word)


def _names(words: list[str]) -> Iterator[str]:
    """Capitalised words that do not begin a sentence, and wherever else they stand."""
    inner = {
        word.strip(".,?!'")
        for before, word in pairwise(words)
        if word[:1].isupper() and before[-1:] not in ".?!"
    }
    return (f"{word[:1]}olunda" if word.strip(".,?!'") in inner else word for word in words)


def _tenth(words: list[str]) -> Iterator[str]:
    rng = random.Random(len(words))
    return (word if rng.random() > 0.1 else f"x{rng.randrange(99)}" for word in words)


def _both(words: list[str]) -> Iterator[str]:
    return _numbers(list(_names(words)))


CHANGES = {"numbers": _numbers, "names": _names, "both": _both, "1/10 of words": _tenth}


def _plans() -> str:
    from distill.near.sketch import missed, plan

    rows = []
    for jaccard in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0):
        chosen = plan(jaccard)
        numbers = [chosen.rows, chosen.bands, chosen.agree, 4 * chosen.bands]
        chances = [missed(jaccard, chosen), 1 - missed(0.3, chosen)]
        rows.append([f"{jaccard:g}", *map(str, numbers), *(f"{x:.1e}" for x in chances)])
    return table(["threshold", "rows", "bands", "agree", "B/text", "missed", "met at 0.3"], rows)


if __name__ == "__main__":
    main()
