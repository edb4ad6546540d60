"""Whether the server said that the answer came to its end.

Rules can also name ``finish_reason`` itself, but servers write the same end in many ways.
"""

import polars as pl

from distill.rows import ENDED
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {"finished": pl.Boolean()}
VERSION = 2
COST = 0


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """finished: null without a reason, or with an empty one."""
    reason = pl.col("finish_reason").str.strip_chars().str.to_lowercase()
    return frame.select(finished=pl.when(reason != "").then(reason.is_in(ENDED)))
