r"""Decides whether two formulas are equal by their values at points, with rounding-error bounds.

It answers only if the answer is sound:

- both have the same free symbols, and every reading of ``e``, ``i`` and ``\log`` agrees;
- *unequal* if, at points with positive values, they differ by more than their error bounds;
- *equal* if they agree at all points, of either sign, the bounds are below 1e-9 of the value, and
  no part of either is so large or so small that it could hide another (2^100 + 1). Math-Verify
  itself takes constants for equal if they agree in 15 digits.

Everything else is None and is left to Math-Verify.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from zlib import crc32

from distill.verify.math.bounds import HUGE, OPERATIONS, Undefined, Valued, div, rounded
from distill.verify.math.expression import Node, has_decimals, parse, symbols

POINTS = 4  # with values between 0.3 and 2.9, and as many of either sign
FAR = 30.0  # how much farther out one more point lies, where |x - 5| is x - 5
SHARP = 1e-9  # of the value: the largest error bounds with which two values count as equal
# Parts within these sizes cannot hide each other in a double's 16 digits.
SMALLEST, LARGEST = 1e-5, 1e8
DIGITS = 15  # of a number: a double holds them all
_OFTEN_WHOLE = frozenset("jklmn")  # letters of whole numbers, for which sin(n pi) is 0
_PERIODIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))

Reading = Mapping[str, str]
ARITHMETIC = (ArithmeticError, ValueError)  # Undefined is one; math.log raises the other


@dataclass(slots=True)
class Point:
    """Where both are evaluated; ``plain``: all parts had a medium size there."""

    values: Mapping[str, float]
    reading: Reading
    plain: bool = True


def equal(gold: str, answer: str) -> bool | None:
    r"""Whether two (plain) formulas are the same; None if values cannot decide it.

    >>> equal(r"\sqrt{8}", r"2\sqrt{2}"), equal("x+1", "x+2"), equal(r"\sqrt{x^2}", "x")
    (True, False, None)
    """
    left, right = parse(gold), parse(answer)
    if left is None or right is None or symbols(left) != symbols(right):
        return None
    found = {_same(left, right, reading, gold + answer) for reading in _readings(left, right)}
    return found.pop() if len(found) == 1 else None


def proportional(gold: str, answer: str) -> float | None:
    r"""The factor between two formulas that differ only by a constant factor; else None.

    >>> proportional("2x-2", "1-x")
    -0.5
    """
    left, right = parse(gold), parse(answer)
    if left is None or right is None or not symbols(left) or symbols(left) != symbols(right):
        return None
    factors = []
    try:
        for reading in _readings(left, right):
            for point in _points(left, reading, gold + answer):
                factors.append(div(_at(right, point), _at(left, point)))
                if not point.plain:
                    return None
    except ARITHMETIC:
        return None
    first, _ = factors[0]
    if first.imag or abs(first) < 1e-6 or not all(_agree(factors[0], x) for x in factors):
        return None
    return first.real


def constant(formula: str) -> float | None:
    r"""The value of a formula without symbols, if it is real.

    >>> constant(r"\frac{\pi}{2}")
    1.5707963267948966
    """
    tree = parse(formula)
    if tree is None or symbols(tree):
        return None
    found = []
    for reading in _readings(tree, tree):
        if "symbol" in reading.values():
            continue
        try:
            found.append(_at(tree, Point({}, reading))[0])
        except ARITHMETIC:
            return None
    return found[0].real if len(found) == 1 and not found[0].imag else None


def linear(formula: str) -> bool:
    """Whether a formula is a sum of symbols with constant factors, as the equation of a line is.

    >>> linear("2x - y/3 + 1"), linear("xy")
    (True, False)
    """
    tree = parse(formula)
    return tree is not None and _is_linear(tree)


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
    found = [_compared(left, right, point) for point in _points(left, reading, seed)]
    near, far, mixed = found[:POINTS], found[POINTS : POINTS + 1], found[POINTS + 1 :]
    if all(x == "equal" for x in near) and "different" not in [*far, *mixed]:
        return True if all(x in ("equal", "undefined") for x in mixed) else None
    different = all(x == "different" for x in [*near, *far])
    if different and not _whole_numbers(left) and not _whole_numbers(right):
        return False
    return None


def _compared(left: Node, right: Node, point: Point) -> str:
    """``equal``, ``different``, ``undefined`` or, if rounding may explain it, ``unclear``."""
    try:
        a, b = _at(left, point), _at(right, point)
    except ARITHMETIC:
        return "undefined"
    if _differ(a, b):
        near = has_decimals(left) or has_decimals(right)
        return "unclear" if near and _close(a, b) else "different"
    return "equal" if point.plain and _agree(a, b) else "unclear"


def _differ(a: Valued, b: Valued) -> bool:
    return abs(a[0] - b[0]) > 4 * (a[1] + b[1])


def _agree(a: Valued, b: Valued) -> bool:
    size = max(abs(a[0]), abs(b[0]), 1e-3)
    return not _differ(a, b) and a[1] + b[1] <= SHARP * size


def _close(a: Valued, b: Valued) -> bool:
    """Whether one may be a rounding of the other."""
    return abs(a[0] - b[0]) <= 0.05 * max(abs(a[0]), abs(b[0]), 0.1)


def _whole_numbers(tree: Node) -> bool:
    """Whether it may be meant for whole numbers only, for which more formulas are equal."""
    inside = any(map(_whole_numbers, tree.args))
    return inside or (tree.kind in _PERIODIC and bool(symbols(tree) & _OFTEN_WHOLE))


def _points(tree: Node, reading: Reading, seed: str) -> Iterator[Point]:
    """POINTS near ones, one far out, POINTS of mixed signs; a single one if nothing varies.

    Drawn from both texts, so they are reproducible and an answer cannot be made to fit them.
    """
    names = [*sorted(symbols(tree)), *(name for name in reading if reading[name] == "symbol")]
    if not names:
        yield Point({}, reading)
        return
    draw = random.Random(crc32(seed.encode("utf-8", "replace")))
    for number in range(2 * POINTS + 1):
        size = FAR if number == POINTS else 1.0
        signs = [draw.choice((-1.0, 1.0)) if number > POINTS else size for _ in names]
        values = [sign * draw.uniform(0.3, 2.9) for sign in signs]
        yield Point(dict(zip(names, values, strict=True)), reading)


def _readings(left: Node, right: Node) -> Iterator[Reading]:
    """Euler's e or a name, the imaginary unit or a name, the logarithm to 10 or e."""
    ways = {"e": ("constant", "symbol"), "i": ("constant", "symbol"), "log": ("10", "e")}
    seen = _ambiguous(left) | _ambiguous(right)
    names = sorted(seen)
    for choice in product(*(ways[name] for name in names)):
        yield dict(zip(names, choice, strict=True))


