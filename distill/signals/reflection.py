"""How often a thought pauses, checks itself or turns back: to describe a set, not to filter it.

Counts phrases of English and Chinese; does not know whether a check was any good. OpenThoughts saw
a student fall from 51.4 to 26.3 when such phrases were stripped, so ``r1`` has no rule on them.
"""

import polars as pl

from distill.signals.patterns import counts, plain
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "thought_waits": pl.UInt32(),
    "thought_checks": pl.UInt32(),
    "thought_turns": pl.UInt32(),
}
VERSION = 1
COST = 1

# Read off the most frequent sentence beginnings of R1's and QwQ's traces. A capital or a small
# first letter is written out: (?i) costs three times as much.
_PATTERNS = {
    "thought_waits": plain(r"\b(?:[Ww]ait|[Hh]mm+|[Hh]old on)\b|等等|等一下|嗯，"),
    "thought_checks": plain(
        r"\b(?:(?:[Dd]ouble|[Cc]ross|[Rr]e)-?\s?check|[Vv]erify|[Vv]erifying"
        r"|[Ll]et me (?:just )?check|[Mm]ake sure|[Tt]o confirm|[Ss]anity check)"
        r"|检查|验证|验算|确认一下"
    ),
    "thought_turns": plain(
        r"\b(?:[Aa]lternatively|[Oo]n second thought|[Aa]nother (?:approach|way|method)"
        r"|[Ii] made a mistake|[Tt]hat(?:'s| is| can't be| doesn't seem) (?:not )?(?:right|wrong"
        r"|incorrect)|[Ll]et me (?:try again|start over|rethink|reconsider|re-read)"
        r"|[Gg]oing back)\b|不对|换一种|换个|重新考虑|我错了"
    ),
}


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Pauses, checks, and turns to another way or back; 0 without a thought."""
    return frame.select(counts(pl.col("reasoning").fill_null(""), _PATTERNS))
