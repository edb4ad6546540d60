"""Whether the server said that the answer came to its end. Does not look at the text.

``finish_reason`` itself is a column of the row, so rules can also name it directly.
"""

import polars as pl

from distill.rows import ENDED

COLUMNS: dict[str, pl.DataType] = {"finished": pl.Boolean()}
VERSION = 1
COST = 0


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """finished: null where the data does not say."""
    reason = pl.col("finish_reason").str.strip_chars().str.to_lowercase()
    return frame.select(finished=reason.is_in(ENDED))
