r"""What Math-Verify says of two answers. Runs in a jail only; its limits are set from outside.

Math-Verify's timeouts are signals: they fail in threads, cancel the caller's own alarm, miss what
is stuck in C, and answer False, as for a wrong answer. Here they are off.
"""

import logging
import resource
from collections.abc import Callable, Mapping
from typing import Any

MEMORY_BYTES = 2**30  # address space of one question; sympy and the parser take 0.3 GB of it
Reply = tuple[bool | None, str]  # the same, or None and why nobody knows
# Parsed and compared beforehand: the parser's tables and sympy's caches grow with what they have
# seen, and each question starts with what is there by then. More of them would save later questions
# a little, and cost the first one 0.05 s each.
WARM = (
    (r"$\frac{1}{2}$", r"$\frac{\sqrt{8}}{2} + x^{2}$"),
    (r"$x^2+2x+1$", r"$(x+1)^{2}$"),
)


def load() -> Callable[[Mapping[str, str]], Reply]:
    """Math-Verify, imported and its patterns compiled, so that no question waits for it."""
    from math_verify import grader, parse, verify

    logging.disable(logging.CRITICAL)
    failed: list[Exception] = []
    # verify() takes an error in these for "not equal"; here it means that nobody knows
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
    """The same function, whose errors are remembered."""

    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError) as error:
            failed.append(error)
            raise

    return call
