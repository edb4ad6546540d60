"""What a question asks for that text cannot give or a checker cannot judge.

After OpenThoughts-114k, which leaves such questions out by keyword. All columns are null if the
data does not say what was asked.
"""

import polars as pl

from distill.rows import user_turns
from distill.signals.patterns import plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "question_chars": pl.UInt32(),
    "question_figure": pl.Boolean(),
    "question_parts": pl.Boolean(),
    "question_proof": pl.Boolean(),
}
VERSION = 1
COST = 0

# Pictures that are not there, in words, in Markdown or as Asymptote code.
_FIGURE = (
    r"(?i)\[asy\]|!\[[^\]]*\]\(|\[image|<img|\.(?:png|jpe?g|svg|gif)\b"
    r"|\b(?:figure|diagram|picture|image|graph|chart) (?:above|below|shown|on the (?:left|right))"
    r"|\b(?:in|from|see|shown in|as in) the (?:figure|diagram|picture|image|following figure)\b"
    r"|如图|下图|右图|左图"
)
# A second part, at the start of a line or after a full stop: (b), b), (ii), Part 2.
_PARTS = r"(?im)(?:^|[.?!;:]\s)\s*(?:\(b\)|b\)|\(ii\)|part (?:b|2)\b|（2）|\(2\))\s*\S"
_PROOF = (
    r"(?i)(?:^|[.,;:?!]\s+|\b(?:and|then|to|please|can you) )(?:prove|show|disprove)\b"
    r"(?: that| the following|:)|证明"
)


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """question_chars: of all that the user said; the others: whether it asks for such a thing."""
    asked = user_turns()
    return frame.select(
        question_chars=asked.str.len_chars().cast(pl.UInt32),
        question_figure=asked.str.contains(plain(_FIGURE)),
        question_parts=asked.str.contains(plain(_PARTS)),
        question_proof=asked.str.contains(plain(_PROOF)),
    )
