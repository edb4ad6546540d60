r"""Reads equations, inequalities and intervals, and decides whether two are equivalent.

An interval may be written as one: ``-2 < x \le 7`` is ``(-2, 7]``, ``x > 5`` is ``(5, \infty)``.
"""

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from distill.verify.math.latex import SET_CLOSE, SET_OPEN
from distill.verify.math.probe import constant, equal, linear, proportional
from distill.verify.math.rational import Number
from distill.verify.math.values import MOST, Listed, Text, Value, read

_SIGN = re.compile(r"\\(?:le|ge|ne)(?![a-zA-Z])|[<>=]|[(\[{]|[)\]}]")
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
_CUP = re.compile(r"\\cup(?![a-zA-Z])")
_POINTS = re.compile(rf"{SET_OPEN}([^{SET_OPEN}{SET_CLOSE}]*){SET_CLOSE}")
# The variable of an interval: x, x_1, \theta, f(x)
_VARIABLE = re.compile(r"\\?[A-Za-z]{1,7}(?:_\w|_\{\w{1,8}\})?(?: ?\([A-Za-z]\))?")
INFINITY = Text(r"\infty", constant=True, plain=r"\infty", whole=r"\infty")
MINUS_INFINITY = Text(r"-\infty", constant=True, plain=r"-\infty", whole=r"-\infty")


@dataclass(frozen=True, slots=True)
class Interval:
    """All values between two ends."""

    low: Value
    high: Value
    brackets: str  # "()", "[)", "(]" or "[]"


def relation(text: str) -> tuple[list[str], list[str]]:
    r"""The sides of a relation and the signs between them.

    >>> relation(r"-2 < x \le 7")
    (['-2', 'x', '7'], ['<', '\\le'])
    """
    sides, signs, depth, start = [], [], 0, 0
    for match in _SIGN.finditer(text):
        sign = match[0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif depth == 0:
            sides.append(text[start : match.start()].strip())
            signs.append(sign)
            start = match.end()
    return [*sides, text[start:].strip()], signs


def equivalent(gold: str, answer: str) -> bool | None:
    r"""True for two equations or inequalities that become the same after moving terms and scaling.

    False only for two linear equations: ``y = 1/x`` and ``xy = 1`` differ by more than a factor and
    are the same.

    >>> equivalent("2x + 4y = 3", "y = -x/2 + 3/4"), equivalent("x < 1", "-x > -1")
    (True, True)
    """
    left, right = _as_zero(gold), _as_zero(answer)
    if left is None or right is None or left[1] != right[1]:
        return None
    factor = proportional(left[0], right[0])
    if factor is None:
        unlike = left[1] == "=" and linear(left[0]) and linear(right[0])
        return False if unlike and equal(left[0], right[0]) is False else None
    return True if factor > 0 or left[1] in ("=", r"\ne") else None


def _as_zero(text: str) -> tuple[str, str] | None:
    """(difference of the sides, sign), with ``<`` for ``>``; None unless it has two sides."""
    sides, signs = relation(text)
    if len(signs) != 1 or not all(sides):
        return None
    (left, right), sign = sides, signs[0]
    if sign in (">", r"\ge"):
        left, right, sign = right, left, _FLIPPED[sign]
    return f"({left})-({right})", sign


def union(value: Value) -> list[Interval] | None:
    r"""The intervals of a bracketed pair, an inequality or a union of these.

    A set within a union counts as one interval for each of its points.
    """
    if isinstance(value, Listed):
        if len(value.items) == 2 and value.brackets in ("()", "[]", "[)", "(]"):
            return [Interval(*value.items, value.brackets)]
        return None
    if not isinstance(value, Text):
        return None
    if r"\cup" not in value.plain:
        found = _bounds(value.whole)
        return None if found is None else [found]
    parts: list[Interval] = []
    for text in _CUP.split(value.plain)[:MOST]:
        part = read(text)
        if isinstance(part, Text) and (point := _POINTS.fullmatch(part.plain)):
            part = read(point[1])
            inside = None if part is None else [Interval(part, part, "[]")]
        elif isinstance(part, Listed) and part.brackets == "{}":
            inside = [Interval(item, item, "[]") for item in part.items]
        else:
            inside = union(part) if isinstance(part, Listed) else None
        if inside is None:
            return None
        parts += inside
    return parts


def apart(parts: list[Interval]) -> bool:
    """Whether there is a gap between any two of them, so that none could be written as one."""
    ends = [(_size(part.low), _size(part.high)) for part in parts]
    if any(low is None or high is None or low > high for low, high in ends):
        return False
    ends.sort()
    return all(a[1] < b[0] for a, b in pairwise(ends))  # type: ignore[operator]


def _size(value: Value) -> float | None:
    if isinstance(value, Number):
        return float(value.value)
    if value == INFINITY:
        return math.inf
    if value == MINUS_INFINITY:
        return -math.inf
    return constant(value.plain) if isinstance(value, Text) else None


def _bounds(text: str) -> Interval | None:
    sides, signs = relation(text)
    if not all(sides) or not all(sign in _FLIPPED for sign in signs):
        return None
    if len(signs) == 1:
        if _VARIABLE.fullmatch(sides[1]):
            sides, signs = sides[::-1], [_FLIPPED[signs[0]]]
        if not _VARIABLE.fullmatch(sides[0]) or (end := _end(sides[1])) is None:
            return None
        open_ = signs[0] in "<>"
        if signs[0] in ("<", r"\le"):
            return Interval(MINUS_INFINITY, end, "()" if open_ else "(]")
        return Interval(end, INFINITY, "()" if open_ else "[)")
    if len(signs) != 2 or not _VARIABLE.fullmatch(sides[1]):
        return None
    if signs[0] in (">", r"\ge"):
        sides, signs = sides[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    low, high = _end(sides[0]), _end(sides[2])
    if low is None or high is None or signs[1] not in ("<", r"\le"):
        return None
    return Interval(
        low, high, ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
    )


def _end(text: str) -> Number | Text | None:
    value = read(text)
    if isinstance(value, Listed) or (isinstance(value, Text) and not value.constant):
        return None
    return value
