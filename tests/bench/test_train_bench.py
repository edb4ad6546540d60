"""bench.train runs from end to end, also its GPU variant, with shapes of two layers."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from bench.train_sides import SIDES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("more", [("--shapes", "smollm2"), ("--gpu", "--shapes", "7B, LoRA")])
def test_every_side_is_printed_with_the_same_first_loss(more: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "bench.train", "--tiny", *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {
        side: line.removeprefix(side).split()
        for line in done.stdout.splitlines()
        for side in SIDES
        if line.startswith(side)
    }
    assert set(found) == set(SIDES)
    losses = [float(cells[4]) for cells in found.values()]
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-3)
    assert all(float(cells[0].replace(",", "")) > 0 for cells in found.values())
