import json
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.problems import read_problems
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import Problem, row_id

GSM8K = Path(__file__).parents[2] / "shared" / "data" / "gsm8k_train.jsonl"
SUMS = "reasoning_gym: [{name: chain_sum, size: 5, seed: %d}]"


def recipe(folder: Path, problems: str = "file: p.jsonl") -> Path:
    path = folder / "r.yaml"
    path.write_text(f"problems: {{{problems}}}\nserve: {{}}\n")
    return path


def problems_of(path: Path, *overrides: str) -> list[Problem]:
    return read_problems(load(str(path), PromptsRecipe, overrides))


def read(folder: Path, *objects: dict[str, Any], sets: tuple[str, ...] = ()) -> list[Problem]:
    (folder / "p.jsonl").write_text("".join(json.dumps(o) + "\n" for o in objects))
    return problems_of(recipe(folder), *sets)


def mistake(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        problems_of(path, *overrides)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def mistake_in(folder: Path, *objects: dict[str, Any], sets: tuple[str, ...] = ()) -> str:
    (folder / "p.jsonl").write_text("".join(json.dumps(o) + "\n" for o in objects))
    return mistake(recipe(folder), *sets)


def asked(question: object = "1 + 1?", answer: object = "2", **other: object) -> dict[str, Any]:
    return {"question": question, "answer": answer, **other}


def test_a_problem_is_what_its_file_and_recipe_say(tmp_path: Path) -> None:
    assert read(tmp_path, asked(), sets=("domain=logic", "verify=exact")) == [
        Problem(
            id=row_id("p", "1 + 1?"),
            question="1 + 1?",
            domain="logic",
            source="p",
            gold="2",
            verify="exact",
        )
    ]


def test_the_source_may_be_named_and_is_part_of_the_id(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, asked(), sets=("problems.source=mine",))
    assert (problem.source, problem.id) == ("mine", row_id("mine", "1 + 1?"))


@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.jsonl"])
def test_a_file_of_any_kind_beside_the_recipe_gives_the_same_problems(
    tmp_path: Path, name: str
) -> None:
    table = pl.DataFrame([asked(), asked("2 + 2?", "4")])
    kinds = {".parquet": table.write_parquet, ".csv": table.write_csv, ".jsonl": table.write_ndjson}
    kinds[Path(name).suffix](tmp_path / name)
    found = problems_of(recipe(tmp_path, f"file: {name}"))
    assert [(p.question, p.gold, p.source) for p in found] == [
        ("1 + 1?", "2", "p"),
        ("2 + 2?", "4", "p"),
    ]


def test_a_map_is_sql_over_the_columns(tmp_path: Path) -> None:
    line = {"q": "1 + 1?", "solution": "one and one #### 2", "n": 7}
    gold = "problems.map.gold=TRIM(SPLIT_PART(solution, '####', 2))"
    sets = ("problems.map.question=q", gold, "problems.map.id=n")
    (problem,) = read(tmp_path, line, sets=sets)
    assert (problem.id, problem.question, problem.gold) == ("7", "1 + 1?", "2")


def test_where_leaves_rows_out(tmp_path: Path) -> None:
    lines = [asked(str(i), "0", level=i) for i in range(5)]
    found = read(tmp_path, *lines, sets=("problems.where=level >= 3",))
    assert [p.question for p in found] == ["3", "4"]


def test_a_repeated_question_is_asked_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, asked(), asked(" 1  +\n1? "), asked("e\u0301"), asked("\u00e9"))
    assert [p.question for p in found] == ["1 + 1?", "e\u0301"]
    assert "2 problems left out: the same question is in the set" in caplog.text


def test_a_question_with_two_reference_answers_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "distill"):
        found = read(tmp_path, asked(), asked(answer="3"), asked("2 + 2?", "4"))
    assert [p.question for p in found] == ["2 + 2?"]
    assert "2 problems left out: their reference answers contradict" in caplog.text


def test_without_a_check_no_reference_is_needed(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, {"question": "Why?"}, sets=("verify=null",))
    assert (problem.gold, problem.verify) == (None, None)


def test_numbers_are_read_as_text(tmp_path: Path) -> None:
    found = read(tmp_path, asked(5, 3), asked("six", "x"))
    assert [(p.question, p.gold) for p in found] == [("5", "3"), ("six", "x")]


