"""The benchmark runs from end to end, and its sides do the same work."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.cost import Job, Side
from bench.measure import sides
from bench.work import body, write_recipe
from tests.builders.teacher_server import teacher_server

ROOT = Path(__file__).parents[2]


def printed(work: Path, *command: str) -> str:
    """What a benchmark prints to standard output; it must end well and leave no file behind."""
    whole = [sys.executable, "-m", "bench.generate", *command, "--work", str(work)]
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(work.iterdir()) == []
    return done.stdout


def test_both_sides_are_printed_in_one_run_below_what_they_ran_on(tmp_path: Path) -> None:
    sizes = ("--requests", "200", "--concurrency", "32", "--rounds", "1")
    text = printed(tmp_path, "cpu", *sizes)
    first = [line.split("  ")[0] for line in text.splitlines()]
    assert {*sides(), "distill, asking", "distill, whole command"} <= set(first)
    assert {"date", "machine", "python", "packages", "commit"} <= {x.split()[0] for x in first if x}


# (what is run, a line that it must print)
SMALL = {
    "growth": ("--requests 100 200 --concurrency 32", "200 "),
    "latency": ("--requests 64 --concurrency 32 --latency-s 0.1", "distill "),
    "resume": ("--rows 300 --open 20 --concurrency 8", "requests made  "),
    "kill": ("--requests 400 --concurrency 16 --kills 2 --latency-s 0.1", "integrity_check"),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_other_benchmark_runs_to_its_end(tmp_path: Path, name: str) -> None:
    sizes, wanted = SMALL[name]
    text = printed(tmp_path, name, *sizes.split())
    assert any(line.startswith(wanted) for line in text.splitlines()), text


def by_question(bodies: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {whole["messages"][0]["content"]: whole for whole in bodies}


@pytest.mark.parametrize("side", sides())
def test_every_side_sends_the_same_requests(tmp_path: Path, side: Side) -> None:
    with teacher_server() as server:
        for name, numbers in {"warm": range(20, 21), "asked": range(20)}.items():
            write_recipe(tmp_path / name, url=server.url, numbers=numbers, concurrency=4)
        job = Job(side=side, url=server.url, count=20, concurrency=4, folder=str(tmp_path))
        command = [sys.executable, "-m", "bench.sides", json.dumps(asdict(job))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    ordered = [body(n) for n in range(21)]
    assert by_question(server.bodies) == by_question(ordered)
    assert len(server.bodies) == len(ordered)
