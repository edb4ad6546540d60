"""How much of a trace is in a script that its question does not use. Does not name languages.

Latin and Greek letters are at home everywhere (formulas, code). Another script is at home if it
makes up at least HOME_SHARE of the letters of the question; where the question is unknown, if the
trace itself is mostly written in it. Kana brings Han with it, as in Japanese.
"""

import polars as pl

COLUMNS: dict[str, pl.DataType] = {"foreign_chars": pl.UInt32(), "foreign_share": pl.Float64()}
VERSION = 1
COST = 1

# A question that quotes a word is not written in its script; one of mixed scripts may be answered
# in each. A choice, not a measurement.
HOME_SHARE = 0.1
HOME_SHARE_OF_TRACE = 0.5  # "mostly"

_KNOWN = ("Han", "Hangul", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai")
_FOREIGN = r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}]"
SCRIPTS = {
    **{name: rf"\p{{{name}}}" for name in _KNOWN},
    "Kana": r"[\p{Hiragana}\p{Katakana}]",
    "other": r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}--\p{Hiragana}--\p{Katakana}"
    + "".join(rf"--\p{{{name}}}" for name in _KNOWN)
    + "]",
}


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """foreign_share: of all characters; null for an empty trace."""
    texts = frame.select(
        trace=pl.concat_str(pl.col("reasoning", "response").fill_null(""), separator="\n"),
        asked=_question(),
    ).with_row_index("row")
    found = texts.select("row", chars=pl.col("trace").str.len_chars() - 1, foreign=pl.lit(0))
    # nearly every trace is ASCII but for signs; only the others are looked at script by script
    some = texts.filter(pl.col("trace").str.len_bytes() > pl.col("trace").str.len_chars())
    some = some.filter(pl.col("trace").str.contains(_FOREIGN))
    counted = some.select("row", abroad=_abroad())
    joined = found.join(counted, on="row", how="left", maintain_order="left")
    foreign = pl.col("abroad").fill_null(0).cast(pl.UInt32)
    return joined.select(
        foreign_chars=foreign,
        foreign_share=pl.when(pl.col("chars") > 0).then(foreign / pl.col("chars")),
    )


def _question() -> pl.Expr:
    """All that the teacher was asked, in one text; null if the data does not say."""
    turns = pl.element().struct.field("content")
    return pl.col("messages").list.eval(turns).list.join("\n", ignore_nulls=True)


def _abroad() -> pl.Expr:
    """Letters of scripts that are not at home."""
    return pl.sum_horizontal(
        pl.when(_at_home(name)).then(0).otherwise(_count("trace", SCRIPTS[name]))
        for name in SCRIPTS
    )


def _at_home(name: str) -> pl.Expr:
    share = _share("asked", SCRIPTS[name]) >= HOME_SHARE
    if name == "Han":
        share = share | (_share("asked", SCRIPTS["Kana"]) >= HOME_SHARE)
    in_trace = _share("trace", SCRIPTS[name]) >= HOME_SHARE_OF_TRACE
    return pl.when(pl.col("asked").is_null()).then(in_trace).otherwise(share.fill_null(False))


def _share(text: str, script: str) -> pl.Expr:
    return _count(text, script) / _count(text, r"\p{L}")


def _count(text: str, script: str) -> pl.Expr:
    return pl.col(text).str.count_matches(script).cast(pl.Int64)
