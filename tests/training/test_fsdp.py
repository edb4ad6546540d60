"""A student shared by two processes (FSDP2, gloo) is the one that a single process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands.train import train
from distill.recipes.find import shipped
from distill.training.quiet import quiet
from tests.builders import sharded
from tests.builders.models import tiny

# Sums of float32 in another order: 1e-7 of the loss was seen, and 1.2e-7 in a weight.
CLOSE = 1e-5
LORA, FULL = "{r: 4, lora_alpha: 32}", "null"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The students of one process (…-1) and of two (…-2), and of two that were interrupted."""
    folder = tmp_path_factory.mktemp("made")
    with quiet():
        tiny(folder / "base", hidden_size=64, max_position_embeddings=512)
    lines = [
        {
            "id": f"r{i}",
            "messages": [{"role": "user", "content": f"What is {i} + 1?"}],
            "reasoning": f"{i} and one " * (1 + i % 4),  # so that no two batches are of one length
            "response": str(i + 1),
        }
        for i in range(16)
    ]
    (folder / "kept.jsonl").write_text("\n".join(map(json.dumps, lines)))
    weighed = [{**line, "weight": (0.5, 1, 2, 4, 0.1)[i % 5]} for i, line in enumerate(lines)]
    (folder / "weighed.jsonl").write_text("\n".join(map(json.dumps, weighed)))
    steps: list[dict[str, Any]] = [
        told(folder, "full", FULL, 2),
        told(folder, "lora", LORA, 2),
        told(folder, "weighed", LORA, 2),
        told(folder, "again", FULL, 2),
        {"out": str(folder / "again-2"), "interrupt": "checkpoint-2"},
        told(folder, "again", FULL, 2),
    ]
    launch(folder, steps)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, lora in (("full", FULL), ("lora", LORA), ("weighed", LORA)):
        train(**told(folder, name, lora, 1))
    torch.set_num_threads(before)
    return folder


def told(folder: Path, name: str, lora: str, processes: int) -> dict[str, Any]:
    """Arguments of ``train``: eight traces a step, whatever the number of processes."""
    recipe = folder / f"{name}-{processes}.yaml"
    saves = "save_strategy: steps, save_steps: 2, " if name == "again" else ""
    recipe.write_text(
        f"base: b\nlora: {lora}\nsft: {{learning_rate: 1e-2, max_steps: 4, bf16: false, {saves}"
        "gradient_checkpointing: true, per_device_train_batch_size: 2, "
        f"gradient_accumulation_steps: {4 // processes}}}\n"
    )
    return {
        "recipe": str(recipe),
        "data": str(folder / ("weighed.jsonl" if name == "weighed" else "kept.jsonl")),
        "out": str(folder / f"{name}-{processes}"),
        "overrides": [f"base={folder / 'base'}"],
    }


def launch(folder: Path, steps: list[dict[str, Any]]) -> None:
    """Runs the steps in two processes, with the shipped file as far as a CPU can."""
    config = yaml.safe_load((shipped("students") / "fsdp2-8.yml").read_text())
    config.update(num_processes=2, use_cpu=True, mixed_precision="no")
    file = folder / "two.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    command += ["--config_file", str(file), "--main_process_port", "0"]
    command += ["-m", sharded.__name__, json.dumps(steps)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=200)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "train.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    (file,) = out.glob("*.safetensors")
    return load_file(file)


@pytest.mark.parametrize("kind", ["full", "lora", "weighed"])
def test_two_processes_have_the_loss_of_one_and_make_its_student(made: Path, kind: str) -> None:
    one, two = made / f"{kind}-1", made / f"{kind}-2"
    assert losses(two) == pytest.approx(losses(one), rel=CLOSE)
    assert len(losses(one)) == 4
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=CLOSE) for name in first)
    with quiet():
        student = transformers.AutoModelForCausalLM.from_pretrained(two)
        base = transformers.AutoModelForCausalLM.from_pretrained(made / "base")
        ids = torch.tensor([[1, 2, 3]])
        assert not torch.allclose(student(ids).logits, base(ids).logits, atol=1e-3)
    assert json.loads((two / "train.json").read_text())["processes"] == 2


def test_an_interrupted_sharded_training_goes_on_to_the_same_student(made: Path) -> None:
    again, whole = weights(made / "again-2"), weights(made / "full-2")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert losses(made / "again-2") == losses(made / "full-2")
    before, after = (
        (made / "again-2" / name).read_text().splitlines()
        for name in ("before.jsonl", "train.jsonl")
    )
    assert after[:2] == before[:2]  # with their times: these steps were not taken again
    assert after[2:] != before[2:]
    (saved,) = made.glob("again-2/checkpoints/*/checkpoint-2")
    assert (saved / "pytorch_model_fsdp.bin").exists()  # it was FSDP that ran
