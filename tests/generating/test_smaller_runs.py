"""A run of fewer samples or problems exports, counts and checks what is wanted now."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import distill
from tests.builders.recipes import recipe
from tests.builders.runs import traces
from tests.builders.teacher_server import completion, teacher_server


def test_fewer_samples_and_problems_are_exported_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with teacher_server(lambda body, n: completion(finish_reason="length")) as server:
        name = recipe(tmp_path, server, samples=3)
        distill.generate(name, out=run)
        distill.generate(name, out=run, overrides=["samples=2"], limit=4)
        assert traces(run)["sample"].to_list() == [0, 1] * 4
        distill.status(run)
        lines = [line.split() for line in capsys.readouterr().out.replace("│", " ").splitlines()]
        assert ["answered", "8"] in lines
        assert ["cut", "at", "the", "limit", "8"] in lines
        distill.generate(name, out=run)
        assert traces(run).height == 15
        assert server.asked.total() == 15  # the others were kept


def test_fewer_answers_of_a_trace_make_no_two_rows_of_one_name(tmp_path: Path) -> None:
    with teacher_server() as server:
        distill.generate(recipe(tmp_path, server, samples=2), out=tmp_path / "first")
        name = recipe(tmp_path, server, samples=2, becomes="response")
        whole = {**json.loads(Path(name).read_text()), "problems": {"traces": "first"}}
        Path(name).write_text(json.dumps(whole))
        distill.generate(name, out=tmp_path / "second")
        assert traces(tmp_path / "second").height == 20
        distill.generate(name, out=tmp_path / "second", overrides=["samples=1"])
    found = traces(tmp_path / "second").select("id", "sample")
    assert found.height == found.n_unique() == 10


def test_only_wanted_answers_are_checked(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server, samples=3)
        distill.generate(name, out=tmp_path / "run")
        whole = {**json.loads(Path(name).read_text()), "until": {"correct": 1, "at_most": 2}}
        del whole["samples"]
        Path(name).write_text(json.dumps(whole))
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 15
    with closing(sqlite3.connect(tmp_path / "run/ledger.sqlite")) as db:
        found = db.execute("SELECT DISTINCT sample, verdict IS NULL FROM requests ORDER BY 1")
        assert found.fetchall() == [(0, 0), (1, 0), (2, 1)]
