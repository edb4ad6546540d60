"""How soon a run that is almost done goes on, and what memory that takes."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.command import generating, refuse_failure
from bench.fill import fill
from bench.machine import peak_mb, peak_mb_of
from bench.stub import Stub
from bench.table import table
from bench.work import write_recipe

EVERY_S = 0.01  # how often the stub teacher is asked whether a request has come


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """One fresh process on a ledger that is almost full."""

    first_s: float  # from its start to the first request
    first_mb: float | None  # the most memory until then
    whole_s: float  # until it has ended, traces/ written anew
    whole_mb: float


def resume(stub: Stub, work: Path, *, rows: int, left: int, concurrency: int) -> None:
    """Times ``distill generate`` where all but the last ``left`` of ``rows`` are answered.

    The open ones are at the end, so everything answered is passed before the first is found.
    """
    print(f"\nresume: {rows:,} problems, {rows - left:,} of them answered\n")
    folder = work / "resume"
    try:
        stub.reset()
        recipe = write_recipe(folder, url=stub.url, numbers=range(rows), concurrency=concurrency)
        with generating(recipe, folder / "run", "--limit", "1") as process:
            process.wait()
        refuse_failure(process, recipe)
        fill(folder / "run/ledger.sqlite", answered=rows - left)
        ledger_mb = sum(f.stat().st_size for f in (folder / "run").glob("ledger*")) / 1e6
        stub.reset()
        found = _resumed(stub, recipe, folder / "run")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seen = stub.stats()
    if seen["unique_done"] != left:
        msg = f"resume: {left} requests were open, the stub teacher saw {seen}"
        raise SystemExit(msg)
    print(table(["what", "found"], _lines(found, ledger_mb, seen["total"])))


def _lines(found: Resumed, ledger_mb: float, asked: int) -> list[list[str]]:
    first_mb = "unknown" if found.first_mb is None else f"{found.first_mb:,.0f} MB"
    return [
        ["ledger", f"{ledger_mb:,.0f} MB"],
        ["process start to first request", f"{found.first_s:.2f} s"],
        ["peak memory until then", first_mb],
        ["process start to end (export of all rows included)", f"{found.whole_s:.1f} s"],
        ["peak memory of the whole command", f"{found.whole_mb:,.0f} MB"],
        ["requests made", f"{asked:,}"],
    ]


def _resumed(stub: Stub, recipe: Path, run: Path) -> Resumed:
    began = time.perf_counter()
    with generating(recipe, run) as process:
        while not stub.stats()["total"] and process.poll() is None:
            time.sleep(EVERY_S)
        first_s, first_mb = time.perf_counter() - began, peak_mb(process.pid)
        whole_mb = _ended(process)
    refuse_failure(process, recipe)
    whole_s = time.perf_counter() - began
    return Resumed(first_s=first_s, first_mb=first_mb, whole_s=whole_s, whole_mb=whole_mb)


def _ended(process: subprocess.Popen[bytes]) -> float:
    """Waits for the end; the most memory (MB) that this one process held."""
    if process.returncode is not None:
        return 0.0  # before its first request: it failed, and is refused for that
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return peak_mb_of(usage)
