"""The r1-800k recipes: each loads, its SQL fits its source's columns, its template can be asked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distill.generating.template import renderer, template_text
from distill.problems import read_problems
from distill.problems.golds import own_verdicts
from distill.recipes.find import shipped
from distill.recipes.load import Loaded, load
from distill.recipes.mix import NAME, MixRecipe, Part, read_mix
from distill.recipes.places import Origin
from distill.recipes.prompts import PromptsRecipe
from distill.rows import Message, Problem, Row, to_frame

FOLDER = shipped("prompts") / "r1-800k"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.name != NAME)
GENERAL = ("writing", "factual-qa", "translation", "self-cognition")
ROUNDS = ("judge", "rewrite", "translate-thinking", "summary")
UNTHINKING = ("translation", "self-cognition", *ROUNDS)
# arXiv 2501.12948 v2, B.3.3, Table 5: rows and mean tokens
TABLE_5 = {
    "math": (395_285, 6094.2),
    "code": (211_129, 7435.7),
    "stem": (10_124, 4928.8),
    "logic": (10_395, 2739.0),
}
GENERAL_ROWS, GENERAL_TOKENS, ALL_ROWS = 177_812, 1419.8, 804_745


def recipe(name: str) -> Loaded[PromptsRecipe]:
    return load(f"r1-800k/{name}", PromptsRecipe)


def mix() -> MixRecipe:
    return read_mix("r1-800k")[0]


def with_problems(name: str, **changed: Any) -> Loaded[PromptsRecipe]:
    """The recipe with other values in its block ``problems``, as by ``--set``."""
    loaded = recipe(name)
    problems = loaded.recipe.problems.model_copy(update=changed)
    given = frozenset(("problems", name) for name in changed)
    changed_recipe = loaded.recipe.model_copy(update={"problems": problems})
    return Loaded(recipe=changed_recipe, origin=Origin(path=loaded.path, given=given))


def from_rows(name: str, tmp_path: Path, rows: list[dict[str, Any]]) -> list[Problem]:
    """What the recipe asks of a source with these rows, read for real."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_problems(with_problems(name, dataset=None, file=str(path), sample=None))


def asked(name: str, problem: Problem) -> tuple[Message, ...]:
    loaded = recipe(name)
    text = template_text(loaded.recipe.template, loaded.origin)
    return renderer(text, f"template of {name}")(problem)


def problem(question: str = "1 < 2 {{ & ü?", **fields: str) -> Problem:
    return Problem(
        id="a",
        question=question,
        domain="math",
        source="s",
        gold="1",
        verify=None,
        fields=json.dumps(fields) if fields else None,
    )


def test_the_recipes_are_those_of_the_mix_and_the_further_rounds() -> None:
    assert set(NAMES) == {*mix().parts, *ROUNDS}


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_loads_and_says_whom_it_asks_and_how(name: str) -> None:
    loaded = recipe(name).recipe
    assert loaded.teacher is not None
    assert (loaded.teacher.at, loaded.teacher.model) == ("deepseek", "deepseek-flash")
    assert loaded.teacher.price is not None
    thinks = loaded.teacher.extra_body["thinking"]["type"]
    assert thinks == ("disabled" if name in UNTHINKING else "enabled")
    if name in TABLE_5:  # R1 v2, D.1
        sampling = loaded.sampling
        assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.6, 0.95, 32_768)


@pytest.mark.parametrize("name", NAMES)
def test_the_switch_of_one_vendor_does_not_follow_to_another(name: str) -> None:
    other = ("teacher.at=openrouter", "teacher.model=deepseek/deepseek-r1")
    loaded = load(f"r1-800k/{name}", PromptsRecipe, other).recipe
    assert loaded.teacher is not None
    assert loaded.teacher.extra_body == {}


@pytest.mark.parametrize("name", mix().parts)
def test_every_part_names_its_source_and_its_licence(name: str) -> None:
    loaded, text = recipe(name), (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert loaded.recipe.problems.source
    assert "# Source: " in text
    assert "Licence: " in text
    assert f"distill generate r1-800k/{name} " in text


@pytest.mark.parametrize("name", mix().parts)
def test_every_template_asks_the_question_as_it_is(name: str) -> None:
    messages = asked(name, problem())
    assert "1 < 2 {{ & ü?" in messages[-1].content
    roles = [message.role for message in messages]
    assert roles == (["system", "user"] if name == "self-cognition" else ["user"])


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("judge", ("GOLD", "RESPONSE", '"analysis"', '"correctness"', "JSON")),
        ("rewrite", ("REASONING",)),
        ("translate-thinking", ("REASONING",)),
        ("summary", ("REASONING", r"\boxed{}")),
    ],
)
def test_the_templates_of_further_rounds_show_the_traces_parts(
    name: str, used: tuple[str, ...]
) -> None:
    trace = {"reasoning": "REASONING", "response": "RESPONSE", "gold": "GOLD"}
    (message,) = asked(name, problem("QUESTION", **trace))
    assert all(text in message.content for text in ("QUESTION", *used))


