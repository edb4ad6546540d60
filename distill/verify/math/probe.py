r"""Decides whether two formulas are equal by their values at points, with rounding-error bounds.

It answers only if the answer is sound:

- *unequal* if, at points with positive values, they differ by more than their error bounds;
- *equal* if they agree at all points, near and far, of either sign, and the precision is far beyond
  what their largest or smallest part could hide (1 + 10^{-80}). Where a real formula has no value,
  as ``\sqrt{x}`` at -1, it is not compared. Rational values are exact.

``e``, ``i``, ``\log`` and ``°`` have two readings each. Equal in one of them is equal; unequal is
unequal in all.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, product
from zlib import crc32

from distill.verify.math.bounds import ONE, Arithmetic, Valued, arithmetic, exact
from distill.verify.math.expression import Node, parse, symbols

POINTS = 4  # with values between 0.3 and 2.9, and as many of either sign
BITS = 256  # the precision that is tried first
MOST_BITS = 8_192
# A part of size 2^s or 2^-s could hide another one in fewer bits than SPARE + 4s.
SPARE = 160
CONSTANTS = 4  # numbers of the formulas, around which further points lie: 100 in |x - 100|
_OFTEN_WHOLE = frozenset("jklmn")  # letters of whole numbers, for which sin(n pi) is 0
_PERIODIC = ("sin", "cos", "tan", "cot", "sec", "csc", "cis")
_WAYS = {"e": ("constant", "symbol"), "i": ("constant", "symbol"), "log": ("10", "e")}
_WAYS["°"] = ("1", "pi")

Reading = Mapping[str, str]
ARITHMETIC = (ArithmeticError, ValueError)  # Undefined is one; mpmath raises the other


@dataclass(slots=True)
class Point:
    """Where both are evaluated; ``widest``: log2 of the most extreme size of a part there."""

    values: Mapping[str, Fraction]
    reading: Reading
    widest: int = field(default=0)


def equal(gold: str, answer: str) -> bool | None:
    r"""Whether two (plain) formulas are the same; None if values cannot decide it.

    >>> equal(r"\sqrt{8}", r"2\sqrt{2}"), equal("x+1", "x+2"), equal(r"\sqrt{x^2}", "x")
    (True, False, None)
    """
    left, right = parse(gold), parse(answer)
    if left is None or right is None:
        return None
    found = set()
    for reading in _readings(left, right):
        found.add(_same(left, right, reading, gold + answer))
        if True in found:
            return True
    return False if found == {False} and _certain(left, right) else None


def _has(tree: Node, kind: str) -> bool:
    """Whether any part of it is of this kind (``decimal``: it may be rounded)."""
    return tree.kind == kind or any(_has(arg, kind) for arg in tree.args)


def _leaves(tree: Node) -> frozenset[str]:
    """The numbers in it, as written."""
    if tree.kind in ("number", "decimal"):
        return frozenset((tree.value,))
    return frozenset().union(*map(_leaves, tree.args))


def _certain(left: Node, right: Node) -> bool:
    """Whether a difference counts: the names are the same, or one side has none at all."""
    if _has(left, "doubtful") or _has(right, "doubtful"):
        return False
    ours, theirs = symbols(left), symbols(right)
    return ours <= theirs or theirs <= ours


def proportional(gold: str, answer: str) -> float | None:
    r"""The factor between two formulas that differ only by a constant factor; else None.

    >>> proportional("2x-2", "1-x")
    -0.5
    """
    left, right = parse(gold), parse(answer)
    if left is None or right is None or not symbols(left) or symbols(left) != symbols(right):
        return None
    factors = []
    how = arithmetic(BITS, complex_roots=False)
    try:
        for reading in _readings(left, right):
            for point in _points(left, right, reading, gold + answer):
                factors.append(how.div(_at(right, point, how), _at(left, point, how)))
                if SPARE + 4 * point.widest > BITS:
                    return None
    except ARITHMETIC:
        return None
    first = factors[0][0]
    if not first or hasattr(first, "_mpc_") or not all(how.agree(factors[0], x) for x in factors):
        return None
    return float(first)


def constant(formula: str) -> Fraction | None:
    r"""The value of a formula without symbols, if it is real, to more than seventy digits.

    >>> round(float(constant(r"\frac{\pi}{2}")), 4)
    1.5708
    """
    tree = parse(formula)
    if tree is None or symbols(tree):
        return None
    how = arithmetic(BITS, complex_roots=True)
    readings = [one for one in _readings(tree, tree) if "symbol" not in one.values()]
    found = [_value(tree, Point({}, one), how) for one in readings]
    return how.fraction(found[0]) if len(found) == 1 and found[0] is not None else None


def linear(formula: str) -> bool:
    """Whether a formula is a sum of symbols with constant factors, as the equation of a line is.

    >>> linear("2x - y/3 + 1"), linear("xy")
    (True, False)
    """
    tree = parse(formula)
    return tree is not None and _is_linear(tree)


def line(formula: str) -> tuple[Fraction, Fraction, str] | None:
    """(factor, offset, name) of a linear formula in one symbol, if its numbers are fractions.

    >>> line("5 - 2x")
    (Fraction(-2, 1), Fraction(5, 1), 'x')
    """
    tree = parse(formula)
    if tree is None or len(names := symbols(tree)) != 1 or not _is_linear(tree):
        return None
    (name,), how = names, arithmetic(BITS, complex_roots=False)
    try:
        low, high = (_at(tree, Point({name: Fraction(x)}, {}), how) for x in (0, 1))
    except (KeyError, *ARITHMETIC):  # e, i, log: two readings
        return None
    if not exact(low) or not exact(high) or low[0] == high[0]:
        return None
    return high[0] - low[0], low[0], name


def _is_linear(tree: Node) -> bool:
    if tree.kind == "symbol" or not symbols(tree):
        return True
    if tree.kind == "div":
        return _is_linear(tree.args[0]) and not symbols(tree.args[1])
    if tree.kind == "mul":
        varies = [arg for arg in tree.args if symbols(arg)]
        return len(varies) == 1 and _is_linear(varies[0])
    return tree.kind in ("add", "neg") and all(map(_is_linear, tree.args))


def _same(left: Node, right: Node, reading: Reading, seed: str) -> bool | None:
    """By points: near ones where there are values, then others, where there may be none."""

    def compared(point: Point) -> str:
        return _compared(left, right, point)

    points = _points(left, right, reading, seed)
    inside = (one for one in map(compared, islice(points, 3 * POINTS)) if one != "undefined")
    near = list(islice(inside, POINTS if symbols(left) | symbols(right) else 1))
    if not near:
        return None
    if all(one == "equal" for one in near):
        rest = set(map(compared, points))
        if "half" in rest and _has(left, "abs") != _has(right, "abs"):
            return None  # ln|x| has a value where ln x has none
        return True if rest <= {"equal", "half", "undefined"} else None
    if all(one == "different" for one in near):
        whole = _whole_numbers(left) or _whole_numbers(right)
        if whole or (reading.get("i") == "constant" and symbols(left)):
            return None
        return None if "equal" in map(compared, points) else False  # |x-5| is x-5 from 5 on
    return None


def _compared(left: Node, right: Node, point: Point) -> str:
    """``equal``, ``different``, ``undefined``, ``half`` defined, or ``unclear``."""
    bits = BITS
    while True:
        how = arithmetic(bits, complex_roots=not point.values)
        a, b = _value(left, point, how), _value(right, point, how)
        if a is None or b is None:
            return "undefined" if a is b else "half"
        needed = SPARE + 4 * point.widest
        if (exact(a) and exact(b)) or needed <= bits or needed > MOST_BITS:
            break
        bits = 1 << (needed - 1).bit_length()
    if exact(a) and exact(b) and a[0] == b[0]:
        return "equal"
    if how.differ(a, b):
        near = _has(left, "decimal") or _has(right, "decimal")
        return "unclear" if near and how.close(a, b) else "different"
    return "equal" if needed <= bits and how.agree(a, b) else "unclear"


def _value(tree: Node, point: Point, how: Arithmetic) -> Valued | None:
    try:
        return _at(tree, point, how)
    except ARITHMETIC:
        return None


def _whole_numbers(tree: Node) -> bool:
    """Whether it may be meant for whole numbers only, for which more formulas are equal."""
    inside = any(map(_whole_numbers, tree.args))
    return inside or (tree.kind in _PERIODIC and bool(symbols(tree) & _OFTEN_WHOLE))


def _points(left: Node, right: Node, reading: Reading, seed: str) -> Iterator[Point]:
    """POINTS near ones; then POINTS of mixed signs, and some far out; one if nothing varies.

    Drawn from both texts, so they are reproducible and an answer cannot be made to fit them.
    """
    names = sorted(symbols(left) | symbols(right))
    names += [name for name in reading if reading[name] == "symbol"]
    if not names:
        yield Point({}, reading)
        return
    draw = random.Random(crc32(seed.encode("utf-8", "replace")))

    def near(size: Fraction, *signs: int) -> Point:
        values = [
            draw.choice(signs) * size * Fraction(2 * draw.randint(20, 186) + 1, 128) for _ in names
        ]
        return Point(dict(zip(names, values, strict=True)), reading)

    for number in range(3 * POINTS):
        yield near(Fraction(1, 4 if number % 3 == 2 else 1), 1)
    for _ in range(POINTS):
        yield near(Fraction(1), 1, -1)
    sizes = {abs(Fraction(x)) for tree in (left, right) for x in _leaves(tree) if len(x) < 12}
    for size in [Fraction(30), *sorted(sizes)[-CONSTANTS:]]:
        if size:
            yield near(size, 1)
            yield near(size, 1, -1)


def _readings(left: Node, right: Node) -> Iterator[Reading]:
    """Euler's e or a name, the imaginary unit or a name, the logarithm to 10 or e, degrees."""
    names = sorted(_ambiguous(left) | _ambiguous(right))
    for choice in product(*(_WAYS[name] for name in names)):
        yield dict(zip(names, choice, strict=True))


