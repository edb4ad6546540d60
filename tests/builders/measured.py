"""Rows measured and judged in memory, as ``distill filter`` does with those of a unit."""

from pathlib import Path

import polars as pl

from distill.filtering.measure import judged
from distill.filtering.rules import Rules
from distill.filtering.steps import Job
from distill.filtering.stored import SCALARS


def measured(frame: pl.DataFrame, rules: Rules, *, all_signals: bool = False) -> pl.DataFrame:
    """The rows' own small columns, every signal that the rules need, and ``reason``."""
    job = Job(folder=Path(), rules=rules, needed=(), all_signals=all_signals)
    table = judged(frame.select(SCALARS), frame, job)
    assert table is not None
    return table
