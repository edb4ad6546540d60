import statistics
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import UserError
from distill.files.write import write_parquet
from distill.publishing import dataset_card, student_card
from distill.publishing.markdown import cell, code
from distill.rows import SCHEMA, Row, to_frame
from tests.builders.rows import trace

REPORT = {
    "read": 1_300,
    "kept": 7,
    "dropped": 1_293,
    "reasons": {"truncated": 1_000, "wrong": 293},
    "recipe": {"rules": {"truncated": "finish_reason = 'stop'"}, "select": {"dedupe": "exact"}},
    "fingerprint": "0123456789abcdef",
}


def row(i: int, **other: Any) -> Row:
    values: dict[str, Any] = {
        "id": f"{i:016x}",
        "domain": ("math", "logic")[i % 2],
        "source": "openai/gsm8k:train",
        "teacher": "a-teacher",
        "prompt_tokens": 10 + i,
        "completion_tokens": (i + 1) ** 3,
    }
    return trace(**(values | other))


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_parquet(paths[0], to_frame(row(i) for i in range(4)))
    write_parquet(paths[1], to_frame(row(i) for i in range(4, 7)))
    return paths


def front(card: str) -> dict[str, Any]:
    start, block, _ = card.split("---\n", 2)
    assert start == ""
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def tables(card: str) -> dict[str, dict[str, list[str]]]:
    """Every table by its first head cell: first cell of a line → the other cells."""
    found: dict[str, dict[str, list[str]]] = {}
    lines: dict[str, list[str]] | None = None
    for line in card.splitlines():
        if not line.startswith("| "):
            lines = None
            continue
        first, *others = (part.strip() for part in line.strip("|").split("|"))
        if lines is None:
            lines = found[first] = {}
        else:
            lines[first] = others
    return found


def test_every_number_of_the_funnel_is_the_reports(shards: list[Path]) -> None:
    steps = tables(dataset_card(REPORT, shards, repo_id="ada/set"))["step"]
    del steps["---"]
    numbers = {name: int(cells[1].replace(",", "")) for name, cells in steps.items()}
    assert numbers == {"read": 1_300, "truncated": 1_000, "wrong": 293, "kept": 7}
    assert steps["truncated"][2] == "76.9%"


def test_the_front_matter_says_only_what_is_known(shards: list[Path]) -> None:
    meta = front(dataset_card(REPORT, shards, repo_id="ada/set"))
    assert meta["license"] == "other"
    assert meta["size_categories"] == ["n<1K"]
    assert meta["tags"] == ["reasoning", "distillation", "distill"]
    assert meta["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert "language" not in meta


def test_counts_and_token_totals_are_those_of_the_rows(shards: list[Path]) -> None:
    found = tables(dataset_card(REPORT, shards, repo_id="ada/set"))
    assert found["domain"]["math"] == ["4"]
    assert found["domain"]["logic"] == ["3"]
    assert found["teacher"]["a-teacher"] == ["7"]
    tokens = [(i + 1) ** 3 for i in range(7)]
    said = [int(text.replace(",", "")) for text in found["tokens"]["completion_tokens"]]
    mean, median = round(statistics.mean(tokens)), statistics.median(tokens)
    assert said == [7, sum(tokens), mean, median, tokens[5], tokens[6], tokens[6]]
    assert "reasoning_tokens" not in found["tokens"]  # null in every row: not a zero


def test_a_report_without_the_optional_keys_still_has_a_card(shards: list[Path]) -> None:
    report = {name: REPORT[name] for name in ("read", "kept", "dropped")}
    card = dataset_card(report, shards, repo_id="ada/set")
    assert tables(card)["step"]["dropped"][1] == "1,293"
    assert "## Recipe" not in card


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kept": 8, "dropped": 1_292}, "kept"),  # not what kept/ holds
        ({"read": 1_301}, "read"),  # rows are lost between read and kept + dropped
        ({"reasons": {"wrong": 1}}, "reasons"),  # reasons do not add up
        ({"reasons": ["wrong"]}, "reasons"),  # not a count of anything
        ({"dropped": None}, "dropped"),
        ({"kept": True}, "kept"),
    ],
)
def test_a_report_that_does_not_add_up_gets_no_card(
    shards: list[Path], change: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=f"report.json: {named}"):
        dataset_card(REPORT | change, shards, repo_id="ada/set")


def test_every_field_of_a_row_has_its_meaning_on_the_card(shards: list[Path]) -> None:
    fields = tables(dataset_card(REPORT, shards, repo_id="ada/set"))["field"]
    assert set(SCHEMA.names()) <= set(fields)
    assert all(cells[1] for cells in fields.values())


