"""Several data sets as one mixture: whose rows count how often, and what is not for training."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import UserError
from distill.files.done import data_digest
from distill.files.inputs import Data
from distill.recipes.load import load
from distill.recipes.students import StudentRecipe
from distill.training.sets import Sets, open_sets


def row(i: int, sample: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "id": f"r{i}",
        "sample": sample,
        "messages": [{"role": "user", "content": f"What is {i} + 1?"}],
        "reasoning": f"{i} and one" + " and so on" * sample,
        "response": str(i + 1),
        **values,
    }


def write(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return str(path)


def opened(
    folder: Path, data: Data, text: str = "", *, out: Path | None = None, **options: Any
) -> Sets:
    recipe = folder / "s.yaml"
    recipe.write_text(f"base: a/b\n{text}\n")
    given: dict[str, Any] = {"limit": None, "unfiltered": False, **options}
    loaded = load(str(recipe), StudentRecipe)
    return open_sets(loaded, data, out=out or folder / "student", **given)


def counted(sets: Sets) -> Counter[str]:
    """How often each answer is trained on."""
    found: Counter[str] = Counter()
    for part in sets.parts():
        for thought in part.frame["reasoning"]:
            found[thought] += part.copies
    return found


def test_a_weight_repeats_a_set_or_takes_a_share_of_its_prompts(tmp_path: Path) -> None:
    rows = [row(i, sample) for i in range(200) for sample in range(2)]
    a = write(tmp_path / "a.jsonl", rows)
    b = write(tmp_path / "b.jsonl", [row(i) for i in range(500, 510)])
    for weight, least, most in ((0.25, 0, 1), (1, 1, 1), (2, 2, 2), (2.5, 2, 3)):
        found = counted(opened(tmp_path, [a, b], f"weights: {{{a}: {weight}}}"))
        of_a = {thought: n for thought, n in found.items() if not thought.startswith("5")}
        times = {i: {found[row(i, s)["reasoning"]] for s in range(2)} for i in range(200)}
        assert all(len(each) == 1 for each in times.values())  # all answers of a prompt alike
        assert {n for each in times.values() for n in each} == {least, most}
        assert sum(of_a.values()) == pytest.approx(400 * weight, rel=0.2)
        assert all(found[row(i)["reasoning"]] == 1 for i in range(500, 510))
    reversed_ = counted(opened(tmp_path, [b, a], f"weights: {{{a}: 2.5}}"))
    assert reversed_ == counted(opened(tmp_path, [a, b], f"weights: {{{a}: 2.5}}"))
    assert counted(opened(tmp_path, [a, b], f"weights: {{{a}: 0}}")).total() == 10


def test_a_set_is_weighed_by_its_name_or_as_it_was_given(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [row(1)])
    b = write(tmp_path / "b.jsonl", [row(2)])
    for data in ([f"math={a}", f"code={b}"], {"math": a, "code": b}):
        assert counted(opened(tmp_path, data, "weights: {math: 3}")).total() == 4
    for name in (a, f"{tmp_path}//a.jsonl", f"{tmp_path}/./a.jsonl"):
        assert counted(opened(tmp_path, [a, b], f"weights: {{{name}: 3}}")).total() == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weights: {mat: 2}", r"s\.yaml: weights\.mat: no DATA of that name; did you mean 'math'"),
        ("weights: {math: -1}", r"weights\.math: -1 input should be greater than or equal to 0"),
        ("weights: {math: yes}", r"weights: is a truth value"),
        ("weights: {math: .inf}", r"weights\.math: "),
        ("weights: {math: 0, code: 0}", r"weights: every DATA has weight 0"),
        ("weights: {math: 0.000001}", r"takes none of its 5 prompts; nearest valid: 0\.\d+, or 0"),
    ],
)
def test_a_wrong_weight_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    a = write(tmp_path / "a.jsonl", [row(i) for i in range(5)])
    b = write(tmp_path / "b.jsonl", [row(i) for i in range(5, 9)])
    with pytest.raises(UserError, match=message) as caught:
        counted(opened(tmp_path, {"math": a, "code": b}, text))
    assert "\n" not in str(caught.value)


def test_the_same_answer_in_two_sets_is_trained_on_once(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [row(i) for i in range(6)])
    again = [row(3), row(4, id="other", source="elsewhere"), row(5, response="six")]
    b = write(tmp_path / "b.parquet", [*again, row(9)])
    sets = opened(tmp_path, [a, b])
    assert counted(sets)["5 and one"] == 2  # another answer to the same prompt
    assert sets.skipped() == {"duplicate": 2}
    assert [(each["rows"], each["duplicates"]) for each in sets.values()] == [(6, 0), (4, 2)]
    with pytest.raises(UserError, match=r"is given twice; to repeat it, .*weights: "):
        opened(tmp_path, [a, a])


def test_a_set_whose_answers_are_all_in_an_earlier_one_is_only_counted(tmp_path: Path) -> None:
    rows = [row(i) for i in range(6)]
    a, b = (write(tmp_path / f"{name}.jsonl", rows) for name in "ab")
    sets = opened(tmp_path, [a, b], f"weights: {{{a}: 2}}")
    assert counted(sets).total() == 12
    assert sets.skipped() == {"duplicate": 6}


def test_every_row_of_every_set_is_trained_held_out_or_counted_with_a_reason(
    tmp_path: Path,
) -> None:
    a = write(tmp_path / "a.jsonl", [row(i, s) for i in range(60) for s in range(2)])
    b = write(tmp_path / "b.jsonl", [row(i) for i in range(50, 80)])
    write(tmp_path / "v.jsonl", [row(3), row(90)])
    for held in ("share: 0.2", "prompts: 5", "data: v.jsonl"):
        text = f"weights: {{{a}: 0.4, {b}: 1.7}}\nvalidation: {{{held}}}"
        sets = opened(tmp_path, [a, b], text)
        kept = sum(part.frame.height for part in sets.parts() if part.source is not None)
        assert sets.skipped()["not_drawn"] > 0
        assert kept + sum(sets.skipped().values()) == 150


def test_one_set_has_the_digest_of_its_data_and_several_one_of_all(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [row(1)])
    b = write(tmp_path / "b.jsonl", [row(2)])
    assert opened(tmp_path, a).digest() == opened(tmp_path, [a]).digest() == data_digest(a)
    several = {opened(tmp_path, data).digest() for data in ([a, b], [b, a], {"x": a}, [a])}
    assert len(several) == 4
    before = opened(tmp_path, [a, b]).digest()
    write(tmp_path / "b.jsonl", [row(3)])
    assert opened(tmp_path, [a, b]).digest() != before


def test_a_limit_is_of_all_rows_together(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [row(i) for i in range(6)])
    b = write(tmp_path / "b.jsonl", [row(i) for i in range(6, 12)])
    for limit, expected in ((4, [4, 0]), (6, [6, 0]), (8, [6, 2]), (99, [6, 6])):
        sets = opened(tmp_path, [a, b], limit=limit)
        assert counted(sets).total() == sum(expected)
        assert [each["rows"] for each in sets.values()] == expected


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run, an evaluation, a filtered set, and a run that was filtered into its own folder."""
    plan = {"rows": 2, "shards": {"part-00000.parquet": 2}, "plan": "p"}
    for name in ("run", "eval", "both"):
        write(tmp_path / name / "traces" / "part-00000.parquet", [row(1), row(2)])
        (tmp_path / name / "ledger.sqlite").touch()
        (tmp_path / name / "traces" / "manifest.json").write_text(json.dumps(plan))
    scores: dict[str, Any] = {"fingerprint": None, "model": "m", "benchmarks": {}}
    (tmp_path / "eval" / "scores.json").write_text(json.dumps(scores))
    for name in ("set", "both"):
        write(tmp_path / name / "kept" / "part-00000.parquet", [row(1)])
        dropped = [row(2, reason="wrong")]
        write(tmp_path / name / "dropped" / "part-00000.parquet", dropped)
        report = {"fingerprint": "f", "read": 2, "kept": 1, "dropped": 1, "reasons": {"wrong": 1}}
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    shutil.copytree(tmp_path / "run" / "traces", tmp_path / "copied" / "rows")
    shutil.copy(tmp_path / "set" / "dropped" / "part-00000.parquet", tmp_path / "d.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "run" / "traces" / "part-00000.parquet")
    (tmp_path / "above" / "deep").mkdir(parents=True)
    shutil.copytree(tmp_path / "run", tmp_path / "above" / "deep" / "run")
    return tmp_path


UNFILTERED = [
    ("run", "is of a run and unfiltered"),
    ("x=run", "is of a run and unfiltered"),
    ("run/traces", "is of a run and unfiltered"),
    ("run/traces/*.parquet", "is of a run and unfiltered"),
    ("run/*/part-*", "is of a run and unfiltered"),
    ("run/traces/part-00000.parquet", "is of a run and unfiltered"),
    ("link.parquet", "is of a run and unfiltered"),
    ("copied/rows", "is of a run and unfiltered"),
    ("above", "is of a run and unfiltered"),
    ("set/dropped", "holds what a filter dropped"),
    ("set/dropped/*.parquet", "holds what a filter dropped"),
    ("set/*/*.parquet", "holds what a filter dropped"),
    ("d.parquet", "have a reason why a filter dropped them"),
]


@pytest.mark.parametrize(("data", "message"), UNFILTERED)
def test_unfiltered_traces_want_a_word(
    home: Path, data: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(UserError, match=rf"{message}.*--unfiltered") as caught:
        opened(home, data)
    assert "\n" not in str(caught.value)
    if "of a run" in message:
        assert "next: distill filter r1 " in str(caught.value)
    assert counted(opened(home, data, unfiltered=True)).total() in (1, 2)


@pytest.mark.parametrize("data", ["eval", "eval/traces", "eval/*/*.parquet", "x=eval", "."])
def test_an_evaluation_is_never_trained_on(
    home: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    for unfiltered in (False, True):
        with pytest.raises(UserError, match="is of an evaluation"):
            opened(home, data, unfiltered=unfiltered)


def test_a_validation_is_as_suitable_as_what_is_trained_on(home: Path) -> None:
    data = write(home / "more.jsonl", [row(i) for i in range(5)])
    for held, message in (("eval", "is of an evaluation"), ("run", "is of a run and unfiltered")):
        with pytest.raises(UserError, match=message):
            opened(home, data, f"validation: {{data: {held}}}")
    sets = opened(home, data, "validation: {data: both}")  # its ledger's run was filtered
    assert [part.frame["id"].to_list() for part in sets.parts() if part.source is None] == [["r1"]]


@pytest.mark.parametrize("data", ["set", "set/kept", "set/kept/*.parquet", "both", "a=set"])
def test_what_was_kept_is_trained_on(
    home: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert counted(opened(home, data)) == {"1 and one": 1}


def test_a_set_of_which_nothing_was_kept_says_why(home: Path) -> None:
    report = {"fingerprint": "f", "read": 9, "kept": 0, "reasons": {"wrong": 8, "cut": 1}}
    (home / "set" / "report.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"no row was kept \(wrong 8, cut 1\); see .*report\.json"):
        opened(home, str(home / "set"))


@pytest.mark.parametrize(
    ("data", "out", "fits"),
    [
        ("set", "set/student", True),  # only kept/ is read
        ("set", "set", False),  # could be pushed neither as a set nor as a student
        ("set", "set/kept/student", False),
        ("plain", "plain/student", False),  # its train.jsonl would be read
        ("plain", "plain", False),
        ("plain/train.jsonl", "plain", False),  # it would be replaced by the log
        ("plain/train.jsonl", "plain/student", True),
        ("plain", "elsewhere", True),
        ("linked", "plain/student", False),
    ],
)
def test_the_student_lies_beside_what_it_is_trained_on(
    home: Path, data: str, out: str, fits: bool
) -> None:
    write(home / "plain" / "train.jsonl", [row(1)])
    (home / "linked").symlink_to(home / "plain")
    if fits:
        opened(home, str(home / data), out=home / out)
        return
    with pytest.raises(UserError, match="choose another -o"):
        opened(home, str(home / data), out=home / out)


def test_files_of_several_kinds_in_a_folder_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "d" / "a.jsonl", [row(1)])
    write(tmp_path / "d" / "b.parquet", [row(2)])
    (tmp_path / "d" / "c.txt").write_text("notes")
    with caplog.at_level(logging.WARNING, "distill"):
        opened(tmp_path, str(tmp_path / "d"))
    assert "several kinds, and all are read: a.jsonl, b.parquet" in caplog.text
    assert "not read" in caplog.text
    assert "c.txt" in caplog.text
