"""Signals that a recipe brings files for: the student's tokenizer, and a small model."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import UserError
from distill.filtering.rules import compile
from distill.recipes.filters import FilterRecipe
from distill.recipes.places import Origin
from distill.rows import SCHEMA
from distill.signals import length, score
from distill.signals.settings import PLAIN, Settings, placed
from tests.builders.measured import measured
from tests.builders.models import tiny, tokenizer_files


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
    assert found["nll_per_token"].to_list() == [None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A random causal model that reads 64 tokens at most."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny(tmp_path_factory.mktemp("tiny"), hidden_size=32, max_position_embeddings=64)
    torch.set_num_threads(before)


def by_hand(model: Any, tokenizer: Any, asked: str, trace: str) -> float:
    """The same with the whole text read at once."""
    import torch

    context = tokenizer(f"{asked}\n\n")["input_ids"]
    said = tokenizer(trace)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([[*context, *said]])).logits[0].log_softmax(-1)
    at = len(context) - 1
    return -sum(float(logits[at + n, token]) for n, token in enumerate(said)) / len(said)


def test_likelihood_is_that_of_the_trace_after_its_question(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "_STEP", 5)  # several steps over a short text
    settings = Settings(score_model=str(model))
    texts = [("Two and two is more than three.", "So 4."), ("", ""), ("word " * 500, "")]
    found = score.measure(frame(*texts), settings)["nll_per_token"].to_list()
    parts = score._model(str(model))
    assert found[0] == pytest.approx(by_hand(*parts, "How many?", "\n".join(texts[0])), rel=1e-4)
    assert found[1] is None
    assert math.isfinite(found[2])  # longer than the model reads
    assert score.measure(frame(texts[0], question=None), settings)["nll_per_token"][0] > 0


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text('{"model_type": "none such"}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match="not a causal language model"):
        score.measure(frame(("a", "b")), Settings(score_model=str(tmp_path)))
