"""The whole loop, small: a real local teacher, real rules, a real student, real scores."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from distill.files.write import read_json
from tests.builders.models import shipped_weights

pytest.importorskip("xllamacpp")
pytest.importorskip("trl")


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "distill", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_real_prompts_become_a_student_with_scores(tmp_path: Path) -> None:
    shipped_weights()
    folders = {n: str(tmp_path / n) for n in ("run", "set", "student", "scores")}
    run("generate", "demo", "-o", folders["run"], "--limit", "16")
    run("filter", "demo", folders["run"], "-o", folders["set"])
    report = read_json(tmp_path / "set/report.json")
    assert report["read"] == 16 == report["kept"] + report["dropped"]
    assert report["kept"] > 0
    quick = (
        "--set",
        "threads=1",
        "--set",
        "sft.max_steps=2",
        "--set",
        "sft.per_device_train_batch_size=2",
    )
    said = run("train", "smollm2-135m-lora", folders["set"], "-o", folders["student"], *quick)
    assert "trains with 1 thread, " in said
    assert read_json(tmp_path / "student/train.json")["examples"] == report["kept"]
    words = ("eval", "eval/demo", "--model", folders["student"], "-o", folders["scores"])
    said = run(
        *words, "--limit", "4", "--set", "sampling.max_tokens=16", "--set", "serve.threads=1"
    )
    assert "serves with 1 thread, as serve.threads says" in said
    largest_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert largest_kb < 2.5e6  # the whole machine's memory is not needed for 0.1 GB of weights
    found = read_json(tmp_path / "scores/scores.json")["benchmarks"]["demo"]
    assert found["n"] == 4
    low, high = found["pass@1"]["ci95"]
    assert 0 <= low <= found["pass@1"]["value"] <= high <= 1
    # each stage knows its own result again
    for again in (
        ("generate", "demo", "-o", folders["run"], "--limit", "16"),
        (*words, "--limit", "4", "--set", "sampling.max_tokens=16"),
    ):
        said = run(*again)
        assert "nothing to ask" in said or "already done" in said
    table = run("status", *folders.values())
    for word in ("asked", "answered", "kept", "pass@1"):
        assert word in table
