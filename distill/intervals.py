"""A share or a mean and its 95 % interval, as every report of distill states it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A share between 0 and 1, or another mean, and its 95 % interval."""

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


def bootstrap(values: Sequence[float], *, draws: int = 10_000) -> Score:
    """The mean of at least one value; its interval is the percentile bootstrap's (Efron 1979).

    Always the same for the same values. Below about 20 of them the interval is too narrow.
    """
    import numpy as np

    known = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(0)
    means = [known[rng.integers(0, known.size, known.size)].mean() for _ in range(draws)]
    low, high = np.quantile(means, (0.025, 0.975))
    return Score(value=float(known.mean()), ci95=(float(low), float(high)))
