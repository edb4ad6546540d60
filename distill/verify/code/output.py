"""Compares what a program wrote with what it should have written: all of it, length included."""

import math
import re
from collections.abc import Sequence
from itertools import zip_longest

# Numbers so near each other are no proof of a mistake where the reference declares no tolerance:
# the usual one of contests.
NEAR = 1e-6
WHITE = " \t\r\n\f\v"  # not the many other signs that are white to Python
_WORD = re.compile(f"[^{WHITE}]+")


def difference(found: str, wanted: str, tolerance: float | None) -> str | None:
    r"""None if it is the same; else what is different.

    The same: line by line, but for white space at their ends and empty lines at the very end; with
    a ``tolerance`` also numbers that differ by no more than it, or than it times the reference.

    Returns:
        ``value``: certainly another output. ``layout``, ``letter_case``, ``rounding``: the same but
        for white space, capitals or the last digits, which some problems allow and some do not.

    >>> difference("1 2 \n", "1 2", None)
    >>> difference("1", "1 2", None)
    'value'
    >>> difference("0.33333333", "0.333333333333", 1e-6)
    """
    if _lines(found) == _lines(wanted):
        return None
    ours, theirs = _WORD.findall(found), _WORD.findall(wanted)
    if len(ours) != len(theirs):
        return "value"
    if tolerance is not None and _all_near(ours, theirs, tolerance):
        return None
    if ours == theirs:
        return "layout"
    if _folded(ours) == _folded(theirs):
        return "letter_case"
    return "rounding" if _all_near(_folded(ours), _folded(theirs), NEAR) else "value"


def _lines(text: str) -> list[str]:
    return [line.rstrip(WHITE) for line in text.rstrip(WHITE).split("\n")]


def _folded(words: Sequence[str]) -> list[str]:
    return [word.casefold() for word in words]


def _all_near(found: Sequence[str], wanted: Sequence[str], tolerance: float) -> bool:
    return all(a == b or _near(a, b, tolerance) for a, b in zip_longest(found, wanted))


def _near(found: str, wanted: str, tolerance: float) -> bool:
    a, b = _number(found), _number(wanted)
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return False
    whole = wanted.lstrip("+-").isdecimal() and found.lstrip("+-").isdecimal()
    return not whole and abs(a - b) <= tolerance * max(1.0, abs(b))


def _number(word: str) -> float | None:
    """What other languages read as one too: float also takes other digits, and underscores."""
    if not word.isascii() or "_" in word:
        return None
    try:
        return float(word)
    except ValueError:
        return None