def _ambiguous(tree: Node) -> frozenset[str]:
    found = frozenset().union(*map(_ambiguous, tree.args))
    if tree.kind == "constant" and tree.value in ("e", "i"):
        return found | {tree.value}
    return found | {"log"} if tree.kind == "log" and len(tree.args) == 1 else found


def _at(tree: Node, point: Point) -> Valued:
    if tree.args:
        args = [_at(arg, point) for arg in tree.args]
        if tree.kind == "log" and len(args) == 1:
            args.append((10.0, 0.0) if point.reading["log"] == "10" else rounded(math.e))
        value, error = OPERATIONS[tree.kind](*args)
    else:
        value, error = _leaf(tree, point)
    size = abs(value)
    if not size < HUGE or not error < HUGE:
        raise Undefined
    if size > LARGEST or error < size < SMALLEST:
        point.plain = False
    return value, error


def _leaf(tree: Node, point: Point) -> Valued:
    if tree.kind == "number":
        if len(tree.value) > DIGITS:
            raise Undefined
        return rounded(float(tree.value))
    if tree.kind == "factorial":
        if int(tree.value[:3]) > 20:
            raise Undefined
        return rounded(float(math.factorial(int(tree.value))))
    if tree.value in point.values:
        return point.values[tree.value], 0.0
    if tree.value == "pi":
        return rounded(math.pi)
    return (1j, 0.0) if tree.value == "i" else rounded(math.e)
