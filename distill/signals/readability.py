"""What makes a thought hard to read, after DeepSeek-R1: long paragraphs and code blocks.

Does not look at the response, where both are at home. R1 publishes no limits.
"""

import polars as pl

COLUMNS: dict[str, pl.DataType] = {
    "longest_paragraph_chars": pl.UInt32(),
    "thought_code_fences": pl.UInt32(),
}
VERSION = 1
COST = 0


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """A paragraph ends at an empty line; a fence is a line that begins with three backticks."""
    thought = pl.col("reasoning").fill_null("")
    even = thought.str.replace_all("\r\n", "\n", literal=True).str.replace_all(
        r"\n[ \t]+\n", "\n\n"
    )
    paragraphs = even.str.split("\n\n").list.eval(pl.element().str.strip_chars().str.len_chars())
    return frame.select(
        longest_paragraph_chars=paragraphs.list.max().fill_null(0).cast(pl.UInt32),
        thought_code_fences=thought.str.count_matches(r"(?m)^[ \t]*(?:```|~~~)").cast(pl.UInt32),
    )
