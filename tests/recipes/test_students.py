"""The shipped students recipes, and what a recipe may say."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from bench.plan import known, planned, read, said
from distill.errors import UserError
from distill.recipes.find import shipped
from distill.recipes.load import load
from distill.recipes.read import parse_yaml
from distill.recipes.students import StudentRecipe
from distill.training.base import chat_template_text
from distill.training.cards import card
from distill.training.fit import arguments
from distill.training.options import checked
from distill.training.quiet import quiet

SHIPPED = sorted(path.stem for path in shipped("students").glob("*.yaml"))


def check(tmp_path: Path, text: str) -> object:
    path = tmp_path / "x.yaml"
    path.write_text(f"base: b\n{text}\n")
    loaded = load(str(path), StudentRecipe)
    return checked(loaded.recipe, loaded.path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_has_only_options_that_the_libraries_take(
    name: str, tmp_path: Path
) -> None:
    from peft import LoraConfig

    loaded = load(name, StudentRecipe)
    options = checked(loaded.recipe, loaded.path)
    assert chat_template_text(loaded.recipe.chat_template, loaded.origin) != ""
    with quiet():
        arguments(replace(options, sft={**options.sft, "bf16": False}), tmp_path)  # no GPU here
    if options.lora is not None:
        assert LoraConfig(**options.lora).r == loaded.recipe.lora["r"]  # type: ignore[index]


def test_shipped_recipes_of_a_kind_differ_in_values_only() -> None:
    kinds: dict[bool, set[tuple[object, ...]]] = {True: set(), False: set()}
    for name in SHIPPED:
        values = parse_yaml((shipped("students") / f"{name}.yaml").read_text())
        values.pop("positions", None)
        kinds[values["lora"] is None].add((*values, *(values["lora"] or ()), *values["sft"]))
    assert [len(keys) for keys in kinds.values()] == [1, 1]


@pytest.mark.parametrize(
    ("name", "base", "learning_rate"),
    [
        ("qwen-1.5b", "Qwen/Qwen2.5-Math-1.5B", 1e-4),
        ("qwen-7b", "Qwen/Qwen2.5-Math-7B", 8e-5),
        ("qwen-14b", "Qwen/Qwen2.5-14B", 7e-5),
        ("qwen-32b", "Qwen/Qwen2.5-32B", 6e-5),
        ("llama-8b", "meta-llama/Llama-3.1-8B", 5e-5),
        ("llama-70b", "meta-llama/Llama-3.3-70B-Instruct", 2e-5),
    ],
)
def test_the_students_of_r1_are_trained_as_its_paper_says(
    name: str, base: str, learning_rate: float
) -> None:
    """arXiv 2501.12948 v2, B.4.3."""
    path = shipped("students") / f"r1-distill-{name}.yaml"
    recipe = load(str(path), StudentRecipe).recipe
    sft = recipe.sft
    assert (recipe.base, sft["learning_rate"], recipe.lora) == (base, learning_rate, None)
    assert recipe.traces_per_step == 64
    assert (sft["lr_scheduler_type"], sft["lr_scheduler_kwargs"]["min_lr_rate"]) == (
        "cosine_with_min_lr",
        0.1,
    )
    assert sft["max_length"] == 32768
    assert 2 <= sft["num_train_epochs"] <= 3
    longer = recipe.positions.max_position_embeddings if recipe.positions else None
    assert longer == (32768 if "Math" in base else None)


@pytest.mark.parametrize("name", [name for name in SHIPPED if not name.startswith("smollm2")])
def test_a_recipe_says_what_the_planner_predicts_today(name: str) -> None:
    """Else: python -m bench.plan --write."""
    path = shipped("students") / f"{name}.yaml"
    told = said(path)
    assert told is not None
    assert told in path.read_text()


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("gpus", [1, 4, 8])
def test_a_recipe_has_its_traces_a_step_on_any_number_of_gpus(name: str, gpus: int) -> None:
    recipe = read(shipped("students") / f"{name}.yaml")
    shape = known(recipe.base)
    assert shape is not None
    found = planned(recipe, shape, card(f"{gpus}x80"), traces=10_000, tokens=53_750_000)
    assert found.sequences == max(recipe.traces_per_step or 0, gpus * found.work.rows)


def test_the_file_for_several_gpus_is_found_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distill.recipes.find", "students/fsdp2-8.yml"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    told = parse_yaml(Path(said.strip()).read_text())
    assert (told["num_processes"], told["fsdp_config"]["fsdp_version"]) == (8, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sft: {max_seq_length: 5}", r"no such option of trl .*SFTConfig; did you mean 'max_l"),
        ("sft: {warmup_ratio: 0.1}", r"sft\.warmup_ratio: .* did you mean 'warmup_steps'\?"),
        ("lora: {rank: 5}", r"lora\.rank: no such option of peft .*LoraConfig"),
        ("lora: {lora_alfa: 5}", r"did you mean 'lora_alpha'\?"),
        ("sft: {learning_rate: fast}", r"sft\.learning_rate: 'fast': .*valid number"),
        ("sft: {num_train_epochs: '3'}", r"sft\.num_train_epochs: '3'"),
        ("lora: {r: 1.5}", r"lora\.r: 1\.5"),
        ("lora: {bias: some}", r"lora\.bias: 'some': .*'none', 'all' or 'lora_only'"),
        ("quantize: nf4", r"quantize: nf4 weights cannot be trained; add lora:"),
        ("sft: {packing_strategy: wrapped}", r"sft\.packing_strategy: 'wrapped' cuts traces"),
        ("sft: {output_dir: x}", r"sft\.output_dir: .*-o of the command"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"x\.yaml: .*{message}") as caught:
        check(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "sft: {learning_rate: 1, warmup_steps: 0.03, lr_scheduler_kwargs: {min_lr_rate: 0.1}}",
        "sft: {bf16: null, model_init_kwargs: {attn_implementation: eager}, packing: true}",
        "lora: {target_modules: [q_proj], init_lora_weights: gaussian, rank_pattern: {q: 4}}",
    ],
)
def test_right_options_pass(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, text)