def test_further_columns_are_listed_and_absent_ones_are_not(tmp_path: Path) -> None:
    frame = to_frame([row(0)]).drop("teacher").with_columns(pl.lit(0.5).alias("zlib_ratio"))
    write_parquet(tmp_path / "a.parquet", frame)
    report = {"read": 1, "kept": 1, "dropped": 0, "reasons": {}}
    found = tables(dataset_card(report, [tmp_path / "a.parquet"], repo_id="ada/set"))
    assert "zlib_ratio" in found["field"]
    assert "teacher" not in found["field"]
    assert "teacher" not in found


def test_text_from_the_data_stays_text(tmp_path: Path) -> None:
    hostile = "=1+1|<img src=x onerror=alert(1)>\n# a title\n[click](javascript:x) `x`"
    write_parquet(tmp_path / "a.parquet", to_frame([row(0, source=hostile, teacher="@x")]))
    report = {"read": 2, "kept": 1, "dropped": 1, "reasons": {hostile: 1}}
    card = dataset_card(report, [tmp_path / "a.parquet"], repo_id="ada/set")
    assert "<img" not in card
    assert "\n# a title" not in card
    assert "[click]" not in card
    assert "| '=1+1&#124;&#60;img" in card
    assert "| '@x |" in card
    source = next(line for line in card.splitlines() if "img" in line and "dropped" not in line)
    assert source.count("|") == 3  # two cells


@given(st.text())
def test_a_cell_is_one_line_without_structure_or_formula(text: str) -> None:
    made = cell(text)
    assert not set(made) & set("|<>[]`*\\\n\r")
    assert not made.startswith(("=", "+", "-", "@"))
    assert len(made.splitlines()) <= 1


@given(st.text(alphabet="`ab\n", max_size=40))
def test_no_text_ends_its_own_code_block(text: str) -> None:
    first, *inner, last = code("yaml", text).split("\n")
    assert first == last + "yaml"
    assert not any(line.lstrip().startswith(last) for line in inner)


@pytest.mark.parametrize(
    ("rows", "category"), [(999, "n<1K"), (1_000, "1K<n<10K"), (10_000, "10K<n<100K")]
)
def test_the_size_category_is_the_hubs_at_its_borders(
    tmp_path: Path, rows: int, category: str
) -> None:
    pl.DataFrame({"id": range(rows)}).write_parquet(tmp_path / "a.parquet")
    report = {"read": rows, "kept": rows, "dropped": 0, "reasons": {}}
    card = dataset_card(report, [tmp_path / "a.parquet"], repo_id="ada/set")
    assert front(card)["size_categories"] == [category]
    assert "No row says how many tokens it has." in card


TRAIN = {
    "base": "Qwen/Qwen2.5-0.5B-Instruct",
    "examples": 12_345,
    "tokens": 6_789_000,
    "recipe": {"lora": {"r": 64}, "sft": {"learning_rate": 0.0005, "num_train_epochs": 3}},
    "versions": {"torch": "2.13.0", "trl": "1.16.0"},
}


def test_a_students_card_says_how_it_was_trained() -> None:
    card = student_card(TRAIN, repo_id="ada/student", adapter=True)
    meta, found = front(card), tables(card)["what"]
    assert meta["base_model"] == "Qwen/Qwen2.5-0.5B-Instruct"
    assert meta["base_model_relation"] == "adapter"
    assert meta["library_name"] == "peft"
    assert "| examples | 12,345 |" in card
    assert found["torch"] == ["2.13.0"]
    recipe = card.split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(recipe) == TRAIN["recipe"]
    assert "temperature" not in card


@pytest.mark.parametrize(
    "base", ["/models/mine", "smollm2-135m-instruct", "a/b/c", "../up/x", None]
)
def test_a_base_that_is_not_on_the_hub_is_not_linked_as_one(base: str | None) -> None:
    card = student_card(TRAIN | {"base": base}, repo_id="ada/student", adapter=True)
    assert "base_model" not in front(card)
    assert 'AutoModelForCausalLM.from_pretrained("the base model, see below")' in card


def test_whole_weights_are_not_called_an_adapter() -> None:
    card = student_card(TRAIN, repo_id="ada/student", adapter=False)
    assert front(card)["library_name"] == "transformers"
    assert front(card)["base_model_relation"] == "finetune"
    assert "peft" not in card.split("## Use")[1].split("```")[1]


def test_scores_are_on_the_card_with_their_intervals() -> None:
    scores = {"gsm8k": {"n": 100, "k": 4, "pass@1": {"value": 0.421, "ci95": [0.35, 0.49]}}}
    with_scores = student_card(TRAIN, repo_id="ada/student", adapter=True, scores=scores)
    assert "| gsm8k | pass@1 | 0.421 | 0.35 to 0.49 |" in with_scores
    assert "## Scores" not in student_card(TRAIN, repo_id="ada/student", adapter=True)
    unsafe = {"benchmarks": scores, "unsafe_no_sandbox": True}
    marked = student_card(TRAIN, repo_id="ada/student", adapter=True, scores=unsafe)
    assert "| all | unsafe_no_sandbox | programs ran without a sandbox |" in marked
