"""The demo alone and beside a busy process:  python -m bench.busy [--limit N] [--beside alone nice]

Runs what ``make demo`` runs, step by step, from a fresh folder each time: with nothing beside it,
with a process that spins on the first core, and with one that spins at nice 10 on any core. Prints
seconds for each step, how many times longer than alone, and the most memory of all processes
together (PSS). The spinning process has a session of its own, as another program of a desktop.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT, header, on_core
from bench.table import table
from bench.tree import Tree

SPIN = (sys.executable, "-c", "while True: pass")
BESIDE = ("alone", "pinned", "nice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one command of the demo took."""

    name: str
    wall_s: float
    pss_mb: float


def main() -> None:
    options = _options()
    options.work.mkdir(parents=True)  # a folder that is there may be somebody's
    print(header(options.work), flush=True)
    sides: dict[str, list[Step]] = {}
    for beside in options.beside:
        with _spinning(beside):
            sides[beside] = list(_demo(options.work / beside, limit=options.limit))
        _say(beside, sides[beside])
    print(_table(sides))
    shutil.rmtree(options.work)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=__doc__)
    parser.add_argument("--limit", type=int, help="questions of each run; default: all")
    parser.add_argument("--beside", nargs="+", choices=BESIDE, default=BESIDE)
    parser.add_argument("--work", type=Path, default=Path("/tmp/distill-bench-busy"))
    return parser.parse_args()


@contextmanager
def _spinning(beside: str) -> Iterator[None]:
    if beside == "alone":
        yield
        return
    line = ("nice", "-n", "10", *SPIN) if beside == "nice" else SPIN
    if beside == "pinned":
        with on_core(0):
            process = subprocess.Popen(line, start_new_session=True)
    else:
        process = subprocess.Popen(line, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _demo(folder: Path, *, limit: int | None) -> Iterator[Step]:
    """Runs the lines of the Makefile's own target, and says what each took."""
    fewer = "" if limit is None else f" --limit {limit}"
    for number, line in enumerate(_lines(folder)):
        verb = line.split()[1]
        asked = f"{verb}{fewer} " if verb in ("generate", "eval") else f"{verb} "
        yield _run(f"{number + 1} {verb}", line.replace(f"{verb} ", asked, 1), folder=folder)


def _lines(folder: Path) -> list[str]:
    """The commands of ``make demo``, without what sets the environment up."""
    make = ["make", "-n", "-o", ".venv/.ready", "demo", f"DEMO={folder}"]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if "distill" in line.split(" ", 1)[0]]


def _run(name: str, line: str, *, folder: Path) -> Step:
    said = folder.with_suffix(".txt")
    began = time.monotonic()
    with said.open("ab") as file:
        process = subprocess.Popen(["bash", "-c", line], cwd=ROOT, stdout=file, stderr=file)
        tree = Tree(process.pid)
        tree.start()
        try:
            process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
    tree.join()
    if process.returncode:
        raise SystemExit(said.read_text(errors="replace")[-4000:])
    return Step(name=name, wall_s=time.monotonic() - began, pss_mb=tree.pss_mb)


def _say(beside: str, steps: Sequence[Step]) -> None:
    load = os.getloadavg()[0]
    took = sum(step.wall_s for step in steps)
    print(f"{beside}: {took:.0f} s, load {load:.1f}", file=sys.stderr, flush=True)


def _table(sides: dict[str, list[Step]]) -> str:
    whole = {beside: [*steps, _whole(steps)] for beside, steps in sides.items()}
    head = ["step", *(cell for beside in sides for cell in (f"{beside} s", "times", "PSS MB"))]
    return table(head, [_row(steps) for steps in zip(*whole.values(), strict=True)])


def _whole(steps: Sequence[Step]) -> Step:
    took, most = sum(step.wall_s for step in steps), max(step.pss_mb for step in steps)
    return Step(name="demo", wall_s=took, pss_mb=most)


def _row(steps: Sequence[Step]) -> list[str]:
    """One step beside each neighbour; the first is what the others are compared with."""
    cells = [steps[0].name]
    for step in steps:
        ratio = step.wall_s / steps[0].wall_s
        cells += [f"{step.wall_s:.0f}", f"{ratio:.1f}", f"{step.pss_mb:,.0f}"]
    return cells


if __name__ == "__main__":
    main()
