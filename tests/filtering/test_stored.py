"""What was measured once is not measured again, and never changes what comes out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.errors import UserError
from distill.files.write import read_json
from distill.rows import SCHEMA

BASE: dict[str, Any] = {
    "rules": {
        "truncated": "finish_reason = 'stop'",
        "short": "response_chars > 9",
        "wrong": "verdict = 'correct'",
    }
}


def traces(path: Path, count: int) -> Path:
    """Rows of which some break each rule, as one Parquet file of our schema."""
    rows = [
        {
            "id": f"q{i}",
            "sample": 0,
            "domain": "math",
            "source": "test",
            "messages": [{"role": "user", "content": f"What is {i} and one more, by your count?"}],
            "gold": str(i + 1),
            "verify": "math",
            "reasoning": f"{i} and one more. " * (3 + i % 40),
            "response": f"\\boxed{{{i + 1 + (i % 5 == 0)}}}",
            "finish_reason": "length" if i % 7 == 0 else "stop",
        }
        for i in range(count)
    ]
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
    return path


def recipe(path: Path, **changes: Any) -> str:
    path.write_text(json.dumps(BASE | changes))
    return str(path)


def result(out: Path) -> dict[str, bytes]:
    """The bytes of everything that a person is given."""
    files = [p for name in ("kept", "dropped") for p in (out / name).iterdir()]
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in files}
    found["report"] = json.dumps(read_json(out / "report.json")).encode()
    return found


def measured(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (out / "signals").iterdir()}


RULES = BASE["rules"]
CHANGES: dict[str, dict[str, Any]] = {
    "a threshold": {"rules": RULES | {"short": "response_chars > 10"}},
    "a weaker threshold, so that more is verified": {
        "rules": RULES | {"short": "response_chars > 0"}
    },
    "a rule less": {"rules": {"truncated": RULES["truncated"]}},
    "another signal": {"rules": {"long": "total_tokens < 100"} | RULES},
    "a costly signal first": {"rules": {"wrong": RULES["wrong"], "short": RULES["short"]}},
    "a rule that reads a text": {
        "rules": {"no_box": "response LIKE '%boxed%' AND total_tokens > 20"} | RULES
    },
    "selection": {"select": {"dedupe": "near", "per_prompt": {"at_most": 1}, "shuffle": True}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_recipe_gives_what_a_first_run_of_it_gives(change: str, tmp_path: Path) -> None:
    data = traces(tmp_path / "data.parquet", 300)
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    distill.filter(recipe(tmp_path / "a.yaml"), data, out=out)
    changed = recipe(tmp_path / "b.yaml", **CHANGES[change])
    distill.filter(changed, data, out=out, force=True)
    distill.filter(changed, data, out=fresh)
    assert result(out) == result(fresh)
    distill.filter(recipe(tmp_path / "a.yaml"), data, out=out, force=True)  # and back
    distill.filter(recipe(tmp_path / "a.yaml"), data, out=fresh, force=True)
    assert result(out) == result(fresh)


def test_a_changed_threshold_measures_nothing(tmp_path: Path) -> None:
    data, out = traces(tmp_path / "data.parquet", 300), tmp_path / "out"
    distill.filter(recipe(tmp_path / "a.yaml"), data, out=out)
    before = measured(out)
    change = recipe(tmp_path / "b.yaml", rules=RULES | {"short": "response_chars > 10"})
    distill.filter(change, data, out=out, force=True)
    assert measured(out) == before
    assert read_json(out / "report.json")["reasons"]["short"] > 0


def test_verdicts_are_kept_when_another_signal_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = traces(tmp_path / "data.parquet", 50), tmp_path / "out"
    distill.filter(recipe(tmp_path / "a.yaml"), data, out=out)
    wrong = read_json(out / "report.json")["reasons"]["wrong"]

    def again(*_: object) -> pl.DataFrame:
        pytest.fail("verified again")

    with monkeypatch.context() as patch:
        patch.setattr("distill.signals.verdict.measure", again)
        change = recipe(tmp_path / "b.yaml", rules=RULES | {"long": "total_tokens < 1000"})
        distill.filter(change, data, out=out, force=True)
    assert read_json(out / "report.json")["reasons"]["wrong"] == wrong > 0


@pytest.mark.parametrize("what", ["version", "rows"])
def test_what_no_longer_holds_is_measured_again(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = traces(tmp_path / "data.parquet", 50), tmp_path / "out"
    name = recipe(tmp_path / "a.yaml")
    distill.filter(name, data, out=out)
    before, kept = measured(out), result(out)
    if what == "version":
        monkeypatch.setattr("distill.signals.format.VERSION", 999)
    else:
        pl.read_parquet(data).with_columns(response=pl.lit("\\boxed{0}")).write_parquet(data)
    distill.filter(name, data, out=out, force=True)
    assert measured(out) != before
    if what == "version":
        assert kept.keys() == result(out).keys()
    else:
        assert read_json(out / "report.json")["reasons"] == {"truncated": 8, "short": 42}


def test_a_stored_file_that_was_cut_short_is_measured_again(tmp_path: Path) -> None:
    data, out = traces(tmp_path / "data.parquet", 50), tmp_path / "out"
    name = recipe(tmp_path / "a.yaml")
    distill.filter(name, data, out=out)
    before = result(out)
    part = out / "signals" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-100])
    (out / "report.json").unlink()
    (out / ".unfinished").touch()
    distill.filter(name, data, out=out)
    assert result(out) == before


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(form: str, tmp_path: Path) -> None:
    data = traces(tmp_path / "data.parquet", 9_000)
    if form == "jsonl":
        pl.read_parquet(data).write_ndjson(tmp_path / "data.jsonl")
        data = tmp_path / "data.jsonl"
    name, out, fresh = recipe(tmp_path / "a.yaml"), tmp_path / "out", tmp_path / "fresh"
    command = [sys.executable, "-m", "distill", "filter", name, str(data), "-o", str(out)]
    running = subprocess.Popen([*command, "--workers", "2"], start_new_session=True)
    stored = out / "signals" / "part-00001.parquet"
    deadline = time.monotonic() + 60
    while not stored.exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (out / "report.json").exists()
    before = {k: v for k, v in measured(out).items() if k[0] != "."}
    assert before.keys() >= {"part-00001.parquet"}
    with pytest.raises(UserError, match="unfinished"):
        distill.filter(name, out, out=tmp_path / "other")
    distill.filter(name, data, out=out)
    assert {k: v for k, v in measured(out).items() if k in before} == before
    distill.filter(name, data, out=fresh)
    assert result(out) == result(fresh)
    hidden = {p.name for p in out.iterdir()} - {p.name for p in fresh.iterdir()}
    assert hidden == set()
