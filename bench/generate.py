"""The benchmark of the generation client: ``python -m bench.generate COMMAND``; see README.md.

Reads the command line and starts what it names. Both sides are measured in one run, on the
machine that the first lines describe.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.client import cpu, growth, latency
from bench.kill import kill
from bench.machine import ROOT, header, raise_file_limit
from bench.resume import resume
from bench.stub import Stub, running

STUB = ROOT / "bench" / "stub_teacher.py"
Given = argparse.Namespace


def _cpu(given: Given, stub: Stub, work: Path) -> None:
    cpu(stub, work, requests=given.requests, concurrency=given.concurrency, rounds=given.rounds)


def _growth(given: Given, stub: Stub, work: Path) -> None:
    growth(stub, work, requests=given.requests, concurrency=given.concurrency)


def _latency(given: Given, stub: Stub, work: Path) -> None:
    latency(
        stub,
        work,
        requests=given.requests,
        concurrency=given.concurrency,
        latency_s=given.latency_s,
    )


def _resume(given: Given, stub: Stub, work: Path) -> None:
    resume(stub, work, rows=given.rows, left=given.open, concurrency=given.concurrency)


def _kill(given: Given, stub: Stub, work: Path) -> bool:
    return kill(
        stub,
        work,
        requests=given.requests,
        concurrency=given.concurrency,
        latency_s=given.latency_s,
        kills=given.kills,
        seed=given.seed,
    )


# In the order in which ``all`` runs them.
BENCHMARKS: dict[str, tuple[str, Callable[[Given, Stub, Path], bool | None]]] = {
    "cpu": ("CPU time a request, beside the bare loop and the openai SDK", _cpu),
    "growth": ("CPU, memory and disk as the set grows", _growth),
    "latency": ("throughput with a slow teacher", _latency),
    "resume": ("how soon an almost finished run goes on", _resume),
    "kill": ("what kill -9 costs", _kill),
}
# The options of each, with their defaults; where that is a list, several may be given.
OPTIONS: dict[str, dict[str, int | float | list[int]]] = {
    "cpu": {"requests": 5_000, "concurrency": [64, 256, 512, 1_000], "rounds": 3},
    "growth": {"requests": [1_000, 10_000, 100_000], "concurrency": 1_000},
    "latency": {"requests": 10_000, "concurrency": 1_000, "latency-s": 2.0},
    "resume": {"rows": 1_000_000, "open": 1_000, "concurrency": 256},
    "kill": {"requests": 20_000, "concurrency": 256, "latency-s": 0.05, "kills": 3, "seed": 1},
}


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stub", type=Path, default=STUB, help="the stub teacher (a Python file)")
    common.add_argument("--answer-kb", type=int, default=8, help="size of an answer (default 8)")
    common.add_argument("--work", type=Path, default=ROOT / "build", help="where runs are written")
    parser = argparse.ArgumentParser(prog="python -m bench.generate")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (text, _) in BENCHMARKS.items():
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(names=[name])
        for option, value in OPTIONS[name].items():
            _option(command, option, value)
    every = commands.add_parser("all", parents=[common], help="each of them, with its defaults")
    every.set_defaults(names=list(BENCHMARKS))
    return parser


def _option(command: argparse.ArgumentParser, name: str, value: int | float | list[int]) -> None:
    shown = " ".join(map(str, value)) if isinstance(value, list) else value
    command.add_argument(
        f"--{name}",
        type=float if isinstance(value, float) else int,
        nargs="+" if isinstance(value, list) else None,
        default=value,
        help=f"default {shown}",
    )


def main(argv: list[str] | None = None) -> int:
    """Runs what the command line names; 1 if a check did not hold."""
    parser = _parser()
    given = parser.parse_args(argv)
    if not given.stub.is_file():
        parser.error(f"--stub: {given.stub}: no such file")
    raise_file_limit()
    given.work.mkdir(parents=True, exist_ok=True)
    held = True
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.work) as work:
        print(header(Path(work)), flush=True)
        for name in given.names:
            each = given if len(given.names) == 1 else parser.parse_args([name])
            with running(given.stub.resolve(), answer_kb=given.answer_kb) as stub:
                held = BENCHMARKS[name][1](each, stub, Path(work)) is not False and held
            sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
