"""How much of a trace is not text at all; whether words make sense is ``score``."""

import polars as pl

from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "gibberish_chars": pl.UInt32(),
    "gibberish_share": pl.Float64(),
}
VERSION = 1
COST = 1

# Control, private-use and unassigned characters, U+FFFD (bytes that were no UTF-8), and marks that
# pile up: three or more on one letter, as in "zalgo" text. Joiners and marks of direction are text.
_SIGNS = r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\uFFFD\p{Co}\p{Cn}]|\p{M}{3,}"
# The longest English word in a dictionary has 45 letters; base64 and hex come in runs beyond that,
# LaTeX and addresses have other characters between. No English word has eight consonants in a row.
_RUNS = r"[A-Za-z0-9+/=_]{60,}|[bcdfghjklmnpqrstvwxz]{8,}"


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """gibberish_share: of all characters, 0..1; null for an empty trace."""
    whole = pl.concat_str(pl.col("reasoning", "response").fill_null(""), separator="\n")
    strange = whole.str.extract_all(f"{_SIGNS}|{_RUNS}").list.eval(pl.element().str.len_chars())
    counted = frame.select(strange=strange.list.sum(), chars=whole.str.len_chars() - 1)
    return counted.select(
        gibberish_chars=pl.col("strange").cast(pl.UInt32),
        gibberish_share=pl.when(pl.col("chars") > 0).then(pl.col("strange") / pl.col("chars")),
    )
