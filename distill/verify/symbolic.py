r"""What Math-Verify decides in a worker, and what it is not asked. Starts and kills no process.

Math-Verify's timeouts are signals: they fail in threads, cancel the caller's own alarm, miss what
is stuck in C, and answer False, as for a wrong answer. Here the host kills from outside instead.
"""

from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 512  # characters of a reference or an answer that is handed to sympy
DEEPEST = 50  # brackets within brackets; its parser recurses
TOWER = 2  # exponents within exponents: 2^{2^{2}} is the highest

Reply = dict[str, Any]


def too_complex(text: str) -> str | None:
    r"""Why a text is not handed to sympy: ``too_long``, ``too_deep``, ``tower``; None if it is.

    >>> too_complex("5^{5^{5^{5}}}"), too_complex("x^{2}")
    ('tower', None)
    """
    if len(text) > LONGEST:
        return "too_long"
    open_at: list[tuple[int, int]] = []
    level = chain = 0
    for sign in text:
        if sign in "({[":
            open_at.append((level, chain))
            level, chain = level + chain, 0
            if len(open_at) > DEEPEST:
                return "too_deep"
        elif sign in ")}]" and open_at:
            level, chain = open_at.pop()
        elif sign == "^":
            chain += 1
            if level + chain > TOWER:
                return "tower"
        elif sign in "+-*/=,<>":
            chain = 0
    return None


def load() -> Callable[[Mapping[str, Any]], Reply]:
    """Math-Verify, imported and its patterns compiled, so that no question waits for it."""
    from math_verify import grader, parse, verify

    failed: list[Exception] = []
    # verify() takes an error in these for "not equal"; here it means that nobody knows
    for name in ("simplify", "solve"):
        setattr(grader, name, _watched(getattr(grader, name), failed))

    def same(job: Mapping[str, Any]) -> Reply:
        failed.clear()
        # the reference first: verify() follows its form, and is not symmetric
        gold = parse(job["gold"], parsing_timeout=None)
        answer = parse(job["answer"], parsing_timeout=None)
        if not gold or not answer:
            return {"same": None, "why": "unreadable_gold" if not gold else "unreadable"}
        if verify(gold, answer, timeout_seconds=None):
            return {"same": True}
        for error in failed:
            if isinstance(error, MemoryError):
                raise error
        if all(isinstance(one, str) for one in gold) or all(isinstance(one, str) for one in answer):
            return {"same": None, "why": "unreadable"}
        return {"same": None, "why": "beyond_sympy"} if failed else {"same": False}

    same({"gold": "$1$", "answer": "$1$"})
    return same


def _watched(function: Callable[..., Any], failed: list[Exception]) -> Callable[..., Any]:
    """The same function, whose errors are remembered."""

    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError) as error:
            failed.append(error)
            raise

    return call


def displayed(text: str) -> str:
    """As Math-Verify finds it: between dollars, unless it stands in such already."""
    text = text.strip()
    marked = any(mark in text for mark in ("$", r"\(", r"\["))
    return text if marked else f"${text}$"
