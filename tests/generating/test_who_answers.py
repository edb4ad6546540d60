"""An endpoint's own switches are part of who answers."""

from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import UserError
from distill.generating.reach import who_answers
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from tests.builders.recipes import nowhere, recipe
from tests.builders.teacher_server import teacher_server

ON: dict[str, Any] = {"extra_body": {"thinking": {"type": "enabled"}}}
OFF: dict[str, Any] = {"extra_body": {"thinking": {"type": "disabled"}}}


def who(folder: Path, **teacher: Any) -> str:
    return who_answers(load(recipe(folder, nowhere(), teacher=teacher), PromptsRecipe))


def test_answers_with_and_without_thinking_are_not_mixed(tmp_path: Path) -> None:
    with teacher_server() as server:
        distill.generate(recipe(tmp_path, server, teacher=ON), out=tmp_path / "run")
        with pytest.raises(UserError, match=r"another plan: who changed .*disabled"):
            distill.generate(recipe(tmp_path, server, teacher=OFF), out=tmp_path / "run")
        assert server.asked.total() == 5


def test_switches_are_part_of_who_answers_unless_it_is_known_as_something(tmp_path: Path) -> None:
    assert who(tmp_path) == "http://127.0.0.1:9/v1 m"
    assert who(tmp_path, **ON) == 'http://127.0.0.1:9/v1 m {"thinking":{"type":"enabled"}}'
    assert who(tmp_path, **OFF, known_as="r") == who(tmp_path, **ON, known_as="r") == "r"
    one, two = {"top_k": 1, "min_p": 0.2}, {"min_p": 0.2, "top_k": 1}
    assert who(tmp_path, extra_body=one) == who(tmp_path, extra_body=two)
