"""What a version before has left is gone on with: nothing is bought, measured or trained again."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.errors import Exit, UserError
from tests.builders.hub_server import hub_server
from tests.builders.hub_state import Hub
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

STORED = Path(__file__).parent / "stored"
TOKEN = "canary.of.the.hub.token.0123456789"
OPEN = {"What is 20 + 29?", "What is 21 + 32?", "What is 22 + 35?"}  # no answer yet, never asked


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to go on from, as the working folder: the commands that made it named it so."""
    folder = tmp_path / "stored"
    shutil.copytree(STORED, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    with hub_server(TOKEN) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


def right(body: dict[str, Any], n: int) -> dict[str, Any]:
    a, b = (int(word.rstrip("?")) for word in body["messages"][-1]["content"].split()[2::2])
    return completion(f"\\boxed{{{a + b}}}", message={"reasoning_content": f"{a} and {b} is it."})


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time of change and its bytes; no locks."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def rows(*folders: Path) -> pl.DataFrame:
    tables = [pl.read_parquet(path) for each in folders for path in sorted(each.glob("*.parquet"))]
    return pl.concat(tables, how="diagonal").sort("id", "sample")


def resume(server: TeacherServer) -> Exit:
    """The run goes on at another address, which is known as the same teacher."""
    return distill.generate("prompts.yaml", out="run", overrides=[f"teacher.base_url={server.url}"])


def test_a_run_is_gone_on_with_and_only_what_was_open_is_asked(old: Path) -> None:
    before = rows(old / "run/traces")
    with teacher_server(right) as server:
        assert resume(server) == Exit.ROWS_FAILED  # one was refused for good, and stays so
        assert server.asked == dict.fromkeys(OPEN, 1)
        resume(server)
        assert server.asked.total() == len(OPEN)
    after = rows(old / "run/traces")
    new = after["messages"].list.last().struct["content"].is_in(list(OPEN))
    assert after.filter(~new).equals(before)
    assert (new.sum(), after.height) == (3, before.height + 3)


def test_a_run_without_anything_open_exports_the_same_traces(old: Path) -> None:
    distill.generate("prompts.yaml", out="run", limit=9)
    for path in (STORED / "run/traces").iterdir():
        assert (old / "run/traces" / path.name).read_bytes() == path.read_bytes()


def test_a_finished_student_is_known_to_be_done(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("trl")
    before = files(old)
    with caplog.at_level(logging.INFO, "distill"):
        assert distill.train("student.yaml", "set", out="student") == Exit.DONE
        assert "student is already done" in caplog.text
    assert files(old) == before


def test_finished_scores_are_known_to_be_done_and_are_gone_on_with(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = "teacher.known_as=the-student"
    told = json.loads((old / "scores/scores.json").read_text())
    before = files(old)
    with caplog.at_level(logging.INFO, "distill"):
        distill.eval("bench.yaml", model=told["model"], out="scores", overrides=[known], limit=3)
    assert "already done: scores/scores.json" in caplog.text
    assert files(old) == before
    with teacher_server(right) as server:
        model = f"{server.url}#student"
        distill.eval("bench.yaml", model=model, out="scores", overrides=[known], force=True)
        assert server.asked.total() == 12 - 3
    bench = json.loads((old / "scores/scores.json").read_text())["benchmarks"]["bench"]
    first = told["benchmarks"]["bench"]["labels"]
    assert (bench["n"], bench["labels"]["correct"]) == (12, first["correct"] + 9)


def test_a_set_of_older_checks_is_kept_until_it_is_filtered_again(old: Path) -> None:
    before = files(old / "set")
    with pytest.raises(UserError, match=r"set: holds a result of .* or version; .*--force"):
        distill.filter("filters.yaml", "run", out="set")
    assert files(old / "set") == before


def test_newer_checks_judge_a_set_again_and_measure_the_same(old: Path) -> None:
    report = json.loads((old / "set/report.json").read_text())
    distill.filter("filters.yaml", "run", out="set", force=True)
    assert rows(old / "set/signals").equals(rows(STORED / "set/signals"))
    found = json.loads((old / "set/report.json").read_text())
    assert found.pop("fingerprint") != report.pop("fingerprint")
    assert found == report
    for part in ("kept", "dropped"):
        assert rows(old / "set" / part).equals(rows(STORED / "set" / part))


def test_another_threshold_measures_nothing_again(old: Path) -> None:
    distill.filter("filters.yaml", "run", out="set", force=True)
    before, report = files(old / "set/signals"), json.loads((old / "set/report.json").read_text())
    change = ["rules.short=reasoning_chars > 1000"]
    distill.filter("filters.yaml", "run", out="set", overrides=change, force=True)
    found = json.loads((old / "set/report.json").read_text())
    cut = report["reasons"]["truncated"]
    assert found["kept"] == 0
    assert found["reasons"] == {"short": report["read"] - cut, "truncated": cut}
    assert files(old / "set/signals") == before


def test_a_run_gone_on_with_is_filtered_trained_on_and_pushed(old: Path, hub: Hub) -> None:
    pytest.importorskip("trl")
    with teacher_server(right) as server:
        resume(server)
    kept = json.loads((old / "set/report.json").read_text())["kept"]
    assert distill.filter("filters.yaml", "run", out="set", force=True) == Exit.DONE
    assert distill.train("student.yaml", "set", out="student", force=True) == Exit.DONE
    made = json.loads((old / "student/train.json").read_text())
    assert (made["examples"], made["steps"]) == (kept + len(OPEN), 2)
    distill.push("set", "ada/sums")
    distill.push("student", "ada/small")
    sent = hub.files("model", "ada/small")
    assert sent["model.safetensors"] == (old / "student/model.safetensors").read_bytes()


def test_a_stored_set_and_student_are_pushed_as_they_are(old: Path, hub: Hub) -> None:
    pytest.importorskip("huggingface_hub")
    distill.push("set", "ada/sums")
    distill.push("student", "ada/small")
    table = (STORED / "set/kept/part-00000.parquet").read_bytes()
    assert table in hub.files("dataset", "ada/sums").values()
    sent = hub.files("model", "ada/small")
    for name in ("model.safetensors", "tokenizer.json", "train.json", "proof.json"):
        assert sent[name] == (STORED / "student" / name).read_bytes()
