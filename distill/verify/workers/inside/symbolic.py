r"""Asks Math-Verify about two answers; runs only in a jail, which sets the time limit.

Math-Verify's own timeouts are signals: they fail in threads, cancel the caller's alarm, cannot stop
C code, and return False as for a wrong answer. Here they are off.
"""

import logging
import resource
from collections.abc import Callable, Mapping
from typing import Any

MEMORY_BYTES = 2**30  # address space of one question; sympy and the parser take 0.3 GB of it
Reply = tuple[bool | None, str]  # whether it is the same, or None and the reason
# Parsed and compared beforehand, because every question starts with the parser's tables and sympy's
# caches as they are by then. More of these would save later questions a little, and cost the first
# one 0.05 s each.
WARM = (
    (r"$\frac{1}{2}$", r"$\frac{\sqrt{8}}{2} + x^{2}$"),
    (r"$x^2+2x+1$", r"$(x+1)^{2}$"),
)


def load() -> Callable[[Mapping[str, str]], Reply]:
    """Imports Math-Verify and compiles its patterns, so that no question waits for that."""
    from math_verify import grader, parse, verify

    logging.disable(logging.CRITICAL)
    failed: list[Exception] = []
    # verify() treats an error in these as "not equal"; here it means "unknown"
    for name in ("simplify", "solve"):
        setattr(grader, name, _watched(getattr(grader, name), failed))

    def same(job: Mapping[str, str]) -> Reply:
        failed.clear()
        # the reference first: verify() follows its form, and is not symmetric
        gold = parse(job["gold"], parsing_timeout=None)
        answer = parse(job["answer"], parsing_timeout=None)
        if not gold or not answer:
            return None, "unreadable" if gold else "unreadable_gold"
        if verify(gold, answer, timeout_seconds=None):
            return True, ""
        for error in failed:
            if isinstance(error, MemoryError):
                raise error
        if all(isinstance(one, str) for one in gold) or all(isinstance(one, str) for one in answer):
            return None, "unreadable"
        return (None, "beyond_sympy") if failed else (False, "")

    def limited(job: Mapping[str, str]) -> Reply:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return same(job)

    for gold, answer in WARM:
        same({"gold": gold, "answer": answer})
    return limited


def _watched(function: Callable[..., Any], failed: list[Exception]) -> Callable[..., Any]:
    """The same function, with its errors recorded in ``failed``."""

    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError) as error:
            failed.append(error)
            raise

    return call
