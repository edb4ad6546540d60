"""An interrupted training goes on to the same student, from the last checkpoint that counts."""

import errno
import json
import logging
import pickle
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
from safetensors.torch import load_file

from distill.commands import train as command
from distill.errors import Exit, UserError
from distill.files.done import file_digest
from distill.local_models.digest import sampled_digest
from distill.training.checkpoints import MANIFEST, Checkpoints
from distill.training.quiet import quiet
from distill.training.writing import failure_of, why
from tests.builders.models import tiny
from tests.builders.recipes import naming
from tests.builders.rows import jsonl, sum_row

LORA = "lora: {r: 4, lora_alpha: 32, lora_dropout: 0.3}"
FULL = "lora: null"
EVERY_STEP = "save_strategy: steps, save_steps: 1"
# What a clock says differs from run to run.
CLOCK = ("wall_s", "tokens_per_s")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny(tmp_path_factory.mktemp("tiny"), attention_dropout=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "kept.jsonl"
    return jsonl(path, *(sum_row(i, reasoning=f"{i} and one " * (1 + i % 5)) for i in range(11)))


def write(folder: Path, base: Path, method: str, sft: str) -> str:
    path = folder / "s.yaml"
    path.write_text(
        f"base: {base}\n{method}\nthreads: 1\n"
        "sft: {learning_rate: 1e-2, per_device_train_batch_size: 2, gradient_checkpointing: false, "
        f"num_train_epochs: 2, {sft}}}\n"
    )
    return str(path)


def train(recipe: str, data: Path, out: Path) -> Exit:
    return command.train(recipe, data, out=out, overrides=naming(recipe, "base"))


def weights(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def curve(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in lines]


def checkpoints(out: Path) -> Path:
    (folder,) = (out / "checkpoints").iterdir()
    return folder


def stopped_at(whole: Path, out: Path, *steps: int) -> Path:
    """A training that was killed some time after the last of these checkpoints."""
    shutil.copytree(whole, out)
    for path in checkpoints(out).iterdir():
        if path.name not in {f"checkpoint-{step}" for step in steps}:
            shutil.rmtree(path)
    (out / "train.json").unlink()
    for path in out.glob("*.safetensors"):
        path.unlink()
    return checkpoints(out)


# --- the same curve ---


@pytest.mark.parametrize(
    ("method", "sft"),
    [
        (LORA, "train_sampling_strategy: group_by_length"),
        (LORA, "gradient_accumulation_steps: 2, logging_steps: 3"),
        (FULL, "train_sampling_strategy: group_by_length, gradient_accumulation_steps: 2"),
        (FULL, "bf16: true, logging_steps: 4, lr_scheduler_type: cosine, data_seed: 7"),
        (LORA, "packing: true, max_length: 200, neftune_noise_alpha: 5, warmup_steps: 0.3"),
        (LORA, "train_sampling_strategy: sequential, optim: adafactor, dataloader_num_workers: 1"),
    ],
    ids=["grouped", "accumulated", "full", "bf16", "packed", "workers"],
)
def test_from_each_step_the_curve_goes_on_as_if_nothing_had_been(
    method: str, sft: str, base: Path, data: Path, tmp_path: Path
) -> None:
    recipe, whole = write(tmp_path, base, method, f"{sft}, {EVERY_STEP}"), tmp_path / "whole"
    train(recipe, data, whole)
    student, steps = weights(whole), curve(whole)
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    assert len(steps) >= 6
    logged = logged_by_the_library(checkpoints(whole) / f"checkpoint-{len(steps)}")
    early = {LORA: 1, FULL: len(steps) // 3}[method]  # in the first epoch
    for step in (early, len(steps) // 2 + 1 if "logging" in sft else len(steps)):
        out = tmp_path / f"from-{step}"
        stopped_at(whole, out, step)
        train(recipe, data, out)
        assert curve(out) == steps, step
        assert same(weights(out), student), step
        told, again = (json.loads((at / "train.json").read_text()) for at in (whole, out))
        assert again["steps"] == told["steps"]
        assert (
            again["loss"] == told["loss"] == {"first": steps[0]["loss"], "last": steps[-1]["loss"]}
        )
        last = checkpoints(out) / f"checkpoint-{len(steps)}"
        assert logged_by_the_library(last) == logged, step


def logged_by_the_library(checkpoint: Path) -> list[Any]:
    told = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    return [{k: v for k, v in line.items() if not k.startswith("train_")} for line in told]


# --- damaged checkpoints ---


def garble(file: Path) -> None:
    file.write_bytes(bytes(255 - byte for byte in file.read_bytes()))


def one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pickled(file: Path) -> None:
    canary = file.parent / "canary"
    file.write_bytes(pickle.dumps(Runs(str(canary))))


class Runs:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, (f"open({self.path!r}, 'w').close()",))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "garbage": garble,
    "one bit": one_bit,
    "pickle": pickled,
    "a folder": as_folder,
    "no JSON": lambda file: file.write_text("{"),
    "another JSON": lambda file: file.write_text("[]"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, base: Path, data: Path) -> Path:
    """A finished training with a checkpoint of each of its four steps."""
    folder = tmp_path_factory.mktemp("whole")
    train(recipe_of(folder, base), data, folder / "out")
    return folder / "out"


def recipe_of(folder: Path, base: Path) -> str:
    return write(folder, base, LORA, f"max_steps: 4, {EVERY_STEP}")


def files_of_a_checkpoint() -> list[str]:
    return [
        *("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
        *("trainer_state.json", "sums_0.json", "train.jsonl", MANIFEST),
    ]


@pytest.mark.parametrize("name", files_of_a_checkpoint())
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    name: str, whole: Path, base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each damage is looked at; one is trained from, because that takes seconds."""
    for kind, damage in DAMAGES.items():
        folder = stopped_at(whole, tmp_path / kind, 2, 3)
        damage(folder / "checkpoint-3" / name)
        caplog.clear()
        kept = Checkpoints(folder=folder, processes=1)
        assert kept.newest() == folder / "checkpoint-2", kind
        (said,) = caplog.messages
        assert "checkpoint-3 is passed over: " in said
        assert name in said or name == MANIFEST
        assert not list(tmp_path.rglob("canary"))
        if (name, kind) == ("optimizer.pt", "cut"):
            train(recipe_of(tmp_path, base), data, tmp_path / kind)
            assert curve(tmp_path / kind) == curve(whole)
            assert same(weights(tmp_path / kind), weights(whole))


def test_every_file_of_a_checkpoint_is_guarded(whole: Path) -> None:
    made = checkpoints(whole) / "checkpoint-2"
    guarded = json.loads((made / MANIFEST).read_text())["files"]
    assert {path.name for path in made.iterdir()} == {*guarded, MANIFEST}
    assert set(files_of_a_checkpoint()) <= {*guarded, MANIFEST}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "0" * 16}, "of another recipe"),
        ({"processes": 8}, "of 8 processes, and now there are 1"),
        ({"whole": False}, "no optimizer"),
        ({"files": {}}, "trainer_state.json is damaged"),
        ({"files": []}, "damaged"),
    ],
)
def test_a_checkpoint_of_another_training_does_not_count(
    change: dict[str, Any], said: str, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 3)
    manifest = folder / "checkpoint-3" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    assert Checkpoints(folder=folder, processes=1).newest() is None
    assert said in caplog.text


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_pickle_is_not_run_even_where_the_manifest_vouches_for_it(
    name: str, whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 3)
    pickled(folder / "checkpoint-3" / name)
    manifest = folder / "checkpoint-3" / MANIFEST
    told = json.loads(manifest.read_text())
    told["files"][name] = file_digest(folder / "checkpoint-3" / name)
    manifest.write_text(json.dumps(told))
    assert Checkpoints(folder=folder, processes=1).newest() is None
    assert f"{name} holds something other than numbers" in caplog.text
    assert not list(tmp_path.rglob("canary"))


def test_a_state_of_another_version_of_transformers_is_passed_over(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 3)
    state, manifest = (folder / "checkpoint-3" / name for name in ("trainer_state.json", MANIFEST))
    state.write_text(json.dumps(json.loads(state.read_text()) | {"of_the_future": 1}))
    told = json.loads(manifest.read_text())
    told["files"][state.name] = file_digest(state)
    manifest.write_text(json.dumps(told))
    assert Checkpoints(folder=folder, processes=1).newest() is None
    assert "another version of transformers" in caplog.text


def test_checkpoints_of_another_recipe_are_left_alone_and_named(
    whole: Path, base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 3)
    train(write(tmp_path, base, LORA, "max_steps: 1"), data, tmp_path / "out")
    assert f"{folder} is of another recipe or of other data" in caplog.text
    assert "it starts from the beginning" in caplog.text
    assert (folder / "checkpoint-3").is_dir()
    assert checkpoints(tmp_path / "out") == folder


def test_a_checkpoint_without_an_optimizer_is_said_to_be_no_use_and_is_not_used(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sft = f"max_steps: 2, save_only_model: true, {EVERY_STEP}"
    recipe, out = write(tmp_path, base, LORA, sft), tmp_path / "out"
    train(recipe, data, out)
    assert "stopped, it starts from the beginning; next: leave it out" in caplog.text
    first = curve(out)
    assert not list(checkpoints(out).rglob("optimizer.pt"))
    (out / "train.json").unlink()
    train(recipe, data, out)
    assert "it has no optimizer (sft.save_only_model)" in caplog.text
    assert curve(out) == first


@pytest.mark.parametrize(
    ("sft", "left"),
    [
        (EVERY_STEP, {1, 2, 3, 4}),
        (f"{EVERY_STEP}, save_total_limit: 3", {2, 3, 4}),
        ("save_strategy: steps, save_steps: 3", {3, 4}),  # transformers saves the last step too
        ("seed: 1", set()),
    ],
)
def test_a_finished_training_keeps_only_the_checkpoints_that_its_recipe_asks_for(
    sft: str, left: set[int], base: Path, data: Path, tmp_path: Path
) -> None:
    recipe = write(tmp_path, base, LORA, f"max_steps: 4, {sft}")
    Path(recipe).write_text(Path(recipe).read_text() + "checkpoint_minutes: 0.00001\n")
    train(recipe, data, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").glob("checkpoints/*/*")}
    assert names == {f"checkpoint-{step}" for step in left}


@pytest.mark.parametrize("wild", ["sft.learning_rate=1e30", "sft.max_grad_norm=1e30"])
def test_where_the_loss_is_no_number_the_last_checkpoint_is_kept_and_named(
    wild: str, base: Path, data: Path, tmp_path: Path
) -> None:
    sft = f"max_steps: 20, max_grad_norm: 0, optim: sgd, lr_scheduler_type: constant, {EVERY_STEP}"
    recipe = write(tmp_path, base, FULL, sft)
    given = [*naming(recipe, "base"), "sft.learning_rate=1e30", wild]
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step .*; .* is kept") as caught:
        command.train(recipe, data, out=tmp_path / "out", overrides=given)
    named = Path(str(caught.value).split("; ")[-1].removesuffix(" is kept"))
    assert (named / MANIFEST).is_file()


def test_without_a_checkpoint_that_counts_it_starts_from_the_beginning_and_says_so(
    whole: Path, base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 2, 3)
    for step in (2, 3):
        garble(folder / f"checkpoint-{step}" / "optimizer.pt")
    with caplog.at_level(logging.INFO, "distill"):
        train(recipe_of(tmp_path, base), data, tmp_path / "out")
    assert caplog.text.count("optimizer.pt is damaged") == 2
    assert "no checkpoint counts, so it starts from the beginning" in caplog.text
    assert curve(tmp_path / "out") == curve(whole)
    assert same(weights(tmp_path / "out"), weights(whole))


# --- written whole or not at all ---


def test_half_a_checkpoint_is_never_in_a_place_where_it_would_count(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a kill leaves it at each file: it is still in the folder where it was written."""
    folder = stopped_at(whole, tmp_path / "out", 2, 3)
    made = sorted((folder / "checkpoint-3").iterdir())
    for count in range(len(made)):
        part = folder / ".part" / "checkpoint-3"
        part.mkdir(parents=True)
        for path in made[:count]:
            shutil.copy(path, part)
        (part / made[count].name).write_bytes(made[count].read_bytes()[:10])
        assert Checkpoints(folder=folder, processes=1).newest() == folder / "checkpoint-3"
        assert not (folder / ".part").exists()
    assert not caplog.messages


def test_without_space_for_a_checkpoint_training_goes_on_and_keeps_the_last(
    base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No file may grow above 40 kB, which the weights and the optimizer do from step 3 on."""
    recipe, out = write(tmp_path, base, FULL, f"max_steps: 4, {EVERY_STEP}"), tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = Checkpoints.seal

    def seal(self: Checkpoints, step: int, **given: bool) -> None:
        real(self, step, **given)
        if step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Checkpoints, "seal", seal)
        patched.setattr("distill.training.run.save", lambda *_, **__: None)
        try:
            train(recipe, data, out)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for step in (3, 4):
        assert f"no checkpoint could be written at step {step}: " in caplog.text
    names = {path.name for path in checkpoints(out).iterdir()}
    assert names == {"checkpoint-1", "checkpoint-2"}
    assert [line["step"] for line in curve(out)] == [1, 2, 3, 4]


def test_where_only_one_checkpoint_fits_the_oldest_gives_way_and_the_curve_is_whole(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = write(tmp_path, base, FULL, "max_steps: 4"), tmp_path / "out"
    Path(recipe).write_text(Path(recipe).read_text() + "checkpoint_minutes: 0.00001\n")
    real, kept = Checkpoints.seal, []

    def seal(self: Checkpoints, step: int, **given: bool) -> None:
        if len(self.mine) > 1:  # as a disk that has room for two
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, step, **given)
        kept.append([path.name for path in self.folder.glob("checkpoint-*")])

    monkeypatch.setattr(Checkpoints, "seal", seal)
    train(recipe, data, out)
    assert [sorted(names)[-1] for names in kept] == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    assert all(len(names) <= 2 for names in kept)
    assert [line["step"] for line in curve(out)] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja", "config.json"])
def test_a_base_whose_files_were_replaced_is_another_base(
    name: str, whole: Path, base: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the folder of the same name: neither gone on with, nor taken for done."""
    shutil.copytree(whole, tmp_path / "done")
    folder, file = stopped_at(whole, tmp_path / "out", 2), base / name
    before = file.read_bytes()
    assert Checkpoints(folder=folder, processes=1, base=sampled_digest(base)).newest() is not None
    try:
        one_bit(file) if name == "model.safetensors" else file.write_bytes(before + b"\n")
        assert Checkpoints(folder=folder, processes=1, base=sampled_digest(base)).newest() is None
        assert "it is of another base, whose files have changed since" in caplog.text
        with pytest.raises(UserError, match=r"its files have changed since.*--force"):
            train(recipe_of(tmp_path, base), data, tmp_path / "done")
        told = json.loads((tmp_path / "done" / "train.json").read_text())
        del told["base_digest"]  # as an older distill wrote it
        (tmp_path / "done" / "train.json").write_text(json.dumps(told))
        assert train(recipe_of(tmp_path, base), data, tmp_path / "done") is Exit.DONE
    finally:
        file.write_bytes(before)


def test_things_in_the_way_of_checkpoints_are_no_reason_to_fail(
    whole: Path, base: Path, data: Path, tmp_path: Path
) -> None:
    folder = stopped_at(whole, tmp_path / "out", 2)
    (folder / "checkpoint-9").write_text("a file")
    (folder / "checkpoint-²").mkdir()
    train(recipe_of(tmp_path, base), data, tmp_path / "out")
    assert same(weights(tmp_path / "out"), weights(whole))


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("Error while serializing: I/O error: … (os error 28)"), True),
        (
            RuntimeError(
                "[enforce fail at inline_container.cc:672] . unexpected pos 102976 vs 102864"
            ),
            True,
        ),
    ],
)
def test_a_full_disk_is_called_that_whoever_says_it(error: Exception, full: bool) -> None:
    assert (why(error) == "there is no room on the disk") is full
    assert failure_of(lambda: raising(error)) is error


def raising(error: Exception) -> None:
    raise error
