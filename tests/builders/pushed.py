"""What is pushed in tests: a filtered set and its rows, and an adapter in name."""

from pathlib import Path
from typing import Any

from distill.files.write import write_json, write_parquet
from distill.rows import Row, to_frame
from tests.builders.models import adapter
from tests.builders.rows import trace


def row(i: int, **other: Any) -> Row:
    values: dict[str, Any] = {
        "id": f"{i:016x}",
        "sample": i % 2,
        "source": "openai/gsm8k:train",
        "asked": [("system", "Think."), ("user", f"{i} + 1?")],
        "reasoning": f"{i} and one …\n" * 3,
        "finish_reason": "stop" if i else None,
        "teacher": "a-teacher",
        "prompt_tokens": 9,
        "completion_tokens": 100 + i,
        "cost_usd": 0.25,
    }
    return trace(i, **(values | other))


def write_set(folder: Path, *shards: list[Row]) -> Path:
    for i, rows in enumerate(shards):
        write_parquet(folder / "kept" / f"part-{i:05}.parquet", to_frame(rows))
    kept = sum(map(len, shards))
    report = {"read": kept + 3, "kept": kept, "dropped": 3, "reasons": {"wrong": 3}}
    write_json(folder / "report.json", report)
    return folder


def write_student(folder: Path, base: str, *, trained_on: str) -> Path:
    """An adapter as ``distill train`` leaves it, without its weights."""
    recipe = {"base": trained_on, "lora": {}}
    write_json(adapter(folder, base) / "train.json", {"base_model": trained_on, "recipe": recipe})
    return folder
