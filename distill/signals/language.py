"""How much of a trace is in a script that its question does not use.

Latin and Greek letters are at home everywhere (formulas, code). Another script is at home if it
makes up at least HOME_SHARE of the letters of the question; where the question is unknown, if the
trace itself is mostly written in it. Kana brings Han with it, as in Japanese.
"""

import numpy as np
import polars as pl

from distill.rows import all_turns
from distill.signals.patterns import plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "foreign_chars": pl.UInt32(),
    "foreign_share": pl.Float64(),
    "script_switches": pl.UInt32(),
    "home_share": pl.Float64(),
}
VERSION = 3
COST = 1

# A question that quotes a word is not written in its script; one of mixed scripts may be answered
# in each. A choice, not a measurement.
HOME_SHARE = 0.1
HOME_SHARE_OF_TRACE = 0.5  # "mostly"

_KNOWN = ("Han", "Hangul", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai")
_ANY = r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}]"
SCRIPTS = {
    **{name: rf"\p{{{name}}}" for name in _KNOWN},
    "Kana": r"[\p{Hiragana}\p{Katakana}]",
    "other": r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}--\p{Inherited}--\p{Hiragana}--\p{Katakana}"
    + "".join(rf"--\p{{{name}}}" for name in _KNOWN)
    + "]",
}
# What is Latin in any language's thought: code, formulas and their commands, names of variables.
_NEUTRAL = plain(
    r"(?s)```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\[A-Za-z]+"
    r"|https?://\S+|\b[A-Za-z]{1,2}\b"
)
# The owner of a theorem, in his own letters: "Чебышёв's" is a name, not a slip.
_NAME = plain(r"[\p{Lu}--\p{Latin}--\p{Greek}]\p{Ll}+['’]s\b")
_SLICE = 64  # rows looked at together, so that they stay in a core's own cache


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """foreign_share: of all characters, null for an empty trace. home_share: see there."""
    found = pl.DataFrame(
        {
            "row": pl.int_range(frame.height, dtype=pl.UInt32, eager=True),
            "chars": frame.select(
                pl.sum_horizontal(pl.col("reasoning", "response").fill_null("").str.len_chars())
            ).to_series(),
        }
    )
    counted = _abroad(_suspects(frame))
    joined = found.join(counted, on="row", how="left", maintain_order="left")
    foreign = pl.col("foreign").fill_null(0)
    return joined.select(
        foreign_chars=foreign.cast(pl.UInt32),
        foreign_share=pl.when(pl.col("chars") > 0).then(foreign / pl.col("chars")),
        script_switches=pl.col("switches").fill_null(0).cast(pl.UInt32),
        home_share=_home_shares(frame),
    )


def _suspects(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with any letter that is neither Latin nor Greek: row, asked, thought, trace.

    Nearly every trace is ASCII but for symbols, so only the rest is looked at by script.
    """
    texts = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        pl.col("reasoning", "response").fill_null(""),
        asked=all_turns(),
    )
    rows = []
    for part in texts.iter_slices(_SLICE):
        both = part.select(pl.concat_str("reasoning", "response").cast(pl.Binary)).to_series()
        rest = pl.Series([_beyond_ascii(text) for text in both], dtype=pl.Binary)
        rows.append(part.filter(rest.cast(pl.String).str.contains(_ANY)))
    return pl.concat(rows) if rows else texts


def _beyond_ascii(text: bytes) -> bytes:
    """The characters of a UTF-8 text that are not ASCII."""
    if text.isascii():
        return b""
    data = np.frombuffer(text, dtype=np.uint8)
    return data[data > 0x7F].tobytes()


def _abroad(texts: pl.DataFrame) -> pl.DataFrame:
    """Of each row: letters of scripts that are not at home, and how often the thought begins any.

    A letter that is at home ends a stretch; symbols and digits do not.
    """
    texts = texts.with_columns(pl.col("reasoning", "response").str.replace_all(_NAME, "'s"))
    trace = pl.concat_str("reasoning", "response", separator="\n")
    # the question says what is at home; where it is unknown, the trace itself
    seen = texts.select(
        "row",
        "reasoning",
        trace=trace,
        basis=pl.coalesce("asked", trace),
        least=pl.when(pl.col("asked").is_null()).then(HOME_SHARE_OF_TRACE).otherwise(HOME_SHARE),
    ).with_columns(letters=_not_at_home())
    some = pl.col("letters") != ""
    strange = pl.concat_str(pl.lit("["), "letters", pl.lit("]"))
    stretch = pl.concat_str(strange, pl.lit(r"(?:\PL*"), strange, pl.lit(")*"))
    return seen.select(
        "row",
        foreign=pl.col("trace").str.count_matches(pl.when(some).then(strange)),
        switches=pl.col("reasoning").str.count_matches(pl.when(some).then(stretch)),
    ).cast({"foreign": pl.Int64, "switches": pl.Int64})


def _not_at_home() -> pl.Expr:
    """The classes of letters that the basis has too few of, side by side."""
    home = {
        name: (_share("basis", script) >= pl.col("least")).fill_null(False)
        for name, script in SCRIPTS.items()
    }
    home["Han"] |= home["Kana"] & (pl.col("least") == HOME_SHARE)
    return pl.concat_str(
        pl.when(home[name]).then(pl.lit("")).otherwise(pl.lit(script))
        for name, script in SCRIPTS.items()
    )


def _home_shares(frame: pl.DataFrame) -> pl.Series:
    r"""Of a thought's letters, the share that is in the question's script, 0..1.

    1 where the question is mostly Latin or Greek (``foreign_share`` is for those) or unknown, and
    where the thought has no letters. Code, formulas, LaTeX commands, addresses and words of one or
    two Latin letters do not count.
    """
    texts = frame.select(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "reasoning", asked=all_turns()
    )
    asked = texts.filter(pl.col("asked").str.len_bytes() > pl.col("asked").str.len_chars())
    asked = asked.filter(_share("asked", _ANY) >= HOME_SHARE_OF_TRACE)
    plain = asked.with_columns(
        thought=pl.col("reasoning").fill_null("").str.replace_all(_NEUTRAL, " ")
    )
    shares = plain.select("row", share=_share("thought", _ANY).fill_nan(None))
    joined = texts.select("row").join(shares, on="row", how="left", maintain_order="left")
    return joined["share"].fill_null(1.0)


def _share(text: str, script: str) -> pl.Expr:
    return _count(text, script) / _count(text, r"\p{L}")


def _count(text: str, script: str) -> pl.Expr:
    return pl.col(text).str.count_matches(script).cast(pl.Int64)