def _ambiguous(tree: Node) -> frozenset[str]:
    found = frozenset().union(*map(_ambiguous, tree.args))
    if tree.kind == "constant" and tree.value in _WAYS:
        return found | {tree.value}
    return found | {"log"} if tree.kind == "log" and len(tree.args) == 1 else found


def _at(tree: Node, point: Point, how: Arithmetic) -> Valued:
    if not tree.args:
        return _leaf(tree, point, how)
    args = [_at(arg, point, how) for arg in tree.args]
    if tree.kind == "log" and len(args) == 1:
        args.append((Fraction(10), 0) if point.reading["log"] == "10" else how.e)
    found = how.operations[tree.kind](*args)
    if not exact(found) or not all(map(exact, args)):
        sizes = [how.size(one) for one in (*args, found)]
        point.widest = max(point.widest, *sizes)
    return found


def _leaf(tree: Node, point: Point, how: Arithmetic) -> Valued:
    if tree.kind in ("number", "decimal"):
        return Fraction(tree.value), 0
    if tree.value in point.values:
        return point.values[tree.value], 0
    if tree.value == "pi":
        return how.pi
    if tree.value == "°":
        return how.div(how.pi, (Fraction(180), 0)) if point.reading["°"] == "pi" else ONE
    return how.i if tree.value == "i" else how.e
