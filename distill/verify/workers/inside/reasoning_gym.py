"""Asks the scorer of a reasoning_gym task about an answer; runs only in a jail.

Scorers evaluate parts of the reference with ``eval``, directly or through sympy's formula parser.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

# What a scorer raises on an answer that it cannot handle. RuntimeError includes RecursionError and
# NotImplementedError.
BEYOND = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(RuntimeError, SyntaxError, TypeError, ValueError),
)
NEVER = ("codeio",)  # never asked: its answers are inputs and outputs of programs
FULL = 1 - 1e-9  # a right answer; time_intervals gives 0.998 to one that is minutes off
Reply = tuple[bool | None, str]  # whether it is the same, or None and the reason


def load() -> Callable[[Mapping[str, Any]], Reply]:
    """Loads all of the library's scorers, so that no question waits for one."""
    from reasoning_gym.factory import DATASETS, get_score_answer_fn

    logging.disable(logging.CRITICAL)
    scorers: dict[str, Callable[..., float]] = {}
    for name in DATASETS:
        if name in NEVER:
            continue
        try:
            scorers[name] = get_score_answer_fn(name)
        except BEYOND:  # composite combines others, and has no default configuration
            continue

    def score(job: Mapping[str, Any]) -> Reply:
        whole = {key: job.get(key) for key in ("question", "answer", "metadata")}
        try:
            found = scorers[job["task"]](job["given"], whole)
            return bool(float(found) >= FULL), ""
        except BEYOND as error:
            return None, f"scorer_failed: {type(error).__name__}"

    return score
