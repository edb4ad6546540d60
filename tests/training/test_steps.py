"""Every step of a training: its line in train.jsonl, the plot, and what report_to names."""

import json
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")


from distill.commands import train as command
from distill.errors import UserError
from distill.recipes.students import StudentRecipe
from distill.training.due import is_due
from distill.training.plot import plot
from distill.training.quiet import quiet
from distill.training.steps import Steps
from tests.builders.models import tiny
from tests.builders.recipes import naming
from tests.builders.rows import jsonl, sum_row


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A recipe and its data."""
    folder = tmp_path_factory.mktemp("job")
    with quiet():
        base = tiny(folder / "base")
    jsonl(folder / "kept.jsonl", *map(sum_row, range(6)))
    (folder / "s.yaml").write_text(
        f"base: {base}\nthreads: 1\nlora: {{r: 4}}\n"
        "sft: {learning_rate: 1e-2, per_device_train_batch_size: 2, gradient_checkpointing: false, "
        "gradient_accumulation_steps: 2, logging_steps: 3, num_train_epochs: 2}\n"
    )
    return str(folder / "s.yaml"), folder / "kept.jsonl"


def train(words: tuple[str, Path], out: Path, *more: str, dry_run: bool = False) -> None:
    recipe, data = words
    overrides = [*naming(recipe, "base"), *more]
    command.train(recipe, data, out=out, overrides=overrides, dry_run=dry_run)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def test_every_step_is_a_line_whatever_the_library_logs(
    words: tuple[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    train(words, out)
    told, made = lines(out), json.loads((out / "train.json").read_text())
    assert [line["step"] for line in told] == [1, 2, 3, 4]
    assert [line["epoch"] for line in told] == pytest.approx([2 / 3, 1, 5 / 3, 2], abs=1e-6)
    assert [line["learning_rate"] for line in told] == pytest.approx([1e-2, 7.5e-3, 5e-3, 2.5e-3])
    assert sum(line["tokens"] for line in told) == 2 * made["tokens"]
    assert all(line["tokens_per_s"] > 0 < line["grad_norm"] for line in told)
    assert sorted(line["wall_s"] for line in told) == [line["wall_s"] for line in told]
    assert made["loss"] == {"first": told[0]["loss"], "last": told[-1]["loss"]}
    assert told[-1]["wall_s"] <= made["wall_s"]
    train(words, tmp_path / "all", "sft.logging_steps=1")
    assert [line["loss"] for line in lines(tmp_path / "all")] == [line["loss"] for line in told]


def test_a_line_that_did_not_fit_on_the_disk_is_written_with_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "train.jsonl"
    steps = Steps(path=path)
    steps.restart(None)
    steps.add({"step": 1, "loss": 2.0})
    whole = path.read_bytes()
    path.unlink()  # as a full disk: it cannot be written to
    steps.add({"step": 2, "loss": 1.0})
    steps.add({"step": 3, "loss": 0.5})
    assert len(caplog.messages) == 1
    path.write_bytes(whole + b'{"step": 2, "lo')  # the part that still fitted
    steps.add({"step": 4, "loss": math.nan})
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]
    assert (steps.loss_first, math.isnan(steps.loss_last)) == (2.0, True)


@pytest.mark.parametrize("count", [1, 3, 500])
def test_a_training_is_drawn_in_one_small_png(count: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    told = [
        {
            "step": i,
            "loss": None if i == 2 else 2 / i,
            "tokens_per_s": 100.0,
            "learning_rate": 1e-4,
            **({"eval_loss": 1.0} if i % 100 == 0 else {}),
        }
        for i in range(1, count + 1)
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    plot(tmp_path / "train.jsonl", tmp_path / "train.png")
    drawn = (tmp_path / "train.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < 200_000
    assert int.from_bytes(drawn[16:20], "big") == 800


def test_without_matplotlib_there_is_a_log_line_and_no_plot(
    words: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with caplog.at_level(logging.INFO, "distill"):
        train(words, tmp_path / "out", "sft.max_steps=1")
    assert "no train.png, because matplotlib is not installed" in caplog.text
    assert not (tmp_path / "out" / "train.png").exists()


# --- report_to ---


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("swanlab", "swanlab: is not installed; next: pip install swanlab"),
        ("comet_ml", "pip install comet-ml"),
        ("[tensorboard, clearml]", "clearml: is not installed"),
        ("tensorbord", "did you mean 'tensorboard'"),
    ],
)
def test_a_missing_package_is_found_before_the_first_step(
    name: str, said: str, dry_run: bool, words: tuple[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        train(words, tmp_path / "out", f"sft.report_to={name}", dry_run=dry_run)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("proof.json"))


def test_tensorboards_files_lie_beside_the_student(
    words: tuple[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "out"
    train(words, out, "sft.report_to=tensorboard", "sft.logging_steps=1")
    read = events.EventAccumulator(str(out / "runs"))
    read.Reload()
    seen = [(event.step, event.value) for event in read.Scalars("train/loss")]
    assert seen == [(line["step"], pytest.approx(line["loss"])) for line in lines(out)]
    assert capfd.readouterr().out == ""


TRACKIO = """
import os, socket, sys
def refuse(*a, **k): raise OSError("no network")
socket.getaddrinfo = refuse
from distill.cli import main
status = main(sys.argv[1:])
import trackio
run = trackio.Api().runs("a-project")[0]
sys.stderr.write(f"status {status}, run {run.name}\\n")
"""


def test_trackio_gets_every_step_without_a_network_and_stdout_stays_empty(
    words: tuple[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("trackio")
    recipe, data = words
    out = tmp_path / "out"
    given = [*naming(recipe, "base"), "sft.report_to=trackio", "sft.project=a-project"]
    sets = [word for one in given for word in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-c", TRACKIO, "train", recipe, str(data), "-o", str(out), *sets],
        env={**os.environ, "TRACKIO_DIR": str(tmp_path / "tracked"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "status 0" in done.stderr, done.stderr
    assert done.stdout == ""
    assert list((tmp_path / "tracked").rglob("a-project*"))


# --- when a checkpoint is due ---


@pytest.mark.parametrize(
    ("recipe", "now", "due"),
    [
        ({}, {"since_s": 599}, False),
        ({}, {"since_s": 600}, True),
        ({}, {"since_s": 1199, "cost_s": 60}, False),  # it would take more than a twentieth
        ({}, {"since_s": 1200, "cost_s": 60}, True),
        ({"checkpoint_minutes": 1}, {"since_s": 60, "cost_s": 59}, True),  # as asked
        ({"checkpoint_minutes": 0}, {"since_s": 9999}, False),
        ({"sft": {"save_strategy": "no"}}, {"since_s": 9999}, False),
        ({"sft": {"save_strategy": "no"}, "checkpoint_minutes": 1}, {"since_s": 60}, True),
        ({"sft": {"save_strategy": "epoch"}}, {"since_s": 600}, True),
        ({"sft": {"save_only_model": True}}, {"since_s": 9999}, False),
        ({}, {"since_s": 5, "cost_s": 4, "stop": True}, True),
        ({}, {"since_s": 4, "cost_s": 5, "stop": True}, False),  # sooner repeated than written
        ({"checkpoint_minutes": 0}, {"since_s": 500, "stop": True}, False),
        ({}, {"since_s": 59, "over": True}, False),
        ({}, {"since_s": 61, "over": True}, True),  # in case the student cannot be saved
    ],
)
def test_a_checkpoint_is_written_when_it_is_worth_its_time(
    recipe: dict[str, Any], now: dict[str, Any], due: bool
) -> None:
    given: dict[str, Any] = {"cost_s": 0.0, "stop": False, "over": False} | now
    assert is_due(StudentRecipe(base="b", **recipe), **given) is due
