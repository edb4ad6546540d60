"""Whether an answer reads as if it came to its end, for data that does not say how it ended.

A guess by the text: what is cut in the middle of a thought, line, formula or program is found, and
what is cut just after a sentence is not.
"""

import polars as pl

from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {"looks_whole": pl.Boolean()}
VERSION = 1
COST = 0

# How a last line ends: with a sentence, or with what closes a formula, a quote or emphasis.
_ENDED = r"[.!?…。！？｡।॥؟۔።።։)\]}>*_`\"'”’»」』）】》〉$|~♪☺\p{So}]$"
# A last line without a mark that may be the last: it ends with a number, follows a label or the
# mark of an item, or is one of several short lines without marks (a poem, a signature), or all.
_VALUE = r"\d[\d.,]*\s*[\p{L}%°]{0,3}$|^.{2,40}[:=：] ?\S.{0,40}$|^\s*(?:[-*•+]|\d{1,2}[.)]) \S"
_SHORT = 40  # characters
# Its last word is none that another follows.
_OPEN = (
    r"(?i)(?:\b(?:a|an|the|of|to|and|or|but|is|are|was|be|in|on|at|by|for|with|from|that|which|as"
    r"|we|so|if|then|than|its?|this|thus|since|because|let|have|has|can|will|not|der|die|das|und"
    r"|ist|le|la|les|et|est|el|los|de|y|es)|[-+*/=<>,;:(\[{\\&–—、，：；])$"
)


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """looks_whole: false without a response, and where one ends within something."""
    said = pl.col("response").fill_null("").str.strip_chars()
    last = said.str.extract(r"([^\n]*)$")
    closed = last.str.contains(_ENDED)
    before = said.str.extract(r"([^\n]+?)\s*\n\s*[^\n]*$")
    alike = before.is_null() | ((before.str.len_chars() <= _SHORT) & ~before.str.contains(_ENDED))
    short = (last.str.len_chars() <= _SHORT) & (alike | last.str.contains(_VALUE))
    short &= ~last.str.contains(_OPEN)
    fenced = said.str.count_matches(r"(?m)^[ \t]*(?:```|~~~)") % 2 == 0
    shown = (said.str.count_matches(r"\$\$") % 2 == 0) & (
        said.str.count_matches(r"\\\[|\\begin\{") == said.str.count_matches(r"\\\]|\\end\{")
    )
    level = (last.str.count_matches(r"\*\*") % 2 == 0) & (
        last.str.count_matches(r"\{") == last.str.count_matches(r"\}")
    )
    whole = (said != "") & fenced & shown & level & (closed | short)
    return frame.select(looks_whole=whole)
