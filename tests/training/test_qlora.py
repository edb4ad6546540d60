"""QLoRA for real, on a CPU: an adapter is trained on a base of 4 bits, and works on both bases."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

import peft
import torch
import transformers
from peft import PeftModel

from distill.commands.train import train
from distill.local_models.open import open_model
from distill.recipes.students import StudentRecipe
from distill.training.base import open_chat_format
from distill.training.model import load_model
from distill.training.options import checked
from distill.training.quiet import quiet
from tests.builders.models import tiny

STEPS = 30


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        folder = tmp_path_factory.mktemp("tiny")
        # weights large enough for an adapter to turn them
        return tiny(folder, hidden_size=64, max_position_embeddings=512, initializer_range=0.2)


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "bfloat16"])
def student(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("student")
    row = {"id": "r", "messages": [{"role": "user", "content": "What is 1 + 1?"}]}
    rows = folder / "kept.jsonl"
    rows.write_text(json.dumps({**row, "reasoning": "1 and 1", "response": "2"}))
    recipe = folder / "s.yaml"
    recipe.write_text(
        "base: b\nquantize: nf4\nlora: {r: 16, lora_alpha: 32}\n"
        f"sft: {{learning_rate: 3e-2, max_steps: {STEPS}, bf16: {json.dumps(request.param)}}}\n"
    )
    train(str(recipe), rows, out=folder / "out", overrides=[f"base={base}"])
    return folder / "out"


def four_bits(base: Path) -> Any:
    """The base as training loads it."""
    recipe = StudentRecipe(base=str(base), quantize="nf4", lora={"r": 4}, sft={"bf16": False})
    options = checked(recipe, base / "s.yaml")
    opened, chat = open_model(str(base), at="base"), open_chat_format(str(base))
    return load_model(opened, options, chat, quantize="nf4")


def whole(base: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(base)


def loss(model: Any, out: Path) -> float:
    """Of the one example, counted here from its proved tokens."""
    shown = json.loads((out / "proof.json").read_text())["worked_example"]
    ids, labels = (torch.tensor([shown[name]]) for name in ("input_ids", "labels"))
    with torch.no_grad():
        logits = model.eval()(ids).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100))


def test_the_loss_falls_and_the_base_was_held_in_four_bits(base: Path, student: Path) -> None:
    made = json.loads((student / "train.json").read_text())
    assert made["loss"]["last"] < 0.6 * made["loss"]["first"]
    with quiet():
        held = four_bits(base).get_memory_footprint()
        assert held < 0.7 * whole(base).get_memory_footprint()  # embeddings and head stay as are


def test_its_adapter_works_on_the_base_of_four_bits_and_on_the_whole_one(
    base: Path, student: Path
) -> None:
    made = json.loads((student / "train.json").read_text())["loss"]
    with quiet():
        for load in (four_bits, whole):
            assert loss(load(base), student) > 0.9 * made["first"]
            taught = loss(PeftModel.from_pretrained(load(base), str(student)), student)
            assert taught < 0.65 * made["first"], load.__name__
    told = json.loads((student / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(base)  # the whole one: nothing of 4 bits is kept


def test_gradients_are_the_same_after_the_model_was_evaluated(base: Path) -> None:
    """bitsandbytes would pack the weights, and of the first layer's gradient a third was left."""

    def gradients(*, evaluated: bool) -> dict[str, Any]:
        torch.manual_seed(0)
        config = peft.LoraConfig(target_modules="all-linear", init_lora_weights=False)
        model, ids = peft.get_peft_model(four_bits(base), config), torch.arange(20)[None]
        if evaluated:
            with torch.no_grad():
                model.eval()(input_ids=ids)
        model.train()(input_ids=ids, labels=ids).loss.backward()
        return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}

    with quiet():
        found, wanted = gradients(evaluated=True), gradients(evaluated=False)
    assert found.keys() == wanted.keys() != set()
    assert all(torch.allclose(found[name], wanted[name]) for name in wanted)


FETCHES = """
import sys
sys.path.insert(0, sys.argv[1])
from distill.training.options import _configs
_configs()
import bitsandbytes.backends.cpu.ops
from bitsandbytes.functional import has_avx512bf16
print(has_avx512bf16())
"""


def test_no_kernel_is_fetched_from_the_hub_when_the_libraries_are_imported(tmp_path: Path) -> None:
    """Without our guard the exit status is 9."""
    (tmp_path / "kernels.py").write_text(
        "def get_kernel(name, version):\n    raise SystemExit(9)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", FETCHES, str(tmp_path)], capture_output=True, text=True, check=False
    )
    if said.stdout == "False\n":
        pytest.skip("bitsandbytes fetches it only on a CPU with AVX-512 BF16")
    assert said.returncode == 0, said.stderr
    assert "kernels" not in said.stderr  # nor is the user told to install it
