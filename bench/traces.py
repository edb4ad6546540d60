r"""Writes synthetic traces of R1's lengths, with planted defects:  python -m bench.traces ROWS OUT

OUT/rows-00000.parquet … hold the row schema; beside OUT lie OUT.labels.parquet (id, sample, label,
``of``: the id it copies) and OUT.benchmark.jsonl (the questions of ``contaminated`` rows). Every
row is a function of its number and the seed alone, so shards can be made in any order.
"""

import argparse
import json
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from bench.pool import Pool, build
from distill.rows import SCHEMA

SHARD, GROUP = 8_000, 2_000  # rows of a file and of a row group: about 150 and 40 MB of text
# Share of rows and mean tokens a domain: DeepSeek-R1's Table 5 (arXiv 2501.12948 v2, B.3.3); all
# together 5,355 tokens.
DOMAINS = {
    "math": (395_285, 6094.2),
    "code": (211_129, 7435.7),
    "stem": (10_124, 4928.8),
    "logic": (10_395, 2739.0),
    "general": (177_812, 1419.8),
}
LONGEST = 32_768  # tokens, R1's context
SPREAD = 0.8  # of the logarithm; R1's real traces: 0.64 on GSM8K, 1.3 on MATH (p95 / p50)
CHARS = 3.6  # characters a token, as in distill/signals/length.py
# label → share of rows; the rest is clean
DEFECTS = {
    "loop": 0.01,  # says one sentence until the limit
    "template": 0.005,  # the same with another number each time, and an answer after it
    "unclosed": 0.02,
    "script": 0.01,  # Chinese amid an English thought
    "wall": 0.01,  # no empty line for 4,000 characters or more
    "wrong": 0.10,
    "exact": 0.03,  # a copy of an earlier row under another id
    "near": 0.03,  # the same with every 25th paragraph changed
    "contaminated": 0.005,  # asks a question of the benchmark
}
CHINESE = "我们先来看一下这个问题，然后一步一步地把它算出来，最后再检查一遍答案是不是正确。"
_U = np.uint64


def mixed(values: np.ndarray) -> np.ndarray:
    """Splitmix64: numbers without a pattern from numbers with one."""
    z = values.astype(_U) * _U(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U(30))) * _U(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U(27))) * _U(0x94D049BB133111EB)
    return z ^ (z >> _U(31))


def _uniform(rows: np.ndarray, salt: int) -> np.ndarray:
    """0..1, one for each row."""
    return (mixed(rows.astype(_U) + _U(salt << 40)) >> _U(11)).astype(np.float64) / 2.0**53


def labels(rows: np.ndarray, seed: int) -> tuple[list[str], np.ndarray]:
    """The label of each row and the number of the row that it is made from: its own, or earlier."""
    names = _drawn(rows, seed)
    back = 1 + (_uniform(rows, 8 * seed + 2) * np.minimum(rows, 50_000)).astype(np.int64)
    copied = np.maximum(rows - back, 0)
    # only of clean rows; what would copy another, or nothing, is clean itself
    can = (rows > 0) & (_drawn(copied, seed) == "clean")
    copies = np.isin(names, ["exact", "near"])
    names[copies & ~can] = "clean"
    return names.tolist(), np.where(copies & can, copied, rows)


def _drawn(rows: np.ndarray, seed: int) -> np.ndarray:
    at = np.searchsorted(np.cumsum(list(DEFECTS.values())), _uniform(rows, 8 * seed + 1), "right")
    return np.array([*DEFECTS, "clean"])[at]


def lengths(rows: np.ndarray, seed: int) -> tuple[list[str], np.ndarray]:
    """Domain and tokens of each row."""
    shares = np.array([share for share, _ in DOMAINS.values()], dtype=float)
    at = np.searchsorted(np.cumsum(shares / shares.sum()), _uniform(rows, 8 * seed + 3), "right")
    means = np.array([_uncut(mean) for _, mean in DOMAINS.values()])[at]
    # Box-Muller: a normal number from two uniform ones
    radius = np.sqrt(-2 * np.log(1 - _uniform(rows, 8 * seed + 4)))
    normal = radius * np.cos(2 * np.pi * _uniform(rows, 8 * seed + 5))
    tokens = np.exp(np.log(means) - SPREAD**2 / 2 + SPREAD * normal)
    return [[*DOMAINS][i] for i in at], np.clip(tokens, 60, LONGEST).astype(np.int64)


@lru_cache
def _uncut(mean: float) -> float:
    """The mean of the log-normal whose mean is ``mean`` once it is cut at LONGEST."""

    def phi(x: float) -> float:
        return (1 + math.erf(x / math.sqrt(2))) / 2

    found = mean
    for _ in range(20):
        z = (math.log(LONGEST / found) + SPREAD**2 / 2) / SPREAD
        cut = found * phi(z - SPREAD) + LONGEST * (1 - phi(z))
        found *= mean / cut
    return found


