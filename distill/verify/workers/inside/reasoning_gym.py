"""What the scorer of a reasoning_gym task says of an answer. Runs in a jail only.

Scorers evaluate what a reference says, by ``eval`` and by sympy's reader of formulas, which is one.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

# What a scorer raises on an answer beyond it.
BEYOND = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,  # RecursionError and NotImplementedError too
    SyntaxError,
    TypeError,
    ValueError,
)
NEVER = ("codeio",)  # nobody asks it: its answers are programs' inputs and outputs
FULL = 1 - 1e-9  # a right answer; time_intervals gives 0.998 to one that is minutes off
Reply = tuple[bool | None, str]  # the same, or None and why nobody knows


def load() -> Callable[[Mapping[str, Any]], Reply]:
    """The library's scorers, all of them, so that no question waits for one."""
    from reasoning_gym.factory import DATASETS, get_score_answer_fn

    logging.disable(logging.CRITICAL)
    scorers: dict[str, Callable[..., float]] = {}
    for name in DATASETS:
        if name in NEVER:
            continue
        try:
            scorers[name] = get_score_answer_fn(name)
        except BEYOND:  # composite is made of others, and has no configuration of its own
            continue

    def score(job: Mapping[str, Any]) -> Reply:
        whole = {key: job.get(key) for key in ("question", "answer", "metadata")}
        try:
            found = scorers[job["task"]](job["given"], whole)
            return bool(float(found) >= FULL), ""
        except BEYOND as error:
            return None, f"scorer_failed: {type(error).__name__}"

    return score
