"""The shipped students recipes, and what a recipe may say."""

from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("peft")

from distill.errors import UserError
from distill.recipes.find import shipped
from distill.recipes.load import load
from distill.recipes.read import parse_yaml
from distill.recipes.students import StudentRecipe
from distill.training.options import checked

SHIPPED = sorted(path.stem for path in shipped("students").glob("*.yaml"))


def check(tmp_path: Path, text: str) -> object:
    path = tmp_path / "x.yaml"
    path.write_text(f"base: b\n{text}\n")
    loaded = load(str(path), StudentRecipe)
    return checked(loaded.recipe, loaded.path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_has_only_real_options(name: str) -> None:
    from peft import LoraConfig

    loaded = load(name, StudentRecipe)
    options = checked(loaded.recipe, loaded.path)
    assert options.lora is not None
    assert LoraConfig(**options.lora).r == loaded.recipe.lora["r"]  # type: ignore[index]


def test_shipped_recipes_differ_in_values_only() -> None:
    keys = set()
    for name in SHIPPED:
        values = parse_yaml((shipped("students") / f"{name}.yaml").read_text())
        keys.add((tuple(values), tuple(values["lora"]), tuple(values["sft"])))
    assert len(SHIPPED) >= 6
    assert len(keys) == 1


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
