"""Naming a model by what it answers with: whatever changes its answers changes its name."""

import json
from pathlib import Path

import pytest

from distill.generating.reach import who_answers
from distill.local_models.digest import model_digest
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe


def model(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / name).write_bytes(b"0")
    return folder


PARTS = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
    "pytorch_model.bin",
]


@pytest.mark.parametrize("name", PARTS)
def test_a_change_to_weights_or_tokenizer_is_another_model(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path / "m")
    before = model_digest(str(folder))
    (folder / name).write_bytes(b"1")
    assert model_digest(str(folder)) != before
    assert model_digest(str(folder)).startswith("m sha256:")


def test_what_does_not_change_answers_does_not_count(tmp_path: Path) -> None:
    folder = model(tmp_path / "m")
    before = model_digest(str(folder))
    (folder / "README.md").write_text("x")
    assert model_digest(str(folder)) == before


def test_a_changed_base_is_another_adapter(tmp_path: Path) -> None:
    base, adapter = model(tmp_path / "base"), tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    before = model_digest(str(adapter))
    (base / "tokenizer.json").write_text("[]")
    assert model_digest(str(adapter)) != before


def test_a_folder_under_home_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    whole = model_digest(str(model(tmp_path / "m")))
    assert model_digest("~/m") == whole
    (tmp_path / "m/model.safetensors").write_bytes(b"1")
    assert model_digest("~/m") != whole


def test_a_name_that_is_nothing_here_stands_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_digest("owner/name") == "owner/name"


def who(folder: Path, serve: str) -> str:
    path = folder / "r.yaml"
    path.write_text(f"problems: {{file: a.jsonl}}\nserve: {{engine: vllm, model: a/b{serve}}}\n")
    return who_answers(load(str(path), PromptsRecipe))


def test_arguments_of_the_engine_are_part_of_who_answers(tmp_path: Path) -> None:
    plain = who(tmp_path, "")
    assert plain == who(tmp_path, ", args: []") == "vllm a/b context 2048"
    quantised = who(tmp_path, ", args: [--quantization, fp8]")
    assert quantised == "vllm a/b context 2048 args --quantization fp8"
    assert who(tmp_path, ", args: [--seed=1]") != who(tmp_path, ", args: [--seed, '1']")
