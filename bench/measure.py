"""Runs one measured process against the stub teacher and checks that it did the work."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.cost import Cost, Job, Side, Spent
from bench.machine import ROOT, on_core
from bench.stub import Stub
from bench.work import write_recipe


def sides() -> list[Side]:
    """The sides that can be measured here; the SDK is not needed by distill."""
    return ["bare", "sdk", "distill"] if find_spec("openai") else ["bare", "distill"]


def measure(
    side: Side, stub: Stub, work: Path, *, count: int, concurrency: int, latency_s: float = 0.0
) -> Cost:
    """What it costs ``side`` to ask ``count`` questions; its files are removed again.

    Raises:
        SystemExit: it failed, or the stub teacher answered another number of questions.
    """
    folder = work / "measured"
    stub.reset(latency_s=latency_s)
    if side == "distill":
        parts = {"warm": range(count, count + 1), "asked": range(count)}
        for name, numbers in parts.items():
            write_recipe(folder / name, url=stub.url, numbers=numbers, concurrency=concurrency)
    job = Job(side=side, url=stub.url, count=count, concurrency=concurrency, folder=str(folder))
    try:
        cost = _run(job)
        kept = sum(file.stat().st_size for file in (folder / "asked/run").glob("ledger*"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _check_work(side, stub, count + 1)
    _say(job, cost)
    return replace(cost, disk_bytes=kept)


def _run(job: Job) -> Cost:
    command = [sys.executable, "-m", "bench.sides", json.dumps(asdict(job))]
    with on_core(1):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{job.side} failed:\n{done.stderr[-4000:]}"
        raise SystemExit(msg)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for stretch in ("asking", "whole"):
        found[stretch] = Spent(**found[stretch])
    return Cost(**found)


def _check_work(side: Side, stub: Stub, wanted: int) -> None:
    seen = stub.stats()
    if seen["unique_done"] != wanted:
        msg = f"{side}: {wanted} answers were ordered, the stub teacher saw {seen}"
        raise SystemExit(msg)
    if seen["total"] != wanted:
        print(f"  {side}: made {seen['total']} requests for {wanted} answers", file=sys.stderr)


def _say(job: Job, cost: Cost) -> None:
    """Progress, on standard error: a whole run takes minutes."""
    print(
        f"  {job.side}, {job.count:,} requests, {job.concurrency:,} at once: "
        f"{cost.asking_us():,.0f} CPU us/request, {cost.asking.wall_s:.1f} s",
        file=sys.stderr,
    )