MISTAKES = [
    ([], (), "p is empty"),
    ([{"x": 1, "y": 2}], (), "p has no question column; found x, y; use map"),
    (
        [{"question": "q", "y": 2}],
        (),
        "p has no gold column; found question, y; use map, or verify",
    ),
    ([asked(problem="p")], (), "question and problem could both be the question; say which in map"),
    ([asked(gold="p")], (), "gold and answer could both be the gold; say which in map"),
    ([asked(id=1), asked("b", id=1)], ("problems.map.id=id",), "id '1' is there twice"),
    ([asked("  ")], (), "no usable problem is left"),
    ([asked(answer=" ")], (), "no usable problem is left"),
    ([asked()], ("problems.where=1 = 2",), "no usable problem is left"),
    # SQL that is none, or names what is not there, or makes no text
    (
        [asked()],
        ("problems.where=level > 3",),
        "problems.where: level > 3: names a column that is n",
    ),
    ([asked()], ("problems.where=level > 3",), "found question, answer"),
    (
        [asked()],
        ("problems.where=SELECT (",),
        "problems.where: SELECT (: not a polars SQL expressi",
    ),
    ([asked()], ("problems.where=question",), "problems.where: question: makes String, not a cond"),
    ([asked()], ("problems.map.gold=oops",), "problems.map.gold: oops: names a column that is not"),
    ([asked()], ("problems.map.gold=FOO(answer)",), "unsupported function"),
    ([asked(answer=["2"])], (), 'problems.map.gold: "answer": makes List(String), not text'),
    ([asked(answer={"a": 1})], (), "makes Struct({'a': Int64}), not text"),
    ([asked(answer={"a": 1}), asked(answer="2")], (), "p.jsonl: its lines do not make one table"),
    (
        [asked(answer="x")],
        ("problems.map.gold=CAST(answer AS INT)",),
        "cannot be computed on p: con",
    ),
    (
        [asked(answer="x")],
        ("problems.where=CAST(answer AS INT) = 2",),
        "cannot be computed on p: co",
    ),
    ([asked()], ("problems.file=none.jsonl",), "problems.file: none.jsonl: no such file"),
    ([asked()], ("problems.file=r.yaml",), "problems.file: r.yaml: give JSONL(.gz, .zst), Parquet"),
]


@pytest.mark.parametrize(("lines", "sets", "said"), MISTAKES)
def test_an_unusable_set_is_one_line(
    tmp_path: Path, lines: list[dict[str, Any]], sets: tuple[str, ...], said: str
) -> None:
    assert said in mistake_in(tmp_path, *lines, sets=sets)


CELLS = st.none() | st.text("ab 12", max_size=3) | st.integers(0, 9)


@given(lines=st.lists(st.builds(asked, question=CELLS, answer=CELLS), max_size=6))
def test_every_problem_has_one_question_and_one_reference(
    tmp_path_factory: Any, lines: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, *lines)
    except UserError:
        found = []
    questions = [" ".join(p.question.split()) for p in found]
    assert all(questions)
    assert len(set(questions)) == len({p.id for p in found}) == len(found)
    for problem in found:
        same = " ".join(problem.question.split())
        given_golds = [o["answer"] for o in lines if " ".join(str(o["question"]).split()) == same]
        golds = {str(gold) for gold in given_golds if gold is not None and str(gold).strip()}
        assert golds == {problem.gold}


def test_a_generated_set_is_the_same_again_and_another_under_another_seed(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    first = problems_of(recipe(tmp_path, SUMS % 1))
    assert first == problems_of(recipe(tmp_path, SUMS % 1))
    assert first != problems_of(recipe(tmp_path, SUMS % 2))
    assert [p.source for p in first] == ["reasoning-gym"] * 5


def test_a_generator_that_makes_another_set_than_recorded_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    path = recipe(tmp_path, SUMS % 1 + ", sha256: 0123456789abcdef")
    said = mistake(path)
    assert "the source now makes another set (" in said
    made = said.partition("another set (")[2].partition(",")[0]
    assert len(problems_of(path, f"problems.sha256='{made}'")) == 5


GENERATORS = [
    (
        "{name: chain_sums, size: 1, seed: 0}",
        "no generator 'chain_sums'; did you mean 'chain_sum'?",
    ),
    ("{name: chain_sum, size: 1, seed: 0, options: {terms: 2}}", "chain_sum: unusable options"),
    (
        "{name: chain_sum, size: 1, seed: 0, options: {min_terms: -1}}",
        "chain_sum: unusable options",
    ),
]


@pytest.mark.parametrize(("task", "said"), GENERATORS)
def test_an_unusable_generator_is_one_line(tmp_path: Path, task: str, said: str) -> None:
    pytest.importorskip("reasoning_gym")
    assert said in mistake(recipe(tmp_path, f"reasoning_gym: [{task}]"))


@pytest.mark.skipif(not GSM8K.exists(), reason="the shared problems are not here")
def test_the_shipped_recipe_reads_real_problems_from_a_file() -> None:
    found = read_problems(load("gsm8k", PromptsRecipe, [f"problems.file={GSM8K}"]))
    assert len(found) > 7400
    assert found[0].gold == "72"
    assert {p.source for p in found} == {"openai/gsm8k:train"}
