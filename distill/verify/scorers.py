r"""Scores an answer with the scorer of its reasoning_gym task. Runs inside a worker only.

Some of its scorers hand the answer to ``eval``. Those get only answers made of numbers, operators,
brackets and a few names, so that no answer is a program; all else is ``would_execute``.
"""

import importlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from distill.verify.symbolic import Reply

# reasoning-gym 0.1.25: scorers with eval or sympy's parse_expr, which is eval, on the answer.
EVALUATING = frozenset(
    (
        "binary_matrix",
        "countdown",
        "intermediate_integration",
        "n_queens",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    )
)
NEVER = frozenset(("codeio",))  # runs code from its entry
_HARMLESS = re.compile(r"(?:[0-9+\-*/^(), \[\]\n'\"]|\.(?=[0-9])|(?<=[0-9])\.|[A-Za-z]+)*")
_NAMES = re.compile(r"[A-Za-z]{2,}")
_KNOWN = re.compile("a?(?:sin|cos|tan)h?|sec|csc|cot|exp|log|sqrt|pi")
# What a scorer raises on an answer beyond it; anything else ends the worker, and is retried.
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
FULL = 1 - 1e-9  # a right answer; time_intervals gives 0.998 to one that is minutes off


def entry(gold: str) -> dict[str, Any] | None:
    """A reference that holds its task: ``{"task", "answer", "metadata"}``; None if it is a text."""
    if not gold.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(gold)
    except ValueError:
        return None
    whole = isinstance(found, dict) and {"task", "answer", "metadata"} <= found.keys()
    return found if whole and isinstance(found["metadata"], dict) else None


def would_execute(task: str, answer: str) -> bool:
    """Whether the task's scorer would run an answer that may be more than a formula."""
    if task in NEVER:
        return True
    if task not in EVALUATING:
        return False
    if len(answer) > 2_000 or not _HARMLESS.fullmatch(answer):
        return True
    return not all(map(_KNOWN.fullmatch, _NAMES.findall(answer))) and not _is_letters(answer)


def _is_letters(answer: str) -> bool:
    """One word of capitals and no call: ABCDE for string_insertion."""
    return re.fullmatch(r"[A-E]+", answer) is not None


def load() -> Callable[[Mapping[str, Any]], Reply]:
    """The library's scorers, imported."""
    factory = importlib.import_module("reasoning_gym.factory")

    @cache
    def scorer(task: str) -> Callable[..., float]:
        found: Callable[..., float] = factory.get_score_answer_fn(task)
        return found

    def score(job: Mapping[str, Any]) -> Reply:
        whole = {key: job.get(key) for key in ("question", "answer", "metadata")}
        try:
            found = scorer(job["task"])(job["given"], whole)
        except BEYOND as error:
            return {"same": None, "why": f"scorer_failed: {type(error).__name__}"}
        return {"same": float(found) >= FULL, "score": float(found)}

    return score