def frame(first: int, count: int, pool: Pool, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``count`` rows from number ``first`` on, and their labels."""
    rows = np.arange(first, first + count, dtype=np.int64)
    names, made_of = labels(rows, seed)
    domains, tokens = lengths(made_of, seed)
    sizes = np.maximum(1, np.rint(tokens * CHARS / pool.mean_chars)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(made_of, sizes).astype(_U)
    place = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    near = np.repeat(np.array(names) == "near", sizes) & (place % 25 == 24)
    key = (owner + _U(seed << 36)) * _U(1 << 14) + place.astype(_U) + near * _U(1 << 62)
    picks = (mixed(key) % _U(len(pool.paragraphs))).tolist()
    made = [
        _row(int(n), name, int(of), picks[a:b], pool)
        for n, name, of, a, b in zip(
            rows, names, made_of, starts[:-1].tolist(), starts[1:].tolist(), strict=True
        )
    ]
    table = pl.DataFrame(made, schema=ROW, orient="row").with_columns(
        domain=pl.Series(domains), completion_tokens=pl.Series(tokens)
    )
    whole = pl.DataFrame([table[name].cast(kind) for name, kind in SCHEMA.items()])
    ids = pl.Series(np.where(made_of == rows, -1, made_of)).map_elements(_id, pl.String)
    return whole, whole.select("id", "sample", label=pl.Series(names), of=ids)


ROW = {
    **{name: pl.String() for name in ("id", "source", "gold", "verify")},
    **{name: pl.String() for name in ("reasoning", "response", "finish_reason", "teacher")},
    "messages": SCHEMA["messages"],
    "sample": pl.Int64(),
    **{name: pl.Int64() for name in ("prompt_tokens", "reasoning_tokens")},
    "cost_usd": pl.Float64(),
}


def _id(number: int) -> str | None:
    """Two samples a prompt; copies ask the same under an id of their own."""
    return None if number < 0 else f"{int(mixed(np.array([number // 2]))[0]):016x}"


def _row(number: int, label: str, of: int, picks: list[int], pool: Pool) -> tuple[object, ...]:
    texts = [pool.paragraphs[i] for i in picks]
    question, answer = _asked(of // 2, label, pool)
    thought, finish = _spoilt(texts, label, of), "stop"
    given = answer + 1 if label == "wrong" else answer
    response = f"{texts[-1]}\n\nThe answer is $\\boxed{{{given}}}$."
    if label in ("loop", "unclosed"):
        response, finish = "", "length"
    copied = of != number
    name = f"{number + (1 << 40):016x}" if copied else _id(number)
    return (
        *(name, f"synthetic:{label}", str(answer), "math"),
        *(thought, response, finish, "synthetic"),
        [{"role": "user", "content": question}],
        *(0 if copied else number % 2, len(question) // 4, None, None),
    )


def _asked(prompt: int, label: str, pool: Pool) -> tuple[str, int]:
    """The question of a prompt and its answer; both samples of a prompt are asked the same."""
    a, b = prompt % 9_973 + 2, prompt // 9_973 + 2
    start = pool.problems[prompt * 7_919 % len(pool.problems)]
    if label == "contaminated":
        start = pool.benchmark[prompt % len(pool.benchmark)]
    return f"{start} Now add {a} and {b} times {a}. What do you get?", a + b * a


def _spoilt(texts: list[str], label: str, number: int) -> str:
    if label == "script":
        texts = [*texts[:1], CHINESE * 2, *texts[1:]]
    whole = ("\n" if label == "wall" else "\n\n").join(texts)
    if label == "wall":
        return whole + "\n" + " ".join(texts) * max(1, 4_000 // len(whole))
    turns = max(60, len(whole) // 40)
    if label == "loop":
        return f"{whole}\n\n" + "Wait, let me check this once more from the start. " * turns
    if label == "template":
        tries = range(number % 89, number % 89 + turns)
        return f"{whole}\n\n" + "".join(f"Let me try x = {n}, which does not work. " for n in tries)
    return f"{whole}\n\nSo that is number {number}."


def write(rows: int, out: Path, *, seed: int = 0, workers: int = 1) -> None:
    """Writes ``rows`` rows; what was in OUT before stays, so use an empty one."""
    out.mkdir(parents=True, exist_ok=True)
    jobs = [
        (i, i * SHARD, min(SHARD, rows - i * SHARD), out, seed) for i in range(-(-rows // SHARD))
    ]
    if workers > 1:
        spawn = multiprocessing.get_context("spawn")  # polars' threads do not survive a fork
        with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
            parts = list(pool.map(_shard, *zip(*jobs, strict=True)))
    else:
        parts = [_shard(*job) for job in jobs]
    pl.concat(parts).write_parquet(f"{out}.labels.parquet")
    with Path(f"{out}.benchmark.jsonl").open("w", encoding="utf-8") as lines:
        for n, question in enumerate(_pool(seed).benchmark):
            lines.write(json.dumps({"id": str(n), "question": question}) + "\n")


@lru_cache(1)
def _pool(seed: int) -> Pool:
    return build(seed)


def _shard(number: int, first: int, count: int, out: Path, seed: int) -> pl.DataFrame:
    parts = [
        frame(at, min(GROUP, first + count - at), _pool(seed), seed)
        for at in range(first, first + count, GROUP)
    ]
    path = out / f"rows-{number:05}.parquet"
    pl.concat([rows for rows, _ in parts]).write_parquet(
        path, compression="zstd", compression_level=1, row_group_size=GROUP
    )
    return pl.concat([named for _, named in parts])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    write(args.rows, args.out, seed=args.seed, workers=args.workers)
    took = time.monotonic() - began
    print(f"{args.rows:,} rows in {took:.1f} s ({args.rows / took:,.0f} rows/s): {args.out}")


if __name__ == "__main__":
    main()
