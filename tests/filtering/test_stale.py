"""What is stale, foreign or in the way is never taken for the result's own."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from distill.cli import main
from distill.errors import Exit, UserError
from distill.files.write import read_json
from distill.rows import SCHEMA
from distill.signals import verdict
from distill.signals.settings import PLAIN
from distill.verify import Verdict
from tests.builders.models import Kind, tokenizer_files
from tests.builders.rows import filters, row


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
    return path


def ids(out: Path, name: str = "kept") -> list[str]:
    paths = sorted((out / name).iterdir())
    return [name for path in paths for name in pl.read_parquet(path, glob=False)["id"]]


def reasons(out: Path) -> dict[str, int]:
    found: dict[str, int] = read_json(out / "report.json")["reasons"]
    return found


def test_difficulty_counts_no_verdict_that_only_an_earlier_recipe_made(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "What is 1 + 1?"}]
    rows = [row(1, sample=i, messages=asked) for i in range(3)]
    rows += [row(1, sample=9, messages=asked, response="\\boxed{3}", completion_tokens=5_000)]
    data = write(tmp_path / "data.parquet", *rows)
    wrong, select = "verdict = 'correct'", {"difficulty": {"at_least": 0.0, "at_most": 0.9}}
    loose = filters(tmp_path, rules={"long": "total_tokens < 9999", "wrong": wrong}, select=select)
    distill.filter(loose, data, out=tmp_path / "out")
    assert reasons(tmp_path / "out") == {"wrong": 1}
    tight = filters(tmp_path, rules={"long": "total_tokens < 99", "wrong": wrong}, select=select)
    distill.filter(tight, data, out=tmp_path / "out", force=True)
    distill.filter(tight, data, out=tmp_path / "fresh")
    assert reasons(tmp_path / "out") == reasons(tmp_path / "fresh") == {"too_easy": 3, "long": 1}


def test_a_rule_is_asked_only_of_rows_that_passed_those_before(tmp_path: Path) -> None:
    rules = {"number": "gold NOT LIKE '%x%'", "small": "CAST(gold AS BIGINT) < 5"}
    data = write(tmp_path / "data.parquet", row(1), row(2, gold="2x"), row(9))
    name = filters(tmp_path, rules=rules)
    distill.filter(name, data, out=tmp_path / "out")
    assert reasons(tmp_path / "out") == {"number": 1, "small": 1}
    assert main(["filter", name, str(data), "--explain", "q2"]) == Exit.DONE
    with pytest.raises(UserError, match="small: fails on this data"):
        distill.filter(filters(tmp_path, rules={"small": rules["small"]}), data, out=tmp_path / "o")


@pytest.mark.parametrize("name", ["a[1]", "b[1]*", "c?"])
def test_a_path_with_a_pattern_in_its_name_is_a_path(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data.parquet", *(row(i) for i in range(5)), row(6, gold="0"))
    out = tmp_path / name / "out"
    distill.filter(filters(tmp_path, select={"shuffle": True}), data, out=out)
    assert len(ids(out)) == 5
    assert pl.read_parquet(out / "signals/part-00000.parquet", glob=False).height == 6
    made = (out / "signals/part-00000.parquet").stat().st_mtime_ns
    later = filters(tmp_path, select={"shuffle": False})
    distill.filter(later, data, out=out, force=True)
    assert (out / "signals/part-00000.parquet").stat().st_mtime_ns == made
    assert main(["filter", later, str(data), "-o", str(out), "--sample", "wrong"]) == Exit.DONE
    assert main(["filter", later, str(data), "-o", str(out), "--explain", "q6"]) == Exit.DONE
    assert "dropped: wrong" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["kept", "dropped", "signals", ".shuffling"])
def test_a_link_in_the_place_of_a_part_is_refused(name: str, tmp_path: Path) -> None:
    data, out = write(tmp_path / "data.parquet", row(1), row(2, gold="0")), tmp_path / "out"
    distill.filter(filters(tmp_path), data, out=out)
    disk = tmp_path / "disk"
    if (out / name).exists():
        (out / name).rename(disk)
    disk.mkdir(exist_ok=True)
    (out / name).symlink_to(disk, target_is_directory=True)
    with pytest.raises(UserError, match=f"{name}: is a link; remove it"):
        distill.filter(filters(tmp_path, rules={}), data, out=out, force=True)


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data.parquet", row(1)), tmp_path / "out"
    distill.filter(filters(tmp_path), data, out=out)
    (out / "kept").rename(tmp_path / "old")
    (out / "kept").write_text("what a folder cannot be removed as")
    with pytest.raises(UserError, match="kept: cannot be removed: Not a directory; remove it"):
        distill.filter(filters(tmp_path), data, out=out, force=True)


@pytest.mark.parametrize("out", ["data/out", "data", "data/deep/er"])
def test_a_result_is_not_put_among_its_data(out: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data" / "part.parquet", row(1)).parent
    with pytest.raises(UserError, match="so its files would be read as DATA; choose another -o"):
        distill.filter(filters(tmp_path), data, out=tmp_path / out)
    assert [path.name for path in data.iterdir()] == ["part.parquet"]


def test_a_file_of_another_name_is_another_source_where_rows_are_named_after_it(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "a.jsonl", tmp_path / "out"
    data.write_text(json.dumps({"question": "1 + 1?", "response": "2", "answer": "2"}))
    name = filters(tmp_path, rules={})
    distill.filter(name, data, out=out)
    before = pl.read_parquet(out / "kept/*.parquet")
    later = data.rename(tmp_path / "b.jsonl")
    with pytest.raises(
        UserError, match="holds a result of another recipe, input, option or version"
    ):
        distill.filter(name, later, out=out)
    distill.filter(name, later, out=out, force=True)
    after = pl.read_parquet(out / "kept/*.parquet")
    assert (before["source"].item(), after["source"].item()) == ("a.jsonl", "b.jsonl")
    own = write(tmp_path / "own.parquet", row(1))  # its rows say themselves where they are from
    distill.filter(name, own, out=tmp_path / "own")
    made = (tmp_path / "own/report.json").stat().st_mtime_ns
    distill.filter(name, own.rename(tmp_path / "renamed.parquet"), out=tmp_path / "own")
    assert (tmp_path / "own/report.json").stat().st_mtime_ns == made


def test_another_tokenizer_in_the_same_place_counts_again(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    text = "A\u030angstro\u0308m et çedilla; 12345678 " * 9
    data, out = write(tmp_path / "data.parquet", row(1, reasoning=text)), tmp_path / "out"
    name = filters(tmp_path, rules={"long": "total_tokens < 1"}, tokenizer="tokenizer.json")
    found: list[int] = []
    kinds: tuple[Kind, ...] = ("composing", "lossy")
    for kind in kinds:
        tokenizer_files(tmp_path, kind)
        if found:
            with pytest.raises(UserError, match="holds a result of another"):
                distill.filter(name, data, out=out)
        distill.filter(name, data, out=out, force=True)
        found.append(pl.read_parquet(out / "dropped/*.parquet")["total_tokens"].item())
    fresh = tmp_path / "fresh"
    distill.filter(name, data, out=fresh)
    assert found[1] == pl.read_parquet(fresh / "dropped/*.parquet")["total_tokens"].item()
    assert found[0] != found[1]


def test_another_score_model_in_the_same_place_is_another_result(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data.parquet", row(1)), tmp_path / "out"
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    name = filters(tmp_path, rules={}, score_model="model")
    distill.filter(name, data, out=out)
    assert distill.filter(name, data, out=out) == Exit.DONE
    (model / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="holds a result of another"):
        distill.filter(name, data, out=out)


def test_a_corrected_row_is_not_explained_by_what_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, name = tmp_path / "out", filters(tmp_path)
    data = write(tmp_path / "data.parquet", row(1, gold="7"))
    distill.filter(name, data, out=out)
    arguments = ["filter", name, str(data), "-o", str(out), "--explain", "q1"]
    assert main(arguments) == Exit.DONE
    said = capsys.readouterr().out
    assert "stored" in said
    assert "broken" in said
    write(data, row(1))
    assert main(arguments) == Exit.DONE
    said = capsys.readouterr().out
    assert "holds" in said
    assert "broken" not in said
    assert "stored" not in said
    assert "of other values under that key" in said


@pytest.mark.parametrize(("label", "again"), [("error", True), ("timeout", False)])
def test_our_own_failure_is_asked_again_and_a_timeout_is_not(
    label: Any, again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write(tmp_path / "data.parquet", row(1), row(2, gold="0")), tmp_path / "out"
    whole = verdict._verdicts

    def failing(*asked: Any) -> list[Verdict]:
        found = whole(*asked)
        return [Verdict(label, None, "jail_failed") if v.label == "correct" else v for v in found]

    with monkeypatch.context() as patch:
        patch.setattr(verdict, "_verdicts", failing)
        distill.filter(filters(tmp_path), data, out=out)
    assert ids(out) == []
    distill.filter(filters(tmp_path), data, out=out, force=True)
    assert ids(out) == (["q1"] if again else [])
    assert verdict.measure(pl.read_parquet(data), PLAIN)["verdict"].to_list()[0] == "correct"