def test_what_is_checked_is_asked_until_it_is_right_and_the_rest_is_not_checked() -> None:
    checked = {name: recipe(name).recipe.verify for name in NAMES}
    kinds = {"math": "math", "stem": "math", "logic": "reasoning_gym"}
    for name in mix().parts:
        assert checked[name] == kinds.get(name)
        assert (recipe(name).recipe.until is not None) == (name in kinds)


def test_each_further_round_replaces_the_part_it_is_about() -> None:
    becomes = {name: recipe(name).recipe.becomes for name in ROUNDS}
    assert becomes == {
        "judge": None,
        "rewrite": "reasoning",
        "translate-thinking": "reasoning",
        "summary": "response",
    }


# One row that is asked and rows that are not, with the columns that the source's card names.
NUMINA = {
    "problem": "What is 1 + 1?",
    "answer": "2",
    "solution": "…",
    "problem_type": "Algebra",
    "question_type": "math-word-problem",
    "problem_is_valid": "Yes",
    "solution_is_valid": "Yes",
    "source": "olympiads",
    "synthetic": False,
}
CODEFORCES = {
    "id": "1/A",
    "title": "Squares",
    "description": "How many squares?",
    "input_format": "n and m",
    "output_format": "a number",
    "interaction_format": None,
    "note": None,
    "examples": [{"input": "1 2\n3", "output": "4"}, {"input": "5", "output": "6"}],
    "input_mode": "stdio",
    "official_tests": [{"input": "1", "output": "1"}],
}
SCIENCE = {
    "id": "1",
    "question": "How many newtons?",
    "answer": "9.81",
    "answer_type": "Float",
    "category": "Physics",
    "difficulty": "University",
}
SOURCES: dict[str, tuple[list[dict[str, Any]], str, str | None]] = {
    "math": (
        [
            NUMINA,
            NUMINA | {"problem": "a", "answer": "proof"},
            NUMINA | {"problem": "b", "question_type": "proof", "answer": "2"},
            NUMINA | {"problem": "c", "answer": "notfound"},
            NUMINA | {"problem": "d", "problem_is_valid": "Incomplete"},
            NUMINA | {"problem": "e", "synthetic": True},
            NUMINA | {"problem": "f", "answer": None},
        ],
        "What is 1 + 1?",
        "2",
    ),
    "code": (
        [
            CODEFORCES,
            CODEFORCES | {"title": "b", "interaction_format": "The judge asks."},
            CODEFORCES | {"title": "c", "input_mode": "file"},
            CODEFORCES | {"title": "d", "description": None},
        ],
        "Squares\n\nHow many squares?\n\nInput:\n\nn and m\n\nOutput:\n\na number\n\n"
        'Examples, each {"input","output"}:\n\n{"1 2\n3","4"}\n{"5","6"}',
        None,
    ),
    "stem": (
        [
            SCIENCE,
            SCIENCE | {"question": "a", "category": "Mathematics"},
            SCIENCE | {"question": "b", "difficulty": "Junior High School"},
            SCIENCE | {"question": "c", "answer_type": "Multiple Choice"},
            SCIENCE | {"question": "d", "answer_type": "String"},
        ],
        "How many newtons?",
        "9.81",
    ),
    "writing": (
        [
            {"prompt": "[ WP ] A dog [ really ] speaks .", "story": "…"},
            {"prompt": "[WP] A dog [ really ] speaks .", "story": "another"},
            {"prompt": "[ EU ] A wizard .", "story": "…"},
        ],
        "A dog [ really ] speaks .",
        None,
    ),
    "factual-qa": (
        [{"question": "who wrote it", "answer": ["A", "B"]}],
        "who wrote it",
        "A or B",
    ),
    "translation": (
        [
            {"english": "This is a sentence of some length.", "non_english": "这是一个句子。"},
            {"english": "Yes.", "non_english": "是。"},
        ],
        "This is a sentence of some length.",
        "这是一个句子。",
    ),
    "self-cognition": (
        [{"query": "你是？", "response": "我是{{NAME}}。", "tag": "zh"}],
        "你是？",
        None,
    ),
}


