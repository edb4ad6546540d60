r"""Reads equations, inequalities and sets of real numbers, and decides whether two are the same.

A set may be written as an interval, an inequality, a union or with a condition: ``(2, 8)``,
``2 < x < 8``, ``|x-5| < 3``, ``\{x \mid 2 < x < 8\}``, ``x > 2 \text{ and } x < 8``.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from distill.verify.math import phrases
from distill.verify.math.latex import SET_CLOSE, SET_OPEN
from distill.verify.math.probe import constant, equal, line, linear, proportional
from distill.verify.math.rational import Number
from distill.verify.math.values import MOST, Listed, Named, Text, Value, read

_SIGN = re.compile(r"\\(?:le|ge|ne)(?![a-zA-Z])|[<>=]|[(\[{]|[)\]}]")
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
_OPEN, _CLOSE = "([{" + SET_OPEN, ")]}" + SET_CLOSE
# Connectives from the loosest to the tightest.
_JOINED = (
    ("or", re.compile(r"\\(?:cup|lor|vee)(?![a-zA-Z])|(?<![a-zA-Z\\])or(?![a-zA-Z])")),
    ("and", re.compile(r"\\(?:cap|land|wedge)(?![a-zA-Z])|(?<![a-zA-Z\\])and(?![a-zA-Z])|[,;]")),
    ("minus", re.compile(r"\\(?:setminus|backslash)(?![a-zA-Z])|(?<=[})])\s?-\s?(?=\ue000)")),
)
_BUILDER = re.compile(
    rf"{SET_OPEN} ?([A-Za-z]|\\[a-z]{{3,7}})(?: ?\\in ?(?:\\mathbb ?\{{?R\}}?|R))? ?[|:] ?"
    rf"(.+){SET_CLOSE}"
)
_VARIABLE = re.compile(r"\\?[A-Za-z]{1,7}(?:_\w|_\{\w{1,8}\})?(?: ?\([A-Za-z]\))?")
_POSITIVE = re.compile(r"\\mathbb ?\{?R\}?(?:\^\{?\+\}?|_\{?(?:\+|> ?0)\}?)")
_SIZE = re.compile(r"\|([^|]{1,60})\|")
_SQUARE = re.compile(r"([A-Za-z]|\([^()|]{1,60}\)) ?\^ ?(?:2|\{ ?2 ?\})")
INFINITY = ("\\infty", "+\\infty")
PRECISE = Fraction(1, 10**40)  # how far apart two ends are that count as one
COARSE = Fraction(1, 100)  # how close two ends may be of which one was rounded


@dataclass(frozen=True, slots=True)
class Reals:
    """A set of real numbers: an interval, or an operation on other sets."""

    kind: str  # interval, or, and, minus
    parts: "tuple[Reals, ...]" = ()
    low: Any = None  # a fraction or a number of mpmath; None without an end
    high: Any = None
    closed: tuple[bool, bool] = (False, False)
    name: str = ""  # of the variable, where it has one

    def ends(self) -> list[Any]:
        """The ends of all its intervals."""
        inner = [end for part in self.parts for end in part.ends()]
        return inner + [end for end in (self.low, self.high) if end is not None]

    def names(self) -> set[str]:
        """The variables in it."""
        return set().union(*(part.names() for part in self.parts), {self.name} - {""})


EVERYTHING = Reals("interval")
NOTHING = Reals("or")


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


def solution(text: str) -> Fraction | None:
    """The value of the one unknown of a linear equation.

    >>> solution("2x = 5")
    Fraction(5, 2)
    """
    found = _as_zero(text)
    if found is None or found[1] != "=" or (solved := line(found[0])) is None:
        return None
    return -solved[1] / solved[0]


def _as_zero(text: str) -> tuple[str, str] | None:
    """(difference of the sides, sign), with ``<`` for ``>``; None unless it has two sides."""
    sides, signs = relation(text)
    if len(signs) != 1 or not all(sides):
        return None
    (left, right), sign = sides, signs[0]
    if sign in (">", r"\ge"):
        left, right, sign = right, left, _FLIPPED[sign]
    return f"({left})-({right})", sign


def same_set(gold: Value, answer: Value) -> bool | None:
    """Whether two sets of real numbers are the same; None if one cannot be read as such."""
    left, right = reals(gold), reals(answer)
    if left is None or right is None or max(len(left.names()), len(right.names())) > 1:
        return None
    ends = sorted([*left.ends(), *right.ends()])
    distinct: list[Any] = []
    near = False
    for end in ends:
        gap = None if not distinct else abs(end - distinct[-1])
        if gap is None or gap > PRECISE * max(1, abs(end)):
            near = near or (gap is not None and gap <= COARSE * max(1, abs(end)))
            distinct.append(end)
    ours, theirs = _places(left, distinct), _places(right, distinct)
    if not ours or not theirs:
        both = {left.parts, right.parts} == {()}
        return None if ours == theirs and not both else ours == theirs  # "x < 1, x > 5" means or
    if ours == theirs:
        names = left.names(), right.names()
        return True if names[0] == names[1] or not all(names) else None
    return None if near and ("." in _written(gold) + _written(answer)) else False


def _written(value: Value) -> str:
    return "." if isinstance(value, Number) else getattr(value, "plain", "")


def _places(tree: Reals, ends: list[Any]) -> frozenset[int]:
    """Which ends (odd) and which gaps between them (even) belong to the set."""
    every = frozenset(range(2 * len(ends) + 1))
    if tree.kind == "interval":
        low = -1 if tree.low is None else 2 * _place(tree.low, ends) + 1
        high = len(every) if tree.high is None else 2 * _place(tree.high, ends) + 1
        inside = set(range(low + 1, high))
        if low <= high:
            inside |= {low} if tree.closed[0] else set()
            inside |= {high} if tree.closed[1] and (tree.closed[0] or low < high) else set()
        return frozenset(inside)
    inner = [_places(part, ends) for part in tree.parts]
    if tree.kind == "or":
        return frozenset().union(*inner)
    if tree.kind == "and":
        return every.intersection(*inner)
    return inner[0].difference(*inner[1:])


def _place(value: Any, ends: list[Any]) -> int:
    return min(range(len(ends)), key=lambda place: abs(ends[place] - value))


def reals(value: Value) -> Reals | None:
    """The set of real numbers that a value states; None if it states something else."""
    if isinstance(value, Named):
        return reals(value.value) if "\\in" in value.plain else _text(value.plain, 3)
    if isinstance(value, (Listed, Text)):
        return _text(value.plain, 3)
    return None


def _text(text: str, depth: int) -> Reals | None:
    text = text.strip()
    if depth == 0 or not text or len(text) > 400:
        return None
    if match := _BUILDER.fullmatch(text):
        inside = _text(match[2], depth - 1)
        return inside if inside and inside.names() <= {match[1]} else None
    if phrases.meaning(text) == r"\mathbb{R}":
        return EVERYTHING
    if text == r"\emptyset":
        return NOTHING
    if _POSITIVE.fullmatch(text):
        return Reals("interval", low=Fraction(0))
    if (found := _interval(text)) is not None:
        return found
    for kind, pattern in _JOINED:
        parts = _split(text, pattern)
        if 1 < len(parts) <= MOST:
            inner = [_text(part, depth) for part in parts]
            known = tuple(one for one in inner if one is not None)
            points = [one.low is not None and one.low == one.high for one in known]
            if kind == "and" and any(points):  # x = 1, x = 5 means or
                kind = "or"
                if not all(points):
                    return None
            return Reals(kind, known) if len(known) == len(inner) else None
    if text[0] == SET_OPEN and text[-1] == SET_CLOSE:
        points = [end(part) for part in text[1:-1].split(",")]
        return None if None in points else Reals("or", tuple(map(_point, points)))
    return _inequality(text)


def _point(value: Any) -> Reals:
    return Reals("interval", low=value, high=value, closed=(True, True))


def _split(text: str, pattern: re.Pattern[str]) -> list[str]:
    """The parts between its matches outside brackets."""
    places, start, depth, at = [], 0, 0, 0
    for match in pattern.finditer(text):
        for sign in text[at : match.start()]:
            depth += (sign in _OPEN) - (sign in _CLOSE)
        at = match.start()
        if depth == 0:
            places.append(text[start : match.start()])
            start = match.end()
    return [*places, text[start:]]


def _interval(text: str) -> Reals | None:
    if text[0] not in "([" or text[-1] not in ")]":
        return None
    parts = re.split("[,;]", text[1:-1])
    if len(parts) != 2:
        return None
    low, high = (part.strip() for part in parts)
    ends = (None if low == r"-\infty" else end(low), None if high in INFINITY else end(high))
    if (ends[0] is None and low != r"-\infty") or (ends[1] is None and high not in INFINITY):
        return None
    return Reals("interval", (), *ends, (text[0] == "[", text[-1] == "]"))


def end(text: str) -> Any:
    """The value of a formula without symbols; None if it has none."""
    found = read(text)
    if isinstance(found, Number):
        return None if found.percent else found.value
    return constant(found.plain) if isinstance(found, Text) else None


def _inequality(text: str) -> Reals | None:
    r"""``-2 < x \le 7``, ``2x > 6``, ``|x-5| < 3``, ``x \ne 0``: one variable, linear in it."""
    sides, signs = relation(text)
    if not signs or len(signs) > 2 or not all(sides):
        return None
    if len(signs) == 2:
        falling = all(sign in (">", r"\ge") for sign in signs)
        if not falling and not all(sign in ("<", r"\le") for sign in signs):
            return None
        both = [_half(sides[0], signs[0], sides[1]), _half(sides[1], signs[1], sides[2])]
        if both[0] is None or both[1] is None or both[0].name != both[1].name:
            return None
        return Reals("and", (both[0], both[1]))
    return _half(sides[0], signs[0], sides[1])


def _half(left: str, sign: str, right: str) -> Reals | None:
    """One inequality, solved for its variable."""
    if (limit := end(right)) is None:
        if (limit := end(left)) is None:
            return None
        left, right, sign = right, left, _FLIPPED.get(sign, sign)
    if match := _SIZE.fullmatch(left):
        inner = _solved(match[1], _FLIPPED.get(sign, sign), -limit), _solved(match[1], sign, limit)
        if limit < 0 or None in inner:
            return None
        return Reals("and" if sign in ("<", r"\le", r"\ne") else "or", inner)  # type: ignore[arg-type]
    if limit >= 0 and sign != "=" and (match := _SQUARE.fullmatch(left)):
        return _half(f"|{match[1]}|", sign, rf"\sqrt{{{right}}}")
    return _solved(left, sign, limit)


def _solved(side: str, sign: str, limit: Any) -> Reals | None:
    if _VARIABLE.fullmatch(side) and not phrases.is_product(side):
        factor, offset, name = Fraction(1), Fraction(0), side
    elif (found := line(side)) is not None:
        factor, offset, name = found
    else:
        return None
    limit = (limit - offset) / factor
    if factor < 0:
        sign = _FLIPPED.get(sign, sign)
    if sign == "=":
        return replace(_point(limit), name=name)
    if sign == r"\ne":
        return Reals("minus", (EVERYTHING, _point(limit)), name=name)
    closed = sign in (r"\le", r"\ge")
    if sign in ("<", r"\le"):
        return Reals("interval", high=limit, closed=(False, closed), name=name)
    return Reals("interval", low=limit, closed=(closed, False), name=name)
