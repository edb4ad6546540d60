"""A command that is started in somebody else's folder runs nothing of what lies there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What Pythons that distill starts would import first; each is there in the folder, as a package.
SHADOWED = (
    *("datasets", "distill", "gguf", "huggingface_hub", "json", "logging", "math_verify"),
    *("multiprocessing", "numpy", "os", "peft", "pip", "polars", "pydantic", "ray", "re"),
    *("reasoning_gym", "runpy", "safetensors", "site", "sitecustomize", "sympy", "torch"),
    *("transformers", "usercustomize", "uvicorn", "xllamacpp", "yaml"),
)
ROW = {"question": "1+1?", "gold": "2", "reasoning": "Two.", "response": "2", "verify": "math"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which every import leaves a mark."""
    made = tmp_path / "download"
    for name in SHADOWED:
        (made / name).mkdir(parents=True)
        code = f"open({str(tmp_path / 'ran')!r}, 'a').write({name + ' '!r}); raise SystemExit(3)"
        (made / name / "__init__.py").write_text(code)
    return made


def run(folder: Path, *words: str) -> None:
    command = Path(sys.executable).parent / "distill"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    env |= {"XDG_CACHE_HOME": str(folder.parent / "cache"), "PIP_NO_INDEX": "1"}
    subprocess.run([command, *words], cwd=folder, env=env, capture_output=True, timeout=200)
    ran = folder.parent / "ran"
    assert (ran.read_text() if ran.exists() else "") == ""


@pytest.mark.parametrize("how", [["--workers", "2"], ["--engine", "ray"]], ids=["local", "ray"])
def test_filter_runs_nothing_of_the_folder_it_is_started_in(folder: Path, how: list[str]) -> None:
    if "ray" in how:
        pytest.importorskip("ray")
    (folder / "rows.jsonl").write_text("".join(json.dumps(ROW) + "\n" for _ in range(3)))
    run(folder, "filter", "r1", "rows.jsonl", "-o", "out", *how)
    assert json.loads((folder / "out" / "report.json").read_text())["read"] == 3


@pytest.mark.parametrize("engine", ["llama.cpp", "transformers"])
def test_a_served_model_runs_nothing_of_the_folder(folder: Path, engine: str) -> None:
    """Its weights cannot be fetched here: pip runs, and fails, and the commands end with a line."""
    serve = ["--set", f"serve.engine={engine}", "--set", "serve.model=smollm2-135m-instruct"]
    run(folder, "generate", "demo", "-o", "run", "--limit", "1", *serve)


def test_a_student_is_trained_by_nothing_of_the_folder(folder: Path) -> None:
    (folder / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    run(folder, "train", "smollm2-135m-lora", "rows.jsonl", "-o", "student")
