"""Runs ``distill generate`` as a user does, in a process of its own. Measures nothing inside it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.machine import ROOT, on_core


@contextmanager
def generating(recipe: Path, run: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A started ``distill generate RECIPE -o RUN``, killed if the block ends before it does."""
    command = [sys.executable, "-m", "distill", "generate", str(recipe), "-o", str(run), *more]
    with (recipe.parent / "said.txt").open("ab") as said, on_core(1):
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def refuse_failure(process: subprocess.Popen[bytes], recipe: Path) -> None:
    """Raises if an ended process did not end well.

    Raises:
        SystemExit: with what it said last.
    """
    if process.returncode:
        said = (recipe.parent / "said.txt").read_text(encoding="utf-8", errors="replace")
        msg = f"distill generate ended with {process.returncode}:\n{said[-4000:]}"
        raise SystemExit(msg)
