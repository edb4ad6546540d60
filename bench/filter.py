"""What ``distill filter`` takes: CPU, time and memory over synthetic traces of R1's lengths.

    python -m bench.filter growth        traces per CPU second and memory at 5,000 … 50,000 rows
    python -m bench.filter phases        where the CPU time of a trace goes, one process, one thread
    python -m bench.filter again         after another threshold, and after kill -9
    python -m bench.filter full          800,000 rows, 2 workers: some 15 minutes, 25 GB of disk

``--recipe plain`` is r1 without the rules that ask for a verdict, ``r1`` all of it, ``whole`` adds
benchmarks, near copies, quotas and a shuffle to r1. CPU time is user and system time of the
command with all of its workers; memory is the sum of the proportional shares (PSS) of its processes
at one moment, every half second. Run from the root of the checkout.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.machine import ROOT, header
from bench.table import table
from bench.tree import Tree
from distill.files.write import read_json

SIZES = (5_000, 20_000, 50_000)
SEED = 7


@dataclass(frozen=True, slots=True)
class Spent:
    """What one command took."""

    rows: int
    cpu_s: float
    wall_s: float
    pss_mb: float  # most of all its processes together
    rss_mb: float  # most of the largest

    @property
    def cells(self) -> list[str]:
        rate = self.rows / self.cpu_s
        times = [f"{self.cpu_s:,.1f}", f"{rate:,.0f}", f"{self.wall_s:,.1f}"]
        return [f"{self.rows:,}", *times, f"{self.pss_mb:,.0f}", f"{self.rss_mb:,.0f}"]


HEAD = ["rows", "CPU s", "rows/CPU s", "wall s", "tree PSS MB", "largest RSS MB"]


def main() -> None:
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    print(header(options.work), f"{'recipe':<9} {options.recipe}", sep="\n", end="\n\n")
    modes: dict[str, Callable[[argparse.Namespace], None]] = {
        "growth": _growth,
        "phases": _phases,
        "again": _again,
        "full": _full,
    }
    modes[options.mode](options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=("growth", "phases", "again", "full"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="ROWS")
    parser.add_argument("--rows", type=int, help="but for growth; each mode has its own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--recipe", choices=("plain", "r1", "whole"), default="plain")
    parser.add_argument("--work", type=Path, default=Path("/tmp/distill-bench-filter"))
    return parser.parse_args()


def _growth(options: argparse.Namespace) -> None:
    found = []
    for rows in options.sizes:
        data = _data(options.work, rows)
        found.append(_filter(options, data, options.work / "out"))
        print(f"{rows:,} rows done", file=sys.stderr)
    print(table(HEAD, [spent.cells for spent in found]))
    first, last = found[0], found[-1]
    ratio = (last.cpu_s / last.rows) / (first.cpu_s / first.rows)
    print(f"\nCPU a row at {last.rows:,} rows: {ratio:.2f} of that at {first.rows:,}")


def _full(options: argparse.Namespace) -> None:
    began = time.monotonic()
    rows = options.rows or 800_000
    data = _data(options.work, rows)
    print(f"{rows:,} rows made in {time.monotonic() - began:,.0f} s", file=sys.stderr)
    spent = _filter(options, data, options.work / "out")
    print(table(HEAD, [spent.cells]))
    report = read_json(options.work / "out" / "report.json")
    print(f"\nkept {report['kept']:,} of {report['read']:,}")
    print(table(["reason", "rows"], [[k, f"{v:,}"] for k, v in report["reasons"].items()]))


def _again(options: argparse.Namespace) -> None:
    """A first run, one with another threshold, and one that is killed in the middle."""
    data, out = _data(options.work, options.rows or 20_000), options.work / "out"
    first = _filter(options, data, out)
    more = ("--force", "--set", "rules.too_long=total_tokens <= 12000")
    other = _filter(options, data, out, *more, keep=True)
    shutil.rmtree(out)
    half = first.wall_s / 2
    with _started(options, data, out) as process, suppress(subprocess.TimeoutExpired):
        process.wait(half)
    resumed = _filter(options, data, out, keep=True)
    names = ("first", "other threshold", f"resumed after kill -9 at {half:.0f} s")
    cells = [[n, *s.cells] for n, s in zip(names, (first, other, resumed), strict=True)]
    print(table(["run", *HEAD], cells))


def _data(work: Path, rows: int) -> Path:
    """Traces of that number; made once."""
    out = work / f"traces-{rows}"
    if not (work / f"traces-{rows}.benchmark.jsonl").exists():
        command = [sys.executable, "-m", "bench.traces", str(rows), str(out), "--seed", str(SEED)]
        subprocess.run([*command, "--workers", str(os.cpu_count() or 1)], cwd=ROOT, check=True)
    return out


def _recipe(options: argparse.Namespace, data: Path) -> Path:
    """The chosen recipe as a file."""
    recipe: dict[str, Any] = yaml.safe_load((ROOT / "filters" / "r1.yaml").read_text())
    if options.recipe == "plain":
        rules = {name: sql for name, sql in recipe["rules"].items() if "verdict" not in sql}
        recipe["rules"] = rules
    if options.recipe == "whole":
        recipe["decontaminate"] = {"against": [f"{data}.benchmark.jsonl"]}
        recipe["select"] |= {"dedupe": "near", "quota": {"math": 300_000}, "shuffle": True}
    path: Path = options.work / f"{options.recipe}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@contextmanager
def _started(
    options: argparse.Namespace, data: Path, out: Path, *more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own; killed with its workers if it has not ended yet."""
    recipe = _recipe(options, data)
    command = [sys.executable, "-m", "distill", "filter", str(recipe), str(data), "-o", str(out)]
    command += ["--workers", str(options.workers), *more]
    with (options.work / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _filter(
    options: argparse.Namespace, data: Path, out: Path, *more: str, keep: bool = False
) -> Spent:
    if not keep:
        shutil.rmtree(out, ignore_errors=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with _started(options, data, out, *more) as process:
        tree = Tree(process.pid)
        tree.start()
        process.wait()
    wall = time.monotonic() - began
    tree.join()
    if process.returncode:
        raise SystemExit((options.work / "said.txt").read_text()[-4000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rows = read_json(out / "report.json")["read"]
    return Spent(rows, cpu, wall, tree.pss_mb, tree.rss_mb)


def _phases(options: argparse.Namespace) -> None:
    """In a process of its own, so that polars has one thread from the start."""
    data = _data(options.work, options.rows or 4_000)
    command = [sys.executable, "-m", "bench.phases", str(data), str(_recipe(options, data))]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"POLARS_MAX_THREADS": "1"})


if __name__ == "__main__":
    main()
