"""Prompts recipes with their problems, and what a user says beside one: yes to a host, and where a
model lies."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from distill.teachers.address import origin_of
from distill.teachers.trust import trust_list
from tests.builders.teacher_server import TeacherServer

# A teacher in a test: a server, its address, or a whole block of a recipe.
Teacher = TeacherServer | str | Mapping[str, Any]


def recipe(
    folder: Path,
    *teachers: Teacher,
    problems: int = 5,
    teacher: Mapping[str, Any] | None = None,
    **values: Any,
) -> str:
    """Writes a problem set and a recipe for the teachers; returns the recipe's path.

    ``teacher``: what all of them share. The user has said yes to every address with a key.
    """
    lines = [
        json.dumps({"question": f"What is {i} + 1?", "answer": f"{i + 1}"}) for i in range(problems)
    ]
    (folder / "set.jsonl").write_text("\n".join(lines))
    (folder / "math.jinja").write_text("{{ question }}")
    blocks = [{**(t if isinstance(t, Mapping) else block(t)), **(teacher or {})} for t in teachers]
    for one in blocks:
        trusting(one.get("key_env"), one["base_url"])
    whole = {
        "problems": {"file": "set.jsonl"},
        **({"teachers": blocks} if len(blocks) > 1 else {"teacher": blocks[0]}),
        "sampling": {"max_tokens": 100},
        **values,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(whole))
    return str(path)


def block(server: TeacherServer | str, model: str = "m", **values: Any) -> dict[str, Any]:
    """What a recipe says of one endpoint."""
    url = server if isinstance(server, str) else server.url
    return {"model": model, "base_url": url, "concurrency": 4, **values}


def nowhere() -> TeacherServer:
    """A teacher that nobody asks."""
    return TeacherServer(answer=lambda body, n: {}, url="http://127.0.0.1:9/v1")


def trusting(key_env: str | None, *urls: str) -> None:
    """Notes that the variable may go to these addresses as a key; nothing where there is none."""
    for url in urls if key_env else ():
        trust_list().add(origin_of(url), str(key_env))


def naming(recipe: str, *keys: str) -> list[str]:
    """``--set`` for values that stand in a recipe, as the user says them who may name any place."""
    values = yaml.safe_load(Path(recipe).read_text(encoding="utf-8"))
    return [f"{key}={values[key]}" for key in keys]
