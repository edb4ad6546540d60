"""The benchmark of filter runs from end to end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed(tmp_path: Path, *command: str) -> dict[str, list[str]]:
    """The cells of each line by the first of them."""
    whole = [sys.executable, "-m", "bench.filter", *command, "--work", str(tmp_path)]
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [
        [cell.strip() for cell in line.split("  ") if cell] for line in done.stdout.splitlines()
    ]
    return {line[0]: line[1:] for line in cells if line}


def test_growth_counts_every_row_and_what_it_took(tmp_path: Path) -> None:
    found = printed(tmp_path, "growth", "--sizes", "120", "--workers", "1", "--recipe", "whole")
    cpu_s, rate, wall_s, tree_mb, largest_mb = (float(c.replace(",", "")) for c in found["120"])
    assert rate == pytest.approx(120 / cpu_s, rel=0.1)
    assert wall_s > 0
    assert 50 < largest_mb < 2_000
    assert 50 < tree_mb < 2_000


def test_phases_name_each_piece_and_its_cost(tmp_path: Path) -> None:
    found = printed(tmp_path, "phases", "--rows", "60")
    for piece in ("read (twice a run)", "filtering.hashes", "signals.repetition", "rules", "write"):
        assert float(found[piece][0]) > 0
