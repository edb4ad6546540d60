"""Rows that pass every rule unless told otherwise, as files, as objects, and rules for them."""

import json
from pathlib import Path
from typing import Any

from distill.rows import SCHEMA, Message, Row

RULES = {
    "truncated": "finish_reason = 'stop'",
    "malformed": "thought_closed AND response_chars > 0 AND chat_tokens = 0",
    "wrong": "verdict = 'correct'",
}


def row(name: int | str, **values: Any) -> dict[str, Any]:
    """A row that passes: right, closed, short. A number asks a question of its own."""
    number, which = (name, "") if isinstance(name, int) else (1, f", {name}")
    return {
        "id": f"q{name}" if isinstance(name, int) else name,
        "sample": 0,
        "domain": "math",
        "source": "test",
        "messages": [{"role": "user", "content": f"What is {number} + 1{which}?"}],
        "gold": str(number + 1),
        "verify": "math",
        "reasoning": f"I add one to {number}.",
        "response": f"\\boxed{{{number + 1}}}",
        "finish_reason": "stop",
        "completion_tokens": 20,
    } | values


def sum_row(i: int, **values: Any) -> dict[str, Any]:
    """A row to train on, with a short thought."""
    turns = [{"role": "user", "content": f"What is {i} + 1?"}]
    texts = {"messages": turns, "reasoning": f"{i} and one", "response": str(i + 1)}
    return {"id": f"r{i}", "sample": 0, **texts, **values}


def trace(name: int | str = 1, **values: Any) -> Row:
    """The same as an object; ``asked``: its turns as (role, content)."""
    made = row(name)
    turns = values.pop("asked", [(m["role"], m["content"]) for m in made["messages"]])
    messages = tuple(Message(role=role, content=content) for role, content in turns)
    return Row(**{**dict.fromkeys(SCHEMA), **made, "messages": messages, **values})


def jsonl(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def filters(folder: Path, **values: Any) -> str:
    """Writes a filters recipe; returns its path."""
    path = folder / "recipe.yaml"
    path.write_text(json.dumps({"rules": RULES} | values))
    return str(path)
