"""A student with a longer context than its base: trained there, saved so, asked so."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

import torch
import transformers

from distill.commands.train import train
from distill.errors import UserError
from distill.local_models.open import open_model
from distill.recipes.load import load
from distill.recipes.positions import Positions
from distill.recipes.read import parse_yaml
from distill.recipes.students import StudentRecipe
from distill.training.options import checked
from distill.training.positions import config_of, longest
from distill.training.quiet import quiet
from tests.builders.models import tiny

OLD = 64  # positions of the base
YARN = {"rope_type": "yarn", "factor": 8.0}
LLAMA = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    with quiet():
        tiny(folder, hidden_size=32, max_position_embeddings=OLD)
        if request.param == "qwen2":
            values = json.loads((folder / "config.json").read_text())
            config = transformers.Qwen2Config(**{**values, "model_type": "qwen2"})
            transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "kept.jsonl"
    row = {"messages": [{"role": "user", "content": "Count."}], "response": "done"}
    lines = [{**row, "id": f"r{i}", "reasoning": "1 and 2 " * 40} for i in range(4)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def recipe(folder: Path, positions: str, more: str = "") -> str:
    path = folder / "s.yaml"
    path.write_text(
        f"base: b\n{positions}\n{more}\nsft: {{max_steps: 1, learning_rate: 1e-3, bf16: false}}\n"
    )
    return str(path)


def check(path: str) -> None:
    loaded = load(path, StudentRecipe)
    checked(loaded.recipe, loaded.path)


def config_with(base: Path, **positions: Any) -> Any:
    return config_of(open_model(str(base), at="base"), Positions.model_validate(positions))


@pytest.mark.parametrize(
    ("positions", "kept"),
    [
        ("{max_position_embeddings: 512}", {"rope_theta": 10000.0, "rope_type": "default"}),
        (
            "{max_position_embeddings: 512, rope_theta: 300000}",
            {"rope_theta": 300000.0, "rope_type": "default"},
        ),
        (
            "{rope_scaling: {rope_type: yarn, factor: 8}}",
            {"rope_theta": 10000.0, **YARN, "original_max_position_embeddings": OLD},
        ),
    ],
)
def test_it_trains_beyond_the_bases_length_and_is_asked_as_it_was_trained(
    base: Path, data: Path, tmp_path: Path, positions: str, kept: dict[str, Any]
) -> None:
    out, named = tmp_path / "out", [f"base={base}"]
    with pytest.raises(UserError, match="no row can be trained on: too_long 4"):
        train(recipe(tmp_path, ""), data, out=out, overrides=named)
    train(recipe(tmp_path, f"positions: {positions}"), data, out=out, overrides=named)
    assert json.loads((out / "train.json").read_text())["longest_tokens"] > 2 * OLD
    told = json.loads((out / "config.json").read_text())
    assert (told["max_position_embeddings"], told["rope_parameters"]) == (512, kept)
    with quiet():
        student = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
        weights = student.state_dict()
        asked = transformers.AutoModelForCausalLM.from_config(
            config_with(base, **parse_yaml(positions))
        ).eval()
        asked.load_state_dict(weights)
        plain = transformers.AutoModelForCausalLM.from_pretrained(base).eval()
        plain.load_state_dict(weights)
        ids = torch.arange(3, 103)[None]
        assert torch.equal(student(ids).logits, asked(ids).logits)
        same = torch.allclose(student(ids).logits, plain(ids).logits, atol=1e-6)
    assert same is ("rope" not in positions)  # more room alone turns no position
    assert transformers.AutoTokenizer.from_pretrained(out).model_max_length == 512


def test_the_recipes_limit_is_checked_against_the_new_length(
    base: Path, data: Path, tmp_path: Path
) -> None:
    longer = recipe(tmp_path, "positions: {max_position_embeddings: 512}")
    for length, fits in ((512, True), (513, False)):
        named = [f"base={base}", f"sft.max_length={length}"]
        if fits:
            train(longer, data, out=tmp_path / "out", overrides=named, dry_run=True)
            continue
        with pytest.raises(UserError, match=r"sft\.max_length: 513: .* has 512 positions"):
            train(longer, data, out=tmp_path / "out", overrides=named, dry_run=True)


def test_scaling_replaces_scaling_and_knows_what_the_weights_were_taught(
    base: Path, tmp_path: Path
) -> None:
    config = config_with(base, rope_scaling=LLAMA)
    assert longest(config) == 8 * OLD
    with quiet():
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    again = config_with(tmp_path, rope_scaling={**YARN, "factor": 4.0}, rope_theta=500.0)
    assert longest(again) == 4 * OLD
    assert again.rope_parameters == {
        **YARN,
        "factor": 4.0,
        "rope_theta": 500.0,
        "original_max_position_embeddings": OLD,
    }


def test_positions_that_are_no_rotation_are_refused(tmp_path: Path) -> None:
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, n_positions=OLD)
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"positions: .* \(gpt2\) has no rotary positions"):
        config_with(tmp_path, max_position_embeddings=512)


def test_a_factor_too_small_for_the_length_says_the_right_one(base: Path) -> None:
    with pytest.raises(UserError, match=r"factor: 4 x 64 positions is 256, .* 512; set 8$"):
        config_with(
            base, max_position_embeddings=512, rope_scaling={"rope_type": "linear", "factor": 4}
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("positions: {max_positions: 5}", "no such key; did you mean 'max_position_embeddings'"),
        ("positions: {max_position_embeddings: 0}", "positions.max_position_embeddings: 0"),
        ("positions: {rope_theta: -1}", "positions.rope_theta: -1"),
        ("positions: {rope_theta: yes}", "truth value"),
        ("positions: {rope_scaling: {rope_type: dynamic, factor: 2}}", "'linear', 'yarn' or 'll"),
        ("positions: {rope_scaling: {rope_type: yarn}}", "rope_scaling.factor: missing"),
        ("positions: {rope_scaling: {rope_type: linear, factor: 0.5}}", "factor: 0.5"),
        ("positions: {rope_scaling: {rope_type: llama3, factor: 8}}", "needs low_freq_factor and"),
        (
            "positions: {rope_scaling: {rope_type: linear, factor: 2, beta_fast: 3}}",
            "rope_type linear has no beta_fast",
        ),
        (
            "positions: {max_position_embeddings: 512}\nlora: {r: 4}",
            "an adapter cannot hold them.*next: lora: null",
        ),
    ],
)
def test_a_mistake_is_one_line_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"s\.yaml: .*{message}") as caught:
        check(recipe(tmp_path, text))
    assert "\n" not in str(caught.value)
