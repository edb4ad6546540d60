"""Exporting traces: replaces an earlier export, finished or not, and nobody else's files."""

from pathlib import Path

import polars as pl
import pytest

from distill.commands.generate import generate
from distill.errors import Exit, UserError
from distill.files.write import read_json, write_json
from distill.generating.export import export_traces
from distill.ledger import Ledger
from distill.rows import SCHEMA, Message, Problem
from tests.builders.teacher_server import teacher_server


def messages(problem: Problem) -> tuple[Message, ...]:
    return (Message(role="user", content=problem.question),)


def export(tmp_path: Path) -> int:
    """Exports a ledger that has no answers."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    try:
        out = tmp_path / "traces"
        return export_traces(ledger, out, plan="p", problems=1, samples=1, render=messages)
    finally:
        ledger.close()


def put(path: Path, text: str = "somebody's") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_no_answers_are_one_table_without_rows(tmp_path: Path) -> None:
    assert export(tmp_path) == 0
    table = pl.read_parquet(tmp_path / "traces/*.parquet")
    assert table.height == 0
    assert table.schema == SCHEMA
    shards = {"part-00000.parquet": 0}
    assert read_json(tmp_path / "traces/manifest.json") == {
        "rows": 0,
        "shards": shards,
        "plan": "p",
    }


@pytest.mark.parametrize(
    "name",
    ["photos.parquet", "notes.txt", "part-1.parquet", "part-00000.parquet.bak", "old/a.parquet"],
)
def test_a_folder_of_somebody_elses_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    foreign = put(tmp_path / "traces" / name)
    with pytest.raises(UserError, match=r"was not made by distill generate; move it"):
        export(tmp_path)
    assert foreign.read_text() == "somebody's"
    assert not (tmp_path / "traces/manifest.json").exists()


@pytest.mark.parametrize("text", ['{"name": "an app"}', "[]", "no JSON"])
def test_a_manifest_of_somebody_elses_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    foreign = put(tmp_path / "traces/manifest.json", text)
    with pytest.raises(UserError, match=r"manifest\.json: was not made by distill"):
        export(tmp_path)
    assert foreign.read_text() == text


def test_only_stale_shards_are_removed(tmp_path: Path) -> None:
    export(tmp_path)
    stale = put(tmp_path / "traces/part-00007.parquet")
    note = put(tmp_path / "traces/notes.txt")
    export(tmp_path)
    assert not stale.exists()
    assert note.exists()


def test_data_beside_the_shards_is_neither_removed_nor_read_as_traces(tmp_path: Path) -> None:
    export(tmp_path)
    other = put(tmp_path / "traces/other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet: was not made by distill"):
        export(tmp_path)
    assert other.exists()
    assert (tmp_path / "traces/manifest.json").exists()


def test_an_interrupted_export_is_made_again(tmp_path: Path) -> None:
    with teacher_server() as server:
        put(tmp_path / "set.jsonl", '{"question": "What is 1 + 1?", "answer": "2"}')
        put(tmp_path / "math.jinja", "{{ question }}")
        recipe = tmp_path / "recipe.yaml"
        teacher = {"model": "m", "base_url": server.url}
        sampling = {"max_tokens": 100}
        write_json(
            recipe,
            {"problems": {"file": "set.jsonl"}, "teacher": teacher, "sampling": sampling},
        )
        traces = tmp_path / "run/traces"
        assert generate(str(recipe), out=tmp_path / "run") == Exit.DONE
        whole = {p.name: p.read_bytes() for p in traces.iterdir()}
        (traces / "manifest.json").unlink()  # what a kill between the shards leaves
        put(traces / "part-00001.parquet")
        put(traces / ".part-00002.parquet.part")
        put(traces / ".manifest.json.part")
        assert generate(str(recipe), out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 1
    assert {p.name: p.read_bytes() for p in traces.iterdir() if p.suffix != ".part"} == whole
