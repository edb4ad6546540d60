"""What a run is asked in tests: its rows, its ledger, its process, and what it would do next."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.generating.forecast import Forecast, forecast
from distill.generating.prepare import prepare
from distill.ledger import Attempt
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.teachers import retry
from tests.builders.teacher_server import TeacherServer, completion

ANSWER = json.dumps(completion()).encode()


def traces(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "traces" / "*.parquet").sort("id", "sample")


def ledger(run: Path, query: str) -> list[Any]:
    """What a query says of a run's ledger; rows of one column as bare values."""
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db:
        rows = db.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def errors(run: Path) -> list[str]:
    """The reason of every try that brought no answer."""
    return ledger(run, "SELECT error FROM attempts WHERE error IS NOT NULL")


def assert_all_there(run: Path, problems: int) -> None:
    """Every row is there once, none was answered twice, and the ledger is whole."""
    table = traces(run)
    assert table.height == problems == table["id"].n_unique()
    assert ledger(run, "PRAGMA integrity_check") == ["ok"]
    answered = ledger(run, "SELECT COUNT(*), COUNT(DISTINCT key) FROM attempts WHERE error IS NULL")
    assert answered == [(problems, problems)]


def attempt(name: str | int = 0, sample: int = 0, **values: Any) -> Attempt:
    """A try that brought an answer; ``name``: the prompt's id or number."""
    name = name if isinstance(name, str) else f"p{name}"
    plain: dict[str, Any] = {"state": "done", "finish": "stop", "body": ANSWER, "max_tokens": 100}
    whole = {**plain, "key": f"{name}/{sample}", "plan": "plan", "id": name, "sample": sample}
    return Attempt(
        **{**whole, "started": 0.0, "took_s": 1.0, "status": 200, "endpoint": "e", **values}
    )


def ahead(name: str, out: Path, *overrides: str, limit: int | None = None) -> Forecast:
    """What ``--dry-run`` would say."""
    return forecast(prepare(load(name, PromptsRecipe, overrides), out, limit=limit))


def shorten_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries of a request passes next to no time."""
    monkeypatch.setattr(retry, "WAIT_FIRST_S", 0.01)
    monkeypatch.setattr(retry, "WAIT_MAX_S", 0.05)
    monkeypatch.setattr(retry, "JITTER_S", 0.01)


def start(name: str, run: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "distill", "generate", name, "-o", str(run)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@contextmanager
def generating(name: str, run: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The command in a process of its own; what it says is in ``RUN.out``, beside the run."""
    command = [sys.executable, "-m", "distill", "generate", name, "-o", str(run)]
    with said_by(run).open("a") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    with process:
        try:
            yield process
        finally:
            process.kill()


def said_by(run: Path) -> Path:
    return run.with_suffix(".out")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for(server: TeacherServer, answers: int) -> None:
    wait_until(lambda: server.answered.total() >= answers)
