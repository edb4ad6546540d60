"""What the rules, signals and readers say of real traces."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import distill
from bench.pool import SHARED
from distill.credentials.find import keys_by_row
from distill.files.read import frames
from distill.files.write import read_json
from distill.problems import problem_set
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.rows import SCHEMA
from distill.signals import owner
from distill.signals.settings import PLAIN

TRACES = SHARED / "traces.jsonl.gz"
RULES = load("r1", FilterRecipe).recipe.rules
KEY = ["id", "sample"]


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    """The traces with their mark: ``thought_closed``."""
    return pl.read_ndjson(gzip.decompress(TRACES.read_bytes()), infer_schema_length=None)


def dropped(folder: Path, *names: str) -> pl.DataFrame:
    """The rows that these rules of the recipe r1 drop."""
    recipe = folder / "some.yaml"
    recipe.write_text(json.dumps({"rules": {name: RULES[name] for name in names}}))
    distill.filter(str(recipe), TRACES, out=folder / "out")
    return pl.read_parquet(folder / "out" / "dropped" / "*.parquet")


def test_they_are_read_to_the_last_row() -> None:
    rows = pl.concat(frames(TRACES))
    assert rows.height == 955 == rows.select(KEY).n_unique()
    assert rows.filter((pl.col("reasoning") == "") & (pl.col("response") == "")).is_empty()


def test_they_are_split_without_loss_and_no_loop_survives(
    tmp_path: Path, lines: pl.DataFrame
) -> None:
    distill.filter("r1", TRACES, out=tmp_path / "out")
    kept, gone = (pl.read_parquet(tmp_path / "out" / n / "*.parquet") for n in ("kept", "dropped"))
    assert read_json(tmp_path / "out" / "report.json")["read"] == 955 == kept.height + gone.height
    unclosed = lines.filter(~pl.col("thought_closed"))
    assert unclosed.height == 40
    assert kept.join(unclosed, on=KEY, how="semi").is_empty()
    assert set(kept["finish_reason"]) == {"stop"}


def test_hardly_a_clean_one_is_dropped_for_how_it_reads(
    tmp_path: Path, lines: pl.DataFrame
) -> None:
    gone = dropped(tmp_path, "mixed_language", "repetitive", "code_in_thought", "wall_of_text")
    whole = pl.col("thought_closed") & (pl.col("finish_reason") == "stop")
    clean = lines.filter(pl.col("teacher") == "deepseek-r1", whole)
    assert clean.height == 479
    assert clean.join(gone, on=KEY, how="semi").height <= 0.01 * clean.height


def test_every_loop_is_beyond_a_limit_and_no_other_whole_trace(
    tmp_path: Path, lines: pl.DataFrame
) -> None:
    loops = dropped(tmp_path, "repetitive")
    whole = lines.filter(pl.col("thought_closed") & (pl.col("finish_reason") == "stop"))
    assert loops.height == 11
    assert loops.join(whole, on=KEY, how="semi").height == 1  # one ended at last


def test_those_of_r1_hardly_ever_slip_or_loop() -> None:
    rows = pl.concat(frames(TRACES)).filter(pl.col("teacher") == "deepseek-r1").select(*SCHEMA)
    foreign, loops = (owner(name) for name in ("foreign_chars", "zstd_ratio"))
    assert foreign is not None
    assert loops is not None
    assert foreign.measure(rows, PLAIN).filter(pl.col("foreign_chars") > 40).height == 1
    repeats = loops.measure(rows.filter(pl.col("finish_reason") == "stop"), PLAIN)
    assert repeats.filter(
        (pl.col("zstd_ratio") <= 0.25)
        | (pl.col("tail_zstd_ratio") <= 0.25)
        | (pl.col("repeat_20gram") >= 0.06)
    ).is_empty()


def test_they_are_prompts_of_another_round(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("problems: {traces: t.parquet}\nserve: {}\n")
    sets = ["becomes=reasoning", f"problems.traces={TRACES}"]
    found = list(problem_set(load(str(recipe), PromptsRecipe, sets)).first())
    assert len(found) > 100
    assert all(json.loads(problem.fields or "{}")["reasoning"] for problem in found[:50])


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


@pytest.mark.parametrize(
    "name",
    ["traces.jsonl.gz", "humaneval.jsonl", "mbpp.jsonl", "gsm8k_test.jsonl", "math500.jsonl"],
)
def test_no_text_is_taken_for_a_key(name: str) -> None:
    path = SHARED / name
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        rows = ["\n".join(texts(json.loads(line))) for line in file]
    assert keys_by_row(pl.Series(rows)) == {}
