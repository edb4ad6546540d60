"""Arithmetic on values with a bound on their rounding error.

A value is a double, complex if need be; its error is bounded by running error analysis (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.3). An operation without a
trustworthy value, or with several, raises ``Undefined``.
"""

import cmath
import math
from collections.abc import Callable, Mapping

EPS = 4e-16  # twice the spacing of doubles at 1: the relative error of one operation
HUGE = 1e100  # a larger value is undefined

Valued = tuple[complex, float]  # a value and the bound of its error


class Undefined(ArithmeticError):
    """No trustworthy value at this point."""


def rounded(value: complex, error: float = 0.0) -> Valued:
    """A value with its error bound after one more operation."""
    return value, error + EPS * abs(value)


def _mul(a: Valued, b: Valued) -> Valued:
    return rounded(a[0] * b[0], abs(a[0]) * b[1] + abs(b[0]) * a[1] + a[1] * b[1])


def div(a: Valued, b: Valued) -> Valued:
    """The quotient; undefined if the divisor may be zero."""
    room = abs(b[0]) - b[1]
    if room <= abs(b[0]) / 2 or room <= 0:
        raise Undefined
    value = a[0] / b[0]
    return rounded(value, (a[1] + abs(value) * b[1]) / room)


def _pow(base: Valued, exponent: Valued) -> Valued:
    whole = exponent[0].real
    if not exponent[0].imag and exponent[1] <= EPS * abs(whole) and whole == int(whole):
        return _whole_power(base, int(whole))
    # exp(exponent * log(base)); with a negative base there are several values, so none is used
    if base[0].imag or base[0].real <= 0:
        raise Undefined
    return _exp(_mul(exponent, _ln(base)))


def _whole_power(base: Valued, exponent: int) -> Valued:
    if abs(exponent) > 300:
        raise Undefined
    if exponent < 0:
        return div((1.0, 0.0), _whole_power(base, -exponent))
    value: Valued = (1.0, 0.0)
    for _ in range(exponent):
        value = _mul(value, base)
        if not abs(value[0]) < HUGE:
            raise Undefined
    return value


def _root(inner: Valued, index: Valued) -> Valued:
    value, error = inner
    if value == 0 and error == 0:
        return 0.0, 0.0
    if value.imag or (value.real < 0 and index[0] != 2) or abs(value) <= 2 * error:
        raise Undefined
    n = index[0].real
    size = abs(value) ** (1 / n)
    root: complex = size if value.real > 0 else complex(0, size)
    return rounded(root, size * (error / (abs(value) - error)) + EPS * size)


def _exp(a: Valued) -> Valued:
    if abs(a[0].real) > 230 or a[1] > 1e-3:
        raise Undefined
    value = cmath.exp(a[0]) if a[0].imag else math.exp(a[0].real)
    return rounded(value, 2 * abs(value) * (a[1] + EPS))


def _ln(a: Valued) -> Valued:
    if a[0].imag or a[0].real <= 2 * a[1]:
        raise Undefined
    return rounded(math.log(a[0].real), a[1] / (a[0].real - a[1]) + EPS)


def _real(a: Valued) -> float:
    if a[0].imag or abs(a[0]) > 1e6:
        raise Undefined
    return a[0].real


def _sin(a: Valued) -> Valued:
    return math.sin(_real(a)), a[1] + EPS


def _cos(a: Valued) -> Valued:
    return math.cos(_real(a)), a[1] + EPS


def _arc(name: str, a: Valued) -> Valued:
    value = _real(a)
    if name == "atan":
        return rounded(math.atan(value), a[1] + EPS)
    room = 1 - (abs(value) + a[1]) ** 2
    if abs(value) in (0.0, 0.5, 1.0) and a[1] <= EPS:
        room = 0.5
    if room <= 1e-6:
        raise Undefined
    found = math.asin(value) if name == "asin" else math.acos(value)
    return rounded(found, a[1] / math.sqrt(room) + EPS)


_ONE: Valued = (1.0, 0.0)
OPERATIONS: Mapping[str, Callable[..., Valued]] = {
    "add": lambda a, b: rounded(a[0] + b[0], a[1] + b[1]),
    "neg": lambda a: (-a[0], a[1]),
    "mul": _mul,
    "div": div,
    "pow": _pow,
    "root": _root,
    "abs": lambda a: rounded(abs(a[0]), a[1]),
    "exp": _exp,
    "ln": _ln,
    "log": lambda a, base: div(_ln(a), _ln(base)),
    "sin": _sin,
    "cos": _cos,
    "tan": lambda a: div(_sin(a), _cos(a)),
    "cot": lambda a: div(_cos(a), _sin(a)),
    "sec": lambda a: div(_ONE, _cos(a)),
    "csc": lambda a: div(_ONE, _sin(a)),
    "asin": lambda a: _arc("asin", a),
    "acos": lambda a: _arc("acos", a),
    "atan": lambda a: _arc("atan", a),
}
