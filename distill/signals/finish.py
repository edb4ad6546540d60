"""Whether the server said that the answer came to its end. Does not look at the text.

``finish_reason`` itself is a column of the row, so rules can also name it directly; servers write
the same end in many ways, so ``finished`` is the better question.
"""

import polars as pl

from distill.rows import ENDED
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {"finished": pl.Boolean()}
VERSION = 2
COST = 0


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """finished: null where the data does not say: no reason, or an empty one."""
    reason = pl.col("finish_reason").str.strip_chars().str.to_lowercase()
    return frame.select(finished=pl.when(reason != "").then(reason.is_in(ENDED)))
