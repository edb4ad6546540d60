"""What ``--set`` takes out of a recipe."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.recipes.teachers import Teacher
from tests.builders.recipes import nowhere, recipe

ON: dict[str, Any] = {"extra_body": {"thinking": {"type": "enabled"}}}


def teacher(folder: Path, *overrides: str) -> Teacher:
    said = {**ON, "known_as": "r", "continues": "assistant_turn", "ignores": ["seed"]}
    name = recipe(folder, nowhere(), teacher={**said, "limit_name": "max_completion_tokens"})
    found = load(name, PromptsRecipe, overrides).recipe.teacher
    assert found is not None
    return found


def test_another_model_or_preset_is_not_known_as_the_one_before(tmp_path: Path) -> None:
    assert teacher(tmp_path).known_as == "r"
    assert teacher(tmp_path, "teacher.model=x").known_as is None
    assert teacher(tmp_path, "teacher.at=vllm").known_as is None
    assert teacher(tmp_path, "teacher.base_url=http://h/v1").known_as == "r"
    assert teacher(tmp_path, "teacher.model=x", "teacher.known_as=s").known_as == "s"


def test_another_address_gets_no_switches_of_the_one_before(tmp_path: Path) -> None:
    found = teacher(tmp_path, "teacher.base_url=http://h/v1")
    assert (found.extra_body, found.continues, found.ignores) == ({}, None, ())
    assert found.limit_name == "max_tokens"
    mine = teacher(tmp_path, "teacher.extra_body.top_k=1", "teacher.base_url=http://h/v1")
    assert mine.extra_body == {"top_k": 1}


@pytest.mark.parametrize("override", ["until=null", "serve=null", "problems.dataset=null"])
def test_null_chooses_nothing(tmp_path: Path, override: str) -> None:
    name = recipe(tmp_path, nowhere(), samples=3)
    whole = json.loads(Path(name).read_text())
    whole["problems"] |= {"where": "question <> 'x'", "map": {"gold": "answer"}}
    Path(name).write_text(json.dumps(whole))
    assert load(name, PromptsRecipe, [override]).recipe == load(name, PromptsRecipe).recipe
    assert load(name, PromptsRecipe, [override]).recipe.samples == 3