def test_every_source_on_the_hub_has_rows_here() -> None:
    assert set(SOURCES) == set(mix().parts) - {"logic"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_with_the_columns_of_its_card_is_read(name: str, tmp_path: Path) -> None:
    rows, question, gold = SOURCES[name]
    (found,) = from_rows(name, tmp_path, rows)
    assert (found.question, found.gold) == (question, gold)
    assert found.verify == recipe(name).recipe.verify
    assert found.source == recipe(name).recipe.problems.source


@pytest.mark.parametrize(
    "name", [t.name for t in recipe("logic").recipe.problems.reasoning_gym or ()]
)
def test_a_logic_generator_works_and_its_answers_are_right_by_their_own_check(name: str) -> None:
    pytest.importorskip("reasoning_gym")
    tasks = recipe("logic").recipe.problems.reasoning_gym or ()
    few = tuple(task.model_copy(update={"size": 8}) for task in tasks if task.name == name)
    found = read_problems(with_problems("logic", reasoning_gym=few, sha256=None))
    assert len(found) >= 6  # some generators repeat a question
    for one in found:
        assert own_verdicts([(str(one.gold), "reasoning_gym")])[0].label == "correct"
        assert asked("logic", one)[-1].content.startswith(one.question.strip())


def test_the_whole_logic_set_is_the_recorded_one_and_as_large_as_the_mix_says() -> None:
    pytest.importorskip("reasoning_gym")
    assert len(read_problems(recipe("logic"))) == mix().parts["logic"].problems


TRACE = Row(
    id="a",
    sample=0,
    domain="math",
    source="s",
    messages=(Message(role="user", content="What is 1 + 1?"),),
    gold="2",
    verify="math",
    reasoning="One and one is two.",
    response="2",
    finish_reason="stop",
    teacher=None,
    prompt_tokens=None,
    reasoning_tokens=None,
    completion_tokens=None,
    cost_usd=None,
)
CHINESE = (Message(role="user", content="一加一等于几？"),)
TRACES = {
    "whole": TRACE,
    "cut": replace(TRACE, finish_reason="length", response=""),
    "mixed": replace(TRACE, reasoning="One and one, 所以, is two."),
    "greek": replace(TRACE, reasoning="Let α be ∑ 1."),
    "chinese": replace(TRACE, messages=CHINESE, reasoning="一加一等于二。"),
    "chinese asked": replace(TRACE, messages=CHINESE),
    "no gold": replace(TRACE, gold=None, verify=None),
    "no thought": replace(TRACE, reasoning=""),
}


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("judge", {"cut", "no gold"}),
        ("rewrite", {"cut", "no thought"}),
        ("summary", {"cut", "no thought"}),
        ("translate-thinking", set(TRACES) - {"mixed", "chinese asked"}),
    ],
)
def test_a_further_round_asks_the_traces_that_it_can_use(
    name: str, left_out: set[str], tmp_path: Path
) -> None:
    rows = [replace(row, id=key) for key, row in TRACES.items()]
    path = tmp_path / "traces.parquet"
    to_frame(rows).write_parquet(path)
    found = read_problems(with_problems(name, traces=str(path)))
    assert {one.id for one in found} == {f"{key}.0" for key in TRACES.keys() - left_out}
    for one in found:
        assert one.question in asked(name, one)[-1].content


def test_the_mix_has_the_rows_of_r1s_table_exactly() -> None:
    parts = mix().parts
    assert {name: (parts[name].rows, parts[name].mean_tokens) for name in TABLE_5} == TABLE_5
    assert sum(parts[name].rows for name in GENERAL) == GENERAL_ROWS
    assert {parts[name].mean_tokens for name in GENERAL} == {GENERAL_TOKENS}
    assert sum(part.rows for part in parts.values()) == ALL_ROWS


def stopping(solvable: float, right: float, correct: int, at_most: int) -> tuple[float, float]:
    """(rows kept, answers asked) of one problem, by running through every course of answers."""
    kept = asked = 0.0
    courses = [(solvable, right, 0, 0), (1 - solvable, 0.0, 0, 0)]
    while courses:
        chance, p, good, count = courses.pop()
        if good == correct or count == at_most or not chance:
            kept, asked = kept + chance * good, asked + chance * count
            continue
        courses.append((chance * p, p, good + 1, count + 1))
        courses.append((chance * (1 - p), p, good, count + 1))
    return kept, asked


@pytest.mark.parametrize(("name", "solvable"), [("math", 0.55), ("stem", 0.7), ("logic", 0.9)])
def test_what_is_kept_follows_from_the_stopping_rule_as_the_mix_says(
    name: str, solvable: float
) -> None:
    part, until = mix().parts[name], recipe(name).recipe.until
    assert until is not None
    kept, answers = stopping(solvable, 0.8, until.correct, until.at_most)
    assert part.kept_per_problem == pytest.approx(kept, abs=0.01)
    assert part.kept_per_answer == pytest.approx(kept / answers, abs=0.01)


@pytest.mark.parametrize("name", mix().parts)
def test_no_estimate_promises_more_than_its_recipe_asks(name: str) -> None:
    part: Part = mix().parts[name]
    loaded = recipe(name).recipe
    most = loaded.until.correct if loaded.until else loaded.samples
    assert part.kept_per_problem <= most
    assert part.kept_per_problem / part.kept_per_answer <= loaded.at_most + 1e-9
    if loaded.problems.sample is not None:
        assert part.problems == loaded.problems.sample
