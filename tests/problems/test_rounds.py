"""Traces as prompts: each trace of a run is a problem of another round."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.slices import BATCH
from distill.problems import LeftOut, ProblemSet, problem_set
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import PROBLEM_SCHEMA, Message, Problem, Row, to_frame
from tests.builders import rows


def trace(id: str = "a", sample: int = 0, **other: Any) -> Row:
    values: dict[str, Any] = {"source": "s", "verify": "exact", "response": "2", "teacher": "t"}
    values |= {"asked": [("user", "1 + 1?")], "reasoning": "One and one.", "completion_tokens": 9}
    return rows.trace(id, sample=sample, **(values | other))


def write(folder: Path, *rows: Row, name: str = "t.parquet") -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    to_frame(rows).write_parquet(folder / name)


def set_of(folder: Path, *sets: str, traces: str = "t.parquet") -> ProblemSet:
    path = folder / "r.yaml"
    path.write_text(f"problems: {{traces: {json.dumps(traces)}}}\nserve: {{}}\n")
    return problem_set(load(str(path), PromptsRecipe, sets))


def read(folder: Path, *rows: Row, sets: tuple[str, ...] = ()) -> list[Problem]:
    write(folder, *rows)
    return list(set_of(folder, *sets).first())


def mistake(folder: Path, *rows: Row, sets: tuple[str, ...] = ()) -> str:
    write(folder, *rows)
    with pytest.raises(UserError) as caught:
        list(set_of(folder, *sets).tables())
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def fields(problem: Problem) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(problem.fields or "")
    return found


def test_a_trace_is_a_prompt_with_all_its_parts(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, trace(sample=3, domain="logic"))
    assert (problem.id, problem.question, problem.gold) == ("a.3", "1 + 1?", "2")
    assert (problem.domain, problem.source) == ("logic", "s")
    assert fields(problem) == {
        "id": "a",
        "sample": 3,
        "messages": [{"role": "user", "content": "1 + 1?"}],
        "reasoning": "One and one.",
        "response": "2",
        "gold": "2",
        "verify": "exact",
        "teacher": "t",
    }


def test_a_new_answer_is_checked_as_the_recipe_says(tmp_path: Path) -> None:
    rows = (trace(), trace("b", verify=None), trace("c", verify="judge"))
    assert [p.verify for p in read(tmp_path, *rows)] == ["math"] * 3
    assert [p.verify for p in read(tmp_path, *rows, sets=("verify=null",))] == [None] * 3


def test_a_rewritten_trace_is_checked_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = (trace(), trace("b", verify=None, gold=None), trace("c", verify="judge"))
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, *rows, sets=("becomes=reasoning", "verify=math"))
    assert [(p.id, p.verify) for p in found] == [("a.0", "exact"), ("b.0", None)]
    assert "1 unverifiable/no_checker" in caplog.text
    kept = ("becomes=response", "problems.keep_uncheckable=true")
    assert [p.verify for p in read(tmp_path, *rows, sets=kept)] == ["exact", None, "judge"]


def test_the_question_is_the_last_user_turn(tmp_path: Path) -> None:
    talk = [("system", "Be brief."), ("user", "1?"), ("assistant", "1"), ("user", "And 2?")]
    messages = tuple(Message(role=role, content=content) for role, content in talk)
    for turns in (messages, (*messages, Message(role="assistant", content="2"))):
        (problem,) = read(tmp_path, trace(messages=turns))
        assert problem.question == "And 2?"


def test_samples_of_one_question_are_prompts_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path, trace(), trace(sample=1), trace("b"))
    assert [p.id for p in found] == ["a.0", "a.1", "b.0"]


def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path: Path) -> None:
    system = (Message(role="system", content="x"),)
    blank = (Message(role="user", content=" "),)
    rows = [trace("a", messages=None), trace("b", messages=system), trace("c", messages=blank)]
    write(tmp_path, *rows, trace("d", gold=None), trace("e", gold="$"), trace("f"))
    noted: list[LeftOut] = []
    (table,) = set_of(tmp_path).tables(note=noted.append)
    assert table["id"].to_list() == ["f.0"]
    assert [(one.id, one.reason) for one in noted] == [
        ("a.0", "no_question"),
        ("b.0", "no_question"),
        ("c.0", "no_question"),
        ("d.0", "no_gold"),
        ("e.0", "uncheckable_gold:unverifiable/unreadable_gold"),
    ]


def test_where_is_sql_over_a_trace(tmp_path: Path) -> None:
    rows = [trace(name, completion_tokens=n) for n, name in enumerate("abcd")]
    where = "problems.where=completion_tokens > 1 AND id NOT IN ('d')"
    assert [p.id for p in read(tmp_path, *rows, sets=(where,))] == ["c.0"]


def test_the_recipe_may_name_the_source(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, trace(), sets=("problems.source=mine",))
    assert problem.source == "mine"


MISTAKES = [
    ((), ("problems.map.gold=response",), "problems.map.gold: response: traces say it themselves"),
    ((), ("problems.sha256='0123'",), "problems.sha256: 0123: is not for traces"),
    ((), ("problems.where=tokens > 1",), "problems.where: tokens > 1: names a column that is not"),
    ((), ("problems.where=tokens > 1",), "found id, sample, domain, "),
    ((), ("problems.where=response",), "problems.where: response: makes String, not a condition"),
    ((), ("problems.where=sample > AVG(sample)",), "looks at other rows; traces are read one by"),
    ((), ("problems.where=SELECT (",), "not a polars SQL expression"),
    ((trace(),), ("problems.where=CAST(id AS INT) = 1",), "where: CAST(id AS INT) = 1: cannot be"),
    ((trace(),), ("problems.where=sample = 7",), "r.yaml: problems: no usable problem is left"),
    ((trace(),), ("problems.where=sample = 7", "problems.sample=1"), "no usable problem is left"),
    ((trace(), trace()), (), "id 'a' with sample 0 appears twice"),
    ((), (), "no rows in it"),
    ((), ("problems.traces=none.parquet",), "problems.traces: none.parquet: no such file"),
    ((), ("problems.traces=r.yaml",), "problems.traces: r.yaml: give JSONL"),
]


@pytest.mark.parametrize(("rows", "sets", "said"), MISTAKES)
def test_unusable_traces_are_one_line(
    tmp_path: Path, rows: tuple[Row, ...], sets: tuple[str, ...], said: str
) -> None:
    assert said in mistake(tmp_path, *rows, sets=sets)


def test_the_literals_of_a_where_are_no_looking_across(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, trace(source="Over"), sets=("problems.where=source = 'Over'",))
    assert problem.source == "Over"


def test_traces_are_found_beside_the_recipe_and_anywhere_if_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder, name in ((here, "given"), (beside, "next")):
        write(folder, trace(name))
    monkeypatch.chdir(here)

    def ids(traces: str) -> list[str]:
        return [p.id for p in set_of(beside, traces=traces).first()]

    def said(traces: str) -> list[str]:
        return [p.id for p in set_of(beside, f"problems.traces={traces}").first()]

    assert ids("t.parquet") == ids("t.*") == ["next.0"]
    assert said("t.parquet") == said("'*.parquet'") == said(str(here)) == ["given.0"]
    (here / "t.parquet").unlink()
    assert said("t.parquet") == said("t.*") == ["next.0"]


@pytest.mark.parametrize("part", ["traces", "kept"])
def test_a_folder_of_another_stage_is_read_as_filter_would(tmp_path: Path, part: str) -> None:
    (tmp_path / "made").mkdir()
    write(tmp_path, trace(), name=f"made/{part}/part-00000.parquet")
    write(tmp_path, trace("x"), name="made/other.parquet")
    sign = {"traces": "traces/manifest.json", "kept": "report.json"}[part]
    (tmp_path / "made" / sign).write_text("{}")
    assert [p.id for p in set_of(tmp_path, traces="made").first()] == ["a.0"]


def test_an_unfinished_filtered_set_is_refused(tmp_path: Path) -> None:
    write(tmp_path, trace(), name="made/part-00000.parquet")
    (tmp_path / "made" / ".unfinished").touch()
    with pytest.raises(UserError, match=r"r\.yaml: problems\.traces: .*this filtered set is unf"):
        set_of(tmp_path, traces="made")


def test_a_foreign_table_is_a_round_too(tmp_path: Path) -> None:
    lines = [{"problem": "2 + 2?", "answer": "4", "generations": ["<think>x</think>4", "5"]}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = list(set_of(tmp_path, traces="t.jsonl").first())
    assert [(p.question, p.gold, fields(p)["response"]) for p in found] == [
        ("2 + 2?", "4", "4"),
        ("2 + 2?", "4", "5"),
    ]
    assert len({p.id for p in found}) == 2


def several(count: int) -> list[Row]:
    return [trace(f"p{i}", gold="$" if i % 5 == 4 else "2") for i in range(count)]


def test_traces_come_table_by_table_before_the_last_is_read(tmp_path: Path) -> None:
    write(tmp_path, *several(BATCH + 1), name="d/1.parquet")
    (tmp_path / "d" / "2.jsonl").write_text("{")
    tables: Iterator[pl.DataFrame] = set_of(tmp_path, traces="d").tables()
    found: list[pl.DataFrame] = []
    with pytest.raises(UserError, match="not JSON"):
        found.extend(tables)
    assert len(found) > 1
    assert sum(table.height for table in found) == BATCH * 4 // 5 + 1
    assert all(table.schema == PROBLEM_SCHEMA for table in found)


@given(
    fewer=st.integers(1, 20),
    more=st.integers(1, 20),
    seed=st.integers(0, 3),
    order=st.permutations(range(20)),
)
def test_a_sample_of_traces_depends_on_the_seed_alone(
    tmp_path_factory: Any, fewer: int, more: int, seed: int, order: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    fewer, more = sorted((fewer, more))
    rows = several(20)

    def drawn(count: int, rows: list[Row]) -> list[str]:
        sets = (f"problems.sample={count}", f"problems.seed={seed}")
        return [p.id for p in read(folder, *rows, sets=sets)]

    small, large = drawn(fewer, rows), drawn(more, rows)
    assert (len(small), len(large)) == (min(fewer, 16), min(more, 16))
    assert set(small) <= set(large)
    shuffled = [rows[i] for i in order]
    again = drawn(fewer, shuffled)
    assert again == [f"{row.id}.0" for row in shuffled if f"{row.id}.0" in small]


def test_a_sample_of_traces_is_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, *several(10))
    noted: list[LeftOut] = []
    with caplog.at_level(logging.WARNING, "distill"):
        (table,) = set_of(tmp_path, "problems.sample=9").tables(note=noted.append)
    assert (table.height, [one.id for one in noted]) == (8, ["p4.0", "p9.0"])
    assert "problems.sample: 9: only 8 are there; all taken" in caplog.messages[0]
    assert len(caplog.messages) == 2


def test_traces_are_known_by_their_content_before_they_are_read(tmp_path: Path) -> None:
    write(tmp_path, trace())
    known = set_of(tmp_path).digest
    assert set_of(tmp_path, traces=str(tmp_path / "t.parquet")).digest == known
    others = [
        set_of(tmp_path, sets).digest
        for sets in ("becomes=response", "problems.where=sample = 0", "verify=null")
    ]
    write(tmp_path, trace("b"))
    others.append(set_of(tmp_path).digest)
    (tmp_path / "t.parquet").write_bytes(b"")
    others.append(set_of(tmp_path).digest)  # and says nothing yet
    assert len({known, *others}) == 6


TEXTS = st.text(max_size=8)
TURNS = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=TEXTS)


@given(
    rows=st.lists(
        st.builds(
            trace,
            id=st.text("ab.0 ", min_size=1, max_size=3),
            sample=st.integers(0, 12),
            messages=st.none() | st.lists(TURNS, max_size=3).map(tuple),
            gold=st.none() | TEXTS,
            verify=st.sampled_from([None, "math", "exact", "code"]),
            reasoning=TEXTS,
            response=TEXTS,
            teacher=st.none() | TEXTS,
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: (row.id, row.sample),
    ),
    becomes=st.booleans(),
)
def test_every_trace_is_a_prompt_that_holds_it_or_is_left_out(
    tmp_path_factory: Any, rows: list[Row], becomes: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    write(folder, *rows)
    noted: list[LeftOut] = []
    tables = []
    try:
        sets = ("becomes=response",) if becomes else ()
        tables = list(set_of(folder, *sets).tables(note=noted.append))
    except UserError as error:
        assert "no usable problem" in str(error)  # noqa: PT017
    asked = [Problem(**row) for table in tables for row in table.iter_rows(named=True)]
    gone = [one.id for one in noted]
    ids = [f"{row.id}.{row.sample}" for row in rows]
    assert sorted([*(p.id for p in asked), *map(str, gone)]) == sorted(ids)
    assert [p.id for p in asked] == [name for name in ids if name not in gone]
    by_id = dict(zip(ids, to_frame(rows).iter_rows(named=True), strict=True))
    for problem in asked:
        row = by_id[problem.id]
        assert all(row[name] == value for name, value in fields(problem).items())
        assert problem.gold == row["gold"]
