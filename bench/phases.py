"""Where the CPU time of one trace goes:  POLARS_MAX_THREADS=1 python -m bench.phases DATA RECIPE

Each piece of ``distill filter`` runs alone over the same rows in this process, as it does over a
unit in the command; verdicts are left out, for their workers are processes of their own.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from bench.table import table
from distill.files.done import file_digest
from distill.files.write import write_parquet
from distill.filtering.prepare import prepare
from distill.filtering.rules import Rule, judge
from distill.filtering.units import source, units
from distill.signals import Signal, verdict
from distill.signals.settings import PLAIN, Settings

TIMES = 3  # the least of so many: what else the machine does only adds


def main() -> None:
    data, recipe = Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        print(table(["piece", "us/row"], _found(data, recipe, Path(folder))))


def _found(data: Path, recipe: str, folder: Path) -> list[list[str]]:
    ready = prepare(recipe, folder, (), PLAIN)
    made = units(source(data), folder)
    rows = made[-1].after
    found: list[tuple[str, float]] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        best, made = min((_cpu(work) for _ in range(TIMES)), key=lambda pair: pair[0])
        found.append((name, best / rows * 1e6))
        return made

    timed(
        "file digest", lambda: [file_digest(path) for path in dict.fromkeys(u.path for u in made)]
    )
    frames = timed("read (twice a run)", lambda: [frame for unit in made for frame in unit.rows()])
    whole = [frame.select(pl.col("id")) for frame in frames]
    for step in ready.job.steps:
        if isinstance(step, Rule):
            continue
        if step is not verdict:
            name = step.__name__.removeprefix("distill.")
            settings = ready.job.rules.settings
            values = timed(name, partial(_measured, step, settings, frames))
            whole = [w.hstack(v.get_columns()) for w, v in zip(whole, values, strict=True)]
    tables = [
        pl.concat([w.drop("id"), f], how="horizontal") for w, f in zip(whole, frames, strict=True)
    ]
    known = {"verdict": pl.lit("correct"), "contaminated_by": pl.lit(None, pl.String)}
    absent = {k: v for k, v in known.items() if k not in tables[0].columns}
    tables = [t.with_columns(**absent) for t in tables]
    timed("rules", lambda: [judge(t, ready.job.rules) for t in tables])
    parts = [pl.concat(frames[i : i + 2]) for i in range(0, len(frames), 2)]
    timed("write", partial(_write, folder / "x.parquet", parts))
    return [[name, f"{cost:,.1f}"] for name, cost in found]


def _measured(step: Signal, settings: Settings, frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    return [step.measure(frame, settings) for frame in frames]


def _write(path: Path, parts: list[pl.DataFrame]) -> None:
    for part in parts:
        write_parquet(path, part)


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


if __name__ == "__main__":
    main()
