"""References of generated problems: a text where a text can tell, else the task for its scorer."""

import json
from typing import Any

import pytest

from distill.problems import read_problems
from distill.problems.golds import own_verdicts
from distill.problems.scored import LONGEST, references
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.verify import grade
from distill.verify.workers.reasoning_gym import entry, fits_anything

reasoning_gym = pytest.importorskip("reasoning_gym")
KIND = "reasoning_gym"


def made(task: str, count: int = 4, **options: Any) -> list[tuple[dict[str, Any], str | None]]:
    """Problems of a generator, each with its reference."""
    problems = reasoning_gym.create_dataset(task, size=count, seed=3, **options)
    entries = [problems[i] for i in range(count)]
    return list(zip(entries, references(task, problems, entries), strict=True))


def without_place(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in metadata.items() if not key.startswith("source_")}


@pytest.mark.parametrize("task", ["chain_sum", "gcd", "self_reference", "dice", "products"])
def test_a_number_stays_a_text_that_is_compared_exactly(task: str) -> None:
    assert all(gold == one["answer"] for one, gold in made(task))


@pytest.mark.parametrize(
    "task", ["aiw", "acre", "caesar_cipher", "syllogism", "word_sequence_reversal"]
)
def test_an_answer_that_the_library_compares_as_text_stays_one(task: str) -> None:
    assert all(gold == one["answer"] for one, gold in made(task))


SCORED = (
    "knights_knaves",
    "countdown",
    "puzzle24",
    "jugs",
    "mini_sudoku",
    "word_ladder",
    "shortest_path",
    "zebra_puzzles",
    "group_anagrams",
    "quantum_lock",
)


@pytest.mark.parametrize("task", SCORED)
def test_an_answer_of_which_there_may_be_others_comes_with_its_task(task: str) -> None:
    for one, gold in made(task):
        assert gold is not None
        assert len(gold) <= LONGEST
        assert entry(gold) == {
            "task": task,
            "answer": one["answer"],
            "metadata": json.loads(json.dumps(without_place(one["metadata"]))),
        }
        assert own_verdicts([(gold, KIND)])[0].label == "correct"


def test_another_right_answer_is_correct_and_a_wrong_one_is_not() -> None:
    (one, gold), *_ = made("countdown", 1)
    assert gold is not None
    formula = one["answer"]
    assert grade(gold, rf"\boxed{{({formula})}}", kind=KIND).label == "correct"
    assert grade(gold, rf"\boxed{{{formula} + 0*1}}", kind=KIND).label == "wrong"  # other numbers
    assert grade(gold, r"\boxed{1 + 1}", kind=KIND).label == "wrong"
    (one, gold), *_ = made("knights_knaves", 1)
    assert gold is not None
    first, last = one["answer"].rstrip(".").split(", and ")
    assert grade(gold, rf"\boxed{{{last}, and {first}.}}", kind=KIND).label == "correct"
    (_, other), *_ = made("knights_knaves", 2)[1:]
    assert grade(gold, json.loads(str(other))["answer"], kind=KIND).label == "wrong"


def test_what_is_too_large_for_every_row_stays_a_text() -> None:
    """Its metadata holds all solutions, of which there are few or many."""
    found = made("n_queens", 12)
    small = [gold != one["answer"] for one, gold in found]
    sizes = [len(json.dumps(one["metadata"])) for one, _ in found]
    assert {True, False} == set(small)
    assert max(size for size, fits in zip(sizes, small, strict=True) if fits) <= LONGEST
    assert min(size for size, fits in zip(sizes, small, strict=True) if not fits) > LONGEST - 200


def test_what_its_scorer_does_not_know_again_as_json_stays_a_text() -> None:
    """Its metadata holds tuples, which JSON makes lists."""
    assert all(gold == one["answer"] for one, gold in made("rearc", 2))


def test_a_problem_without_an_answer_has_no_reference() -> None:
    assert [gold for _, gold in made("graph_color", 2)] == [None, None]


@pytest.mark.parametrize("name", ["demo", "eval/demo"])
def test_the_demos_sets_are_the_recorded_ones(name: str) -> None:
    loaded = load(name, PromptsRecipe)
    assert loaded.recipe.problems.sha256
    assert all(str(one.gold).lstrip("-").isdigit() for one in read_problems(loaded))


@pytest.mark.parametrize("nothing", ["nan", "NaN", "-nan", "nan + nani"])
@pytest.mark.parametrize(
    ("task", "right"), [("number_sorting", "['1.0', '2.0']"), ("complex_arithmetic", "8.0 + 3.0i")]
)
def test_what_is_no_number_is_no_right_answer(task: str, right: str, nothing: str) -> None:
    metadata = {"direction": "ascending", "result": [8.0, 3.0]}
    gold = json.dumps({"task": task, "answer": right, "metadata": metadata})
    answer = nothing if task == "complex_arithmetic" else f"['{nothing}', '{nothing}']"
    assert grade(gold, rf"\boxed{{{answer}}}", kind=KIND).label == "wrong"
    assert grade(gold, rf"\boxed{{{right} }}", kind=KIND).label == "correct"


def test_a_scorer_that_takes_anything_is_not_asked() -> None:
    gold = json.dumps({"task": "game_of_life_halting", "answer": "False", "metadata": {}})
    assert grade(gold, r"\boxed{False}", kind=KIND).label == "correct"
    assert grade(gold, r"\boxed{True}", kind=KIND).label == "unverifiable"


def test_a_word_that_looks_like_no_number_is_still_a_word() -> None:
    assert not fits_anything("NAB,NAN", "nab,nan")
