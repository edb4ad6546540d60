"""Real problems: references are right by their own check, and test sets in no training set."""

import json

import polars as pl
import pytest

from bench.pool import SHARED
from distill.near.contamination import Benchmarks
from distill.problems import LeftOut, problem_set
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe


def column(name: str, of: str) -> list[str]:
    lines = (SHARED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[of] for line in lines]


def benchmarks(questions: list[str], fuzzy: float | None) -> Benchmarks:
    rows = [("b", str(i), question) for i, question in enumerate(questions)]
    frame = pl.DataFrame(rows, schema=["benchmark", "row", "question"], orient="row")
    return Benchmarks.build(frame, words=13, fuzzy=fuzzy)


@pytest.mark.parametrize(
    ("name", "file", "more", "count", "lost"),
    [
        ("gsm8k", "gsm8k_train", (), 7473, 0),
        ("eval/gsm8k", "gsm8k_test", (), 1319, 0),
        ("eval/math500", "math500", (), 500, 0),
        ("eval/math500", "math_train", (), 7469, 5),  # four without an answer, and one repeat
        ("eval/humaneval", "humaneval", (), 164, 0),
        ("mbpp", "mbpp", ("problems.where=task_id > 600",), 374, 0),
    ],
)
def test_every_reference_is_right_by_its_own_check(
    name: str, file: str, more: tuple[str, ...], count: int, lost: int
) -> None:
    noted: list[LeftOut] = []
    sets = [f"problems.file={SHARED / file}.jsonl", *more]
    found = problem_set(load(name, PromptsRecipe, sets))
    assert sum(table.height for table in found.tables(note=noted.append)) == count
    assert len(noted) == lost
    assert {one.reason for one in noted} <= {"no_gold", "repeated_question"}


@pytest.mark.parametrize(("name", "of"), [("gsm8k_test", "question"), ("math500", "problem")])
def test_every_question_is_found_where_it_is_asked(name: str, of: str) -> None:
    real = column(name, of)
    known = benchmarks(real, fuzzy=None)
    assert set(known.hits(pl.Series(real))["row"]) == set(range(len(real)))


def test_a_training_set_is_not_taken_for_its_test_set() -> None:
    known = benchmarks(column("gsm8k_test", "question"), fuzzy=0.8)
    train = pl.Series(column("gsm8k_train", "question"))
    assert len(known.hits(train)) < 0.002 * len(train)
