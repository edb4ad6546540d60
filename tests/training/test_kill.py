"""``distill train`` in a process of its own that is killed or interrupted, and goes on."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file

from distill.commands import train as command
from distill.errors import Interrupted
from distill.training.checkpoints import Checkpoints
from distill.training.quiet import quiet
from distill.training.steps import Steps
from tests.builders.models import tiny
from tests.builders.recipes import naming
from tests.builders.rows import jsonl, sum_row

STEPS = 18
# Ends itself with a signal when a file is opened or moved for the nth time.
PROGRAM = """
import os, sys
event, path, mode, count, number = sys.argv[1:6]
left = int(count)
def hook(name, given):
    global left
    if name == event and str(given[0]).endswith(path) and (not mode or given[1] == mode):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), int(number))
sys.addaudithook(hook)
from distill.cli import main
sys.exit(main(sys.argv[6:]))
"""
AT_STEP = ("open", "/train.jsonl", "r+")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command without its -o; checkpoints are written after each step."""
    folder = tmp_path_factory.mktemp("job")
    with quiet():
        base = tiny(folder / "base", attention_dropout=0.1)
    rows = (sum_row(i, reasoning=f"{i} and one " * (1 + i % 5)) for i in range(23))
    jsonl(folder / "kept.jsonl", *rows)
    (folder / "s.yaml").write_text(
        f"base: {base}\nthreads: 1\ncheckpoint_minutes: 0.00001\n"
        "lora: {r: 4, lora_alpha: 32, lora_dropout: 0.3}\n"
        "sft: {learning_rate: 1e-2, per_device_train_batch_size: 2, gradient_checkpointing: false, "
        "train_sampling_strategy: group_by_length, gradient_accumulation_steps: 2, "
        f"logging_steps: 5, max_steps: {STEPS}}}\n"
    )
    given = [word for one in naming(str(folder / "s.yaml"), "base") for word in ("--set", one)]
    return ["train", str(folder / "s.yaml"), str(folder / "kept.jsonl"), *given]


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    finish(words, out)
    return out


def finish(words: list[str], out: Path) -> None:
    _, recipe, data, *given = words
    command.train(recipe, data, out=out, overrides=given[1::2])


def ended(
    words: list[str],
    out: Path,
    at: tuple[str, str, str],
    count: int,
    number: int,
    *,
    launcher: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    told = [*at, str(count), str(number), *words, "-o", str(out)]
    return subprocess.run(
        [sys.executable, *launcher, "-c", PROGRAM, *told],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def curve(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    return [{k: v for k, v in x.items() if k not in ("wall_s", "tokens_per_s")} for x in lines]


def assert_the_same(out: Path, whole: Path) -> None:
    assert curve(out) == curve(whole)
    assert [line["step"] for line in curve(out)] == list(range(1, STEPS + 1))
    first, second = (load_file(each / "adapter_model.safetensors") for each in (out, whole))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [json.loads((each / "train.json").read_text())["loss"] for each in (out, whole)]
    assert losses[0] == losses[1]


def test_killed_at_any_moment_it_goes_on_to_the_same_student(
    words: list[str], whole: Path, tmp_path: Path
) -> None:
    """At a step, before a file of a checkpoint is written, and before it is moved to its place."""
    out, step = tmp_path / "out", random.Random(7).randrange(2, STEPS // 2)
    for at, count in (
        (AT_STEP, step),
        (("open", f"/.part/checkpoint-{step + 3}/trainer_state.json", "w"), 1),
        (("os.rename", f"/.part/checkpoint-{step + 6}", ""), 1),
    ):
        assert ended(words, out, at, count, signal.SIGKILL).returncode == -signal.SIGKILL
        assert not (out / "train.json").exists()
        assert 1 <= len(list((out / "checkpoints").glob("*/checkpoint-*"))) <= 2
    assert list((out / "checkpoints").glob(f"*/.part/checkpoint-{step + 6}/complete.json"))
    finish(words, out)
    assert_the_same(out, whole)
    assert not (out / "checkpoints").exists()


def test_interrupted_it_says_where_it_will_go_on_and_does(
    words: list[str], whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = ended(words, out, AT_STEP, 5, signal.SIGINT)
    assert done.returncode == 130, done.stderr
    assert "stops after this step (again to stop at once)" in done.stderr
    assert re.search(r"interrupted after step 6 of 18; .* goes on from step \d+", done.stderr)
    with pytest.raises(Interrupted, match="after step 12 of 18; the same command goes on from"):
        finish_with(signal.SIGTERM, words, out, step=11)
    finish(words, out)
    assert_the_same(out, whole)


def finish_with(number: int, words: list[str], out: Path, *, step: int, times: int = 1) -> None:
    real = Steps.add

    def add(self: Steps, line: dict[str, Any]) -> None:
        real(self, line)
        for _ in range(times if line["step"] == step else 0):
            signal.raise_signal(number)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Steps, "add", add)
        finish(words, out)


def test_two_processes_go_on_together_to_the_same_student(words: list[str], tmp_path: Path) -> None:
    """Killed in the middle of the third epoch. One process alone takes other batches."""
    pair = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python", sys.executable]

    def both(out: Path, count: int) -> subprocess.CompletedProcess[str]:
        return ended(words, out, AT_STEP, count, signal.SIGKILL, launcher=pair)

    whole, out = tmp_path / "whole", tmp_path / "out"
    assert both(whole, 999).returncode == 0
    assert both(out, 8).returncode != 0
    (kept,) = (out / "checkpoints").iterdir()
    assert {path.name for path in kept.glob("checkpoint-*")} == {"checkpoint-6", "checkpoint-7"}
    alone = Checkpoints(folder=kept, processes=1)
    assert alone.newest() is None
    done = both(out, 999)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"goes on from {kept / 'checkpoint-7'}") == 1
    assert_the_same(out, whole)


@pytest.mark.parametrize(("times", "after"), [(1, 4), (2, 3)], ids=["once", "twice"])
def test_a_training_that_has_written_no_checkpoint_says_that_it_will_start_again(
    times: int, after: int, words: list[str], tmp_path: Path
) -> None:
    never = [*words, "--set", "checkpoint_minutes=0"]
    said = f"after step {after} of {STEPS}; the same command starts from the beginning"
    with pytest.raises(Interrupted, match=said):
        finish_with(signal.SIGINT, never, tmp_path / "out", step=3, times=times)


def test_the_time_between_checkpoints_is_no_part_of_a_student(
    words: list[str], whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    with caplog.at_level("INFO", "distill"):
        finish([*words, "--set", "checkpoint_minutes=3"], tmp_path / "out")
    assert "already done" in caplog.text
