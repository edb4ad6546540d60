"""Arithmetic on values with a bound on their rounding error, at any precision.

A value is an exact fraction where that is possible, else a number of mpmath, complex if need be,
whose error is bounded by running error analysis (Higham, Accuracy and Stability of Numerical
Algorithms, 2002, section 3.3). An operation without a trustworthy value, or with several, raises
``Undefined``.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

EXACT_BITS = 40_000  # of a numerator: 2,019! and its like, in a millisecond
LARGEST_FACTORIAL = 3_000
GAMMA = 100  # between whole numbers a factorial is slow beyond this, or in more than 4 GAMMA bits
SHARP = 2.0**-80  # of a value: the largest error with which two values count as equal
FAR = 1_000_000  # beyond it a sine is not worth its reduction

Valued = tuple[Any, Any]  # a Fraction, mpf or mpc, and the bound of its error


class Undefined(ArithmeticError):
    """No trustworthy value at this point."""


def exact(value: Valued) -> bool:
    """Whether it is a fraction without any error."""
    return isinstance(value[0], Fraction)


class Arithmetic:
    """The operations at one precision.

    Even roots of negative numbers are undefined unless ``complex_roots``.
    """

    def __init__(self, bits: int, *, complex_roots: bool) -> None:
        from mpmath.ctx_mp import MPContext  # type: ignore[import-untyped]

        self.mp: Any = MPContext()
        self.mp.prec = bits
        self.eps = self.mp.ldexp(1, 4 - bits)  # a generous bound on the error of one operation
        self.complex_roots = complex_roots
        self.pi, self.e = self._rounded(+self.mp.pi), self._rounded(+self.mp.e)
        self.i: Valued = (self.mp.mpc(0, 1), 0)
        self.operations: Mapping[str, Callable[..., Valued]] = {
            "add": self._add,
            "neg": lambda a: (-a[0], a[1]),
            "mul": self._mul,
            "div": self.div,
            "pow": self._pow,
            "root": self._root,
            "abs": lambda a: (abs(a[0]), a[1]),
            "factorial": self._factorial,
            "binom": self._binom,
            "perm": self._perm,
            "doubtful": lambda a: a,
            "exp": self._exp,
            "ln": self._ln,
            "log": lambda a, base: self.div(self._ln(a), self._ln(base)),
            "sin": lambda a: self._smooth(self.mp.sin, a),
            "cos": lambda a: self._smooth(self.mp.cos, a),
            "tan": lambda a: self.div(self._of("sin", a), self._of("cos", a)),
            "cot": lambda a: self.div(self._of("cos", a), self._of("sin", a)),
            "sec": lambda a: self.div(ONE, self._of("cos", a)),
            "csc": lambda a: self.div(ONE, self._of("sin", a)),
            "cis": lambda a: self._add(self._of("cos", a), self._mul(self.i, self._of("sin", a))),
            "sinh": lambda a: self._halves(a, -1),
            "cosh": lambda a: self._halves(a, 1),
            "tanh": lambda a: self.div(self._halves(a, -1), self._halves(a, 1)),
            "asin": lambda a: self._arc(self.mp.asin, a),
            "acos": lambda a: self._arc(self.mp.acos, a),
            "atan": lambda a: self._smooth(self.mp.atan, a),
        }

    def _of(self, name: str, *args: Valued) -> Valued:
        return self.operations[name](*args)

    def _number(self, value: Fraction) -> Any:
        return self.mp.mpf(value.numerator) / value.denominator

    def fraction(self, a: Valued) -> Fraction | None:
        """Its value without its error; None if that is not real, or far too large or small."""
        if exact(a):
            return Fraction(a[0])
        if not _real(a) or self.size(a) > EXACT_BITS:
            return None
        sign, digits, exponent, _ = a[0].real._mpf_
        return Fraction(-int(digits) if sign else int(digits)) * (Fraction(2) ** int(exponent))

    def _inexact(self, a: Valued) -> Valued:
        return self._rounded(self._number(a[0])) if exact(a) else a

    def _rounded(self, value: Any, error: Any = 0) -> Valued:
        """A value with its error bound after one more operation."""
        return value, error + self.eps * abs(value)

    def _kept(self, value: Fraction) -> Valued:
        small = value.numerator.bit_length() + value.denominator.bit_length() <= EXACT_BITS
        return (value, 0) if small else self._rounded(self._number(value))

    def size(self, a: Valued) -> int:
        """How many binary digits it is from 1, up or down; 0 for what may be zero."""
        if exact(a):
            return abs(int(a[0].numerator.bit_length() - a[0].denominator.bit_length()))
        size = abs(a[0])
        return abs(int(self.mp.mag(size))) if size > a[1] else 0

    def differ(self, a: Valued, b: Valued) -> bool:
        """Whether they are certainly not the same."""
        if exact(a) and exact(b):
            return bool(a[0] != b[0])
        a, b = self._inexact(a), self._inexact(b)
        return bool(abs(a[0] - b[0]) > 4 * (a[1] + b[1]))

    def agree(self, a: Valued, b: Valued) -> bool:
        """Whether they differ by no more than their errors, and these are tiny (SHARP)."""
        if self.differ(a, b):
            return False
        a, b = self._inexact(a), self._inexact(b)
        return bool(a[1] + b[1] <= SHARP * max(abs(a[0]), abs(b[0]), 1e-3))

    def close(self, a: Valued, b: Valued) -> bool:
        """Whether one may be a rounding of the other."""
        a, b = self._inexact(a), self._inexact(b)
        return bool(abs(a[0] - b[0]) <= 0.05 * max(abs(a[0]), abs(b[0]), 0.1))

    def _add(self, a: Valued, b: Valued) -> Valued:
        if exact(a) and exact(b):
            return self._kept(a[0] + b[0])
        a, b = self._inexact(a), self._inexact(b)
        return self._rounded(a[0] + b[0], a[1] + b[1])

    def _mul(self, a: Valued, b: Valued) -> Valued:
        if exact(a) and exact(b):
            return self._kept(a[0] * b[0])
        a, b = self._inexact(a), self._inexact(b)
        return self._rounded(a[0] * b[0], abs(a[0]) * b[1] + abs(b[0]) * a[1] + a[1] * b[1])

    def div(self, a: Valued, b: Valued) -> Valued:
        """The quotient; undefined if the divisor may be zero."""
        if exact(b) and not b[0]:
            raise Undefined
        if exact(a) and exact(b):
            return self._kept(a[0] / b[0])
        a, b = self._inexact(a), self._inexact(b)
        room = abs(b[0]) - b[1]
        if room <= abs(b[0]) / 2:
            raise Undefined
        value = a[0] / b[0]
        return self._rounded(value, (a[1] + abs(value) * b[1]) / room)

    def _pow(self, base: Valued, exponent: Valued) -> Valued:
        if exact(exponent) and exponent[0].denominator == 1 and abs(exponent[0]) <= EXACT_BITS:
            return self._whole_power(base, int(exponent[0]))
        if exact(exponent) and exponent[0].denominator <= 20 and _real(base):
            n, d = exponent[0].numerator, exponent[0].denominator
            if abs(n) <= 100 and base[0] >= 0:
                return self._whole_power(self._root(base, (Fraction(d), 0)), n)
        # exp(exponent * ln(base)); with a negative base there are several values, so none is used
        return self._exp(self._mul(exponent, self._ln(base)))

    def _whole_power(self, base: Valued, exponent: int) -> Valued:
        if exponent < 0:
            return self.div(ONE, self._whole_power(base, -exponent))
        if exact(base):
            top, below = base[0].numerator, base[0].denominator
            if (top.bit_length() + below.bit_length()) * exponent <= EXACT_BITS:
                return base[0] ** exponent, 0
            base = self._inexact(base)
        value: Valued = ONE
        while exponent:
            if exponent & 1:
                value = self._mul(value, base)
            base, exponent = self._mul(base, base), exponent >> 1
        return value

    def _root(self, inner: Valued, index: Valued) -> Valued:
        n = int(index[0])
        if exact(inner) and (found := _exact_root(inner[0], n)) is not None:
            return found, 0
        value, error = self._inexact(inner)
        if not _real((value, error)) or abs(value) <= 2 * error:
            raise Undefined
        if value < 0 and n % 2 == 0 and not (n == 2 and self.complex_roots):
            raise Undefined
        size = self.mp.root(abs(value), n)
        bound = size * (error / (abs(value) - error)) + self.eps * size
        if value > 0:
            return self._rounded(size, bound)
        return self._rounded(-size if n % 2 else self.mp.mpc(0, size), bound)

    def _exp(self, a: Valued) -> Valued:
        if exact(a) and not a[0]:
            return ONE
        value, error = self._inexact(a)
        if abs(value) > EXACT_BITS or error > 1e-3:
            raise Undefined
        found = self.mp.exp(value)
        return self._rounded(found, 2 * abs(found) * error)

    def _ln(self, a: Valued) -> Valued:
        if exact(a) and a[0] == 1:
            return Fraction(0), 0
        value, error = self._inexact(a)
        if not _real(a) or value <= 2 * error:
            raise Undefined
        return self._rounded(self.mp.ln(value), error / (value - error) + self.eps)

    def _smooth(self, function: Callable[[Any], Any], a: Valued) -> Valued:
        """A function whose slope is at most 1."""
        value, error = self._inexact(a)
        if not _real(a) or abs(value) > FAR:
            raise Undefined
        return self._rounded(function(value), error + self.eps)

    def _halves(self, a: Valued, sign: int) -> Valued:
        both = self._exp(a), self._mul((Fraction(sign), 0), self._exp((-a[0], a[1])))
        return self.div(self._add(*both), (Fraction(2), 0))

    def _arc(self, function: Callable[[Any], Any], a: Valued) -> Valued:
        value, error = self._inexact(a)
        if not _real(a) or abs(value) > 1:
            raise Undefined
        if exact(a):
            return self._rounded(function(value), 4 * self.mp.sqrt(self.eps) * (abs(value) == 1))
        room = 1 - (abs(value) + error) ** 2
        if room <= 1e-6:
            raise Undefined
        return self._rounded(function(value), error / self.mp.sqrt(room) + self.eps)

    def _factorial(self, a: Valued) -> Valued:
        value, error = a
        if not _real(a) or not -0.9 < value <= LARGEST_FACTORIAL:
            raise Undefined
        if exact(a) and value.denominator == 1 and value >= 0:
            return self._kept(Fraction(math.factorial(int(value))))
        if value > GAMMA or self.mp.prec > 4 * GAMMA:
            raise Undefined
        value, error = self._inexact(a)
        found = self.mp.gamma(value + 1)
        return self._rounded(found, 20 * abs(found) * (error + self.eps))

    def _binom(self, n: Valued, k: Valued) -> Valued:
        return self.div(self._perm(n, k), self._factorial(k))

    def _perm(self, n: Valued, k: Valued) -> Valued:
        return self.div(self._factorial(n), self._factorial(self._add(n, (-k[0], k[1]))))


ONE: Valued = (Fraction(1), 0)


@lru_cache(maxsize=8)
def arithmetic(bits: int, *, complex_roots: bool) -> Arithmetic:
    """The operations at this precision; kept, because making them takes a millisecond."""
    return Arithmetic(bits, complex_roots=complex_roots)


def _real(a: Valued) -> bool:
    return exact(a) or not getattr(a[0], "imag", 0)


def _exact_root(value: Fraction, n: int) -> Fraction | None:
    """The root of a fraction whose parts are small powers; None if it is not exact."""
    if value < 0:
        found = None if n % 2 == 0 else _exact_root(-value, n)
        return None if found is None else -found
    if value.numerator.bit_length() > 900 or value.denominator.bit_length() > 900:
        return None
    top, below = (round(part ** (1 / n)) for part in (value.numerator, value.denominator))
    return Fraction(top, below) if below and Fraction(top, below) ** n == value else None
