"""``distill filter --audit-verdicts``: both opinions, the same rows each time, nothing written."""

import json
from pathlib import Path

import pytest

from distill.cli import main
from distill.errors import Exit
from distill.filtering.audit import audit
from distill.verify import Isolation

ROWS = [
    ("same", "5", r"It is \boxed{5}."),
    ("both-no", "5", r"It is \boxed{6}."),
    ("denied", "5", "The answer is not 5."),  # ours: no answer
    ("numeral", "3000", "The answer is 3 thousand."),  # only ours reads it
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [
        {"id": name, "question": "?", "gold": gold, "verify": "math", "response": response}
        for name, gold, response in ROWS
    ]
    lines.append({"id": "text", "question": "?", "gold": "5", "verify": "exact", "response": "5"})
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_only_rows_of_two_opinions_are_disagreements(rows: Path) -> None:
    found = audit(rows, limit=None, isolation=Isolation())
    said = {one.row.key.split()[0]: (one.ours.label, one.same) for one in found.disagreements}
    assert said == {"denied": ("no_answer", True), "numeral": ("correct", False)}
    assert (found.rows, found.looked_at) == (4, 4)  # the row of another kind is not asked about


def test_the_command_prints_both_opinions_and_writes_nothing(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    before = sorted(rows.parent.rglob("*"))
    words = ["filter", "r1", str(rows), "--audit-verdicts", "1"]
    assert main(words) == Exit.DONE
    first = capsys.readouterr().out
    assert "4 of 4 rows compared: 2 disagree (1 shown)" in first
    assert sum(f"{name} 0" in first for name, *_ in ROWS) == 1
    assert main(words) == Exit.DONE
    assert capsys.readouterr().out == first
    assert sorted(rows.parent.rglob("*")) == before


def test_data_without_mathematics_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "?", "response": "5"}\n', encoding="utf-8")
    assert main(["filter", "r1", str(path), "--audit-verdicts", "3"]) == Exit.USER
    assert "no row has a gold and verify: math" in capsys.readouterr().err
