"""A share and its 95 % interval, as every report of distill states it."""

import math
from dataclasses import dataclass

Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A share between 0 and 1 and its 95 % interval."""

    value: float
    ci95: tuple[float, float]


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval (1927) of a share ``p`` observed over ``n`` > 0 answers.

    >>> low, high = wilson(0.0, 100)
    >>> low, round(high, 3)
    (0.0, 0.037)
    """
    z2 = Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # at 0 and 1 the bound is exact; floating point would leave 1e-18
    low = 0.0 if p == 0 else max(0.0, middle - half)
    high = 1.0 if p == 1 else min(1.0, middle + half)
    return low, high
