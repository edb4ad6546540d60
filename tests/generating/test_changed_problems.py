"""A problem that changed is asked anew, and one that changed back is not."""

import json
from pathlib import Path

import pytest

import distill
from distill.errors import UserError
from tests.builders.recipes import recipe
from tests.builders.runs import ahead, traces
from tests.builders.teacher_server import completion, teacher_server


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "set.jsonl"
    path.write_text(path.read_text().replace(old, new))


def identified(folder: Path, name: str) -> None:
    """Gives the problems ids of their own, so that a change of text does not change them."""
    lines = [json.loads(line) for line in (folder / "set.jsonl").read_text().splitlines()]
    rows = (json.dumps({**line, "id": f"q{i}"}) for i, line in enumerate(lines))
    (folder / "set.jsonl").write_text("\n".join(rows))
    whole = json.loads(Path(name).read_text())
    whole["problems"]["map"] = {"id": "id", "question": "question", "gold": "answer"}
    Path(name).write_text(json.dumps(whole))


def test_a_question_that_is_changed_back_is_not_asked_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server, samples=2)
        identified(tmp_path, name)
        distill.generate(name, out=run)
        before = traces(run)
        for old, new, asked in (("What is 3", "Say 3", 2), ("Say 3", "What is 3", 0)):
            change(tmp_path, old, new)
            count = server.asked.total()
            assert ahead(name, run).requests == asked
            distill.generate(name, out=run)
            assert server.asked.total() - count == asked
    assert traces(run).equals(before)


def test_a_dry_run_counts_another_gold_as_unchecked(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion("\\boxed{1}")) as server:
        name = recipe(tmp_path, server, problems=1, until={"correct": 1, "at_most": 3})
        identified(tmp_path, name)
        distill.generate(name, out=tmp_path / "run")
        assert ahead(name, tmp_path / "run").requests == 0
        change(tmp_path, '"answer": "1"', '"answer": "2"')
        assert ahead(name, tmp_path / "run").requests == 2
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 3


def test_a_set_that_is_not_taken_leaves_the_list_of_the_one_before(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        path = tmp_path / "set.jsonl"
        path.write_text(path.read_text() + '\n{"question": "first?", "answer": ""}')
        distill.generate(name, out=run)
        before = (run / "left_out.jsonl").read_bytes()
        assert b"no_gold" in before
        path.write_text('{"question": "", "answer": "1"}')
        with pytest.raises(UserError, match="no usable problem"):
            distill.generate(name, out=run)
        assert (run / "left_out.jsonl").read_bytes() == before
        path.write_text('{"question": "one?", "answer": "1"}')
        distill.generate(name, out=run)
    assert {one.name for one in run.iterdir()} == {".lock", "ledger.sqlite", "traces"}
