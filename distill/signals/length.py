"""How long a trace is, in characters and tokens. Does not load a tokenizer."""

import polars as pl

COLUMNS: dict[str, pl.DataType] = {"reasoning_chars": pl.UInt32(), "total_tokens": pl.UInt32()}
VERSION = 1
COST = 0

# Measured with Qwen2.5's tokenizer on 955 real traces (4.50 M characters, 1.26 M tokens): 3.56
# overall, 3.68 for DeepSeek-R1's, 3.05 to 3.83 by teacher; 5 % of traces are below 2.71 (formulas).
CHARS_PER_TOKEN = 3.6


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """total_tokens: of thought and response; as the server counted, else estimated."""
    thought, response = (
        pl.col(name).fill_null("").str.len_chars() for name in ("reasoning", "response")
    )
    estimate = ((thought + response) / CHARS_PER_TOKEN).ceil().cast(pl.UInt32)
    counted = pl.col("completion_tokens")
    return frame.select(
        reasoning_chars=thought.cast(pl.UInt32),
        total_tokens=pl.when(counted > 0).then(counted).otherwise(estimate),
    )
