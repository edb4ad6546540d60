"""Markdown in the thought, which DeepSeek-R1 asked its writers to leave out (B.3.3).

Code fences are counted in ``readability``. In the response Markdown is fine.
"""

import polars as pl

from distill.signals.patterns import counts
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "thought_headings": pl.UInt32(),
    "thought_bold": pl.UInt32(),
    "thought_bullets": pl.UInt32(),
    "thought_tables": pl.UInt32(),
}
VERSION = 1
COST = 1

_PATTERNS = {
    "thought_headings": r"(?m)^ {0,3}#{1,6} \S",
    "thought_bold": r"\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*",  # 2 ** 3 is a power
    "thought_bullets": r"(?m)^[ \t]*[-*+•][ \t]+\S",
    # the line of dashes below a table's head: |x| + |y| alone is a sum of absolute values
    "thought_tables": r"(?m)^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\|[ \t|:-]*$",
}


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Headings, bold stretches, bullets and tables, each counted in the thought."""
    return frame.select(counts(pl.col("reasoning").fill_null(""), _PATTERNS))
