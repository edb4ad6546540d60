"""Compares a program's whole output with the expected one."""

import math
import re
from collections.abc import Sequence
from itertools import zip_longest

# The usual tolerance of contests: if the reference declares none, numbers this close do not prove
# a mistake.
NEAR = 1e-6
WHITE = " \t\r\n\f\v"  # not the many other characters that Python counts as white space
_WORD = re.compile(f"[^{WHITE}]+")


def difference(found: str, wanted: str, tolerance: float | None) -> str | None:
    r"""None if both are the same; else what differs.

    White space at the ends of lines and empty lines at the very end do not count. With a
    ``tolerance``, numbers may differ by it, or by it times the reference.

    Returns:
        ``value``: certainly another output. ``layout``, ``letter_case``, ``rounding``: the same
        except for white space, capitals or the last digits, which some problems allow.

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
    """A number as all languages write it: float also takes foreign digits and underscores."""
    if not word.isascii() or "_" in word:
        return None
    try:
        return float(word)
    except ValueError:
        return None
