"""Signals that a recipe brings files for: the student's tokenizer, and a small model."""

from pathlib import Path

import polars as pl
import pytest

from distill.errors import UserError
from distill.filtering.rules import compile
from distill.recipes.filters import FilterRecipe
from distill.recipes.places import Origin
from distill.rows import SCHEMA
from distill.signals import length, score
from distill.signals.settings import PLAIN, placed
from tests.builders.measured import measured
from tests.builders.models import tokenizer_files


def frame(*texts: tuple[str, str], question: str | None = "How many?") -> pl.DataFrame:
    usual = {"id": "0", "finish_reason": "stop", "completion_tokens": 7}
    turns = None if question is None else [{"role": "user", "content": question}]
    rows = [
        {**dict.fromkeys(SCHEMA), **usual, "sample": n, "messages": turns}
        | {"reasoning": thought, "response": said}
        for n, (thought, said) in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


@pytest.mark.parametrize("name", [".", "tokenizer.json"])
def test_the_students_tokens_are_counted_where_its_tokenizer_is_named(
    name: str, tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    plain = tokenizers.Tokenizer.from_file(str(tokenizer_files(tmp_path) / "tokenizer.json"))
    texts = [("two and <|im_end|> two", "4"), ("", ""), ("日本 " * 300, "x" * 999)] * 30
    named = FilterRecipe(rules={}, tokenizer=str(tmp_path / name))
    by_user = Origin(path=Path("r.yaml"), given=frozenset({("tokenizer",)}))
    settings = placed(PLAIN, named, by_user)
    found = length.measure(frame(*texts), settings)
    expected = [
        sum(len(plain.encode(text, add_special_tokens=False).ids) for text in pair)
        for pair in texts
    ]
    assert found["total_tokens"].to_list() == expected
    assert set(found["tokens_by"]) == {"student"}


def test_a_recipes_files_are_looked_for_beside_it(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "tokenizer.json").write_text("{}")
    recipe = Origin(path=tmp_path / "r.yaml")
    found = placed(PLAIN, FilterRecipe(rules={}, tokenizer="student"), recipe)
    assert found.tokenizer == str(tmp_path / "student" / "tokenizer.json")
    assert placed(PLAIN, FilterRecipe(rules={}), recipe) == PLAIN


# (what the recipe names, rules, what the message says)
REFUSED: list[tuple[dict[str, str], str, str]] = [
    ({"tokenizer": "no/where"}, "sample = 0", "tokenizer: no/where: no tokenizer.json"),
    ({"score_model": "no/where"}, "sample = 0", "score_model: no/where: no config.json"),
    ({}, "nll_per_token < 3", "score_model: missing, and 'nll_per_token' is measured by"),
]


@pytest.mark.parametrize(("named", "rule", "says"), REFUSED)
def test_what_is_not_there_is_one_line_before_anything_is_read(
    named: dict[str, str], rule: str, says: str
) -> None:
    recipe = FilterRecipe(rules={"likely": rule}, **named)
    origin = Origin(path=Path("filters/my.yaml"))
    with pytest.raises(UserError, match=says) as caught:
        compile(recipe.rules, str(origin.path), settings=placed(PLAIN, recipe, origin))
    assert str(caught.value).startswith("filters/my.yaml: ")
    assert "\n" not in str(caught.value)


def test_an_audit_without_a_model_leaves_its_column_empty() -> None:
    rules = compile({"whole": "finish_reason = 'stop'"}, "r.yaml")
    found = measured(frame(("a", "b")), rules, all_signals=True)
    assert found.select(*score.COLUMNS).row(0) == (None, None, None)
