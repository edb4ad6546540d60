"""Synthetic traces: R1's lengths, the row schema, and every planted defect where its label says."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.pool import Pool, build
from bench.traces import DEFECTS, LONGEST, frame, lengths, write
from distill.rows import SCHEMA


@pytest.fixture(scope="module")
def pool() -> Pool:
    return build(data=None)


@pytest.fixture(scope="module")
def made(pool: Pool) -> pl.DataFrame:
    rows, labels = frame(0, 3_000, pool)
    assert rows.schema == SCHEMA
    return rows.hstack(labels.select("label", "of"))


def test_tokens_have_the_mean_of_r1(pool: Pool) -> None:
    domains, tokens = lengths(np.arange(200_000), 0)
    assert tokens.mean() == pytest.approx(5_355, rel=0.01)
    assert tokens.max() <= LONGEST
    general = tokens[np.array(domains) == "general"]
    assert general.mean() == pytest.approx(1_419.8, rel=0.02)


def test_characters_follow_the_tokens(made: pl.DataFrame) -> None:
    clean = made.filter(pl.col("label") == "clean")
    chars = clean["reasoning"].str.len_chars()
    assert (chars / clean["completion_tokens"]).mean() == pytest.approx(3.6, rel=0.05)


def test_every_defect_is_there_about_as_often_as_it_says(made: pl.DataFrame) -> None:
    found = dict(made["label"].value_counts().iter_rows())
    for name, share in DEFECTS.items():
        assert 0.5 * share < found[name] / made.height < 1.6 * share


def test_a_row_does_not_depend_on_its_table(made: pl.DataFrame, pool: Pool) -> None:
    again, _ = frame(1_000, 50, pool)
    assert again.equals(made.slice(1_000, 50).select(SCHEMA.names()))


def test_copies_copy_what_their_label_names(made: pl.DataFrame) -> None:
    originals = made.filter(pl.col("sample") == 0).select("id", "reasoning")
    both = made.filter(pl.col("of").is_not_null()).join(
        originals, left_on="of", right_on="id", suffix="_of"
    )
    exact = both.filter(pl.col("label") == "exact")
    # a prompt has two samples, and the copy may be of the other one
    same = (exact["reasoning"] == exact["reasoning_of"]).sum()
    assert 0.3 * exact.height < same < exact.height
    near = both.filter(pl.col("label") == "near")
    assert (near["reasoning"] == near["reasoning_of"]).sum() < 0.3 * near.height
    assert made.select("id", "sample").is_unique().all()


def test_two_clean_rows_share_hardly_a_paragraph(made: pl.DataFrame) -> None:
    clean = made.filter(pl.col("label") == "clean").head(60)["reasoning"].str.split("\n\n")
    sets = [set(paragraphs) for paragraphs in clean]
    shared = [len(a & b) for i, a in enumerate(sets) for b in sets[:i]]
    assert np.mean(shared) < 1


def test_what_is_written_reads_as_rows_with_their_labels_beside(tmp_path: Path) -> None:
    write(150, tmp_path / "rows", seed=3)
    rows = pl.read_parquet(tmp_path / "rows" / "*.parquet")
    labels = pl.read_parquet(tmp_path / "rows.labels.parquet")
    assert rows.schema == SCHEMA
    assert rows.height == 150
    assert labels.select("id", "sample").equals(rows.select("id", "sample"))
    assert (rows["source"] == "synthetic:" + labels["label"]).all()
    assert (tmp_path / "rows.benchmark.jsonl").stat().st_size > 1_000
