"""Judges one program: runs it in a jail and compares its results outside.

A program that runs out of time is a ``timeout``, never ``wrong``; what cannot be compared is
``unverifiable``; a jail that failed twice is an ``error``.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from distill.jail.inside.codec import MAX_BYTES, CodecError, Opaque, decode
from distill.jail.program import Call, Program, Ran, Returned, Status
from distill.jail.session import Jail
from distill.verify.code.bounded import TooLarge
from distill.verify.code.constant import one_value, only_constant
from distill.verify.code.gold import Cases
from distill.verify.code.output import difference
from distill.verify.code.plain import opaque, plainly
from distill.verify.code.source import foreign, joined, tree
from distill.verify.code.suite import SHOWN, Suite, Test
from distill.verify.verdict import Label
from distill.verify.workers.threads import Jails

TRIES = 2  # of a program whose jail failed
WHOLE = 6  # all inputs of a program together may take this many times the timeout of one
UNREADABLE = "CodecError"  # a value too large or too deep to leave the jail
One = tuple[Returned, object]  # what one call returned, and its value


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict without its answer."""

    label: Label
    method: str
    detail: str = ""
    seen: tuple[tuple[Call, Returned], ...] = ()  # if correct: its calls, and their results


RIGHT = Finding("correct", "tests")
WEAK = Finding("unverifiable", "weak_tests", "all expect one value, and it gives no other")
ENDS: dict[Status, Finding] = {
    "timeout": Finding("timeout", "killed"),
    "memory": Finding("timeout", "memory"),
    "died": Finding("wrong", "died"),
    "flooded": Finding("wrong", "flooded"),
    "jail_failed": Finding("error", "jail_failed"),
}


def run(jail: Jail, program: Program, *, timeout_s: float) -> Ran:
    """How the program ended; a jail that fails gets another try."""
    return again(lambda: jail.run(program, timeout_s=timeout_s))


def again(attempt: Callable[[], Ran]) -> Ran:
    """The result of the first attempt whose jail holds, else of the last."""
    for _ in range(TRIES - 1):
        if (ran := attempt()).status != "jail_failed":
            return ran
    return attempt()


def judge_calls(jails: Jails, suite: Suite, source: str, *, timeout_s: float) -> Finding:
    """Judges it by what its functions return."""
    calls = tuple(call for test in suite.tests for call in test.calls)
    program = Program(f"{source}\n\n{suite.after}\n" if suite.after else source, calls)
    ran = run(jails.program, program, timeout_s=timeout_s)
    values = [value_of(one) for one in ran.returned]
    if any(map(opaque, values)):
        ran = run(jails.program, plainly(program), timeout_s=timeout_s)
        values = [value_of(one) for one in ran.returned]
    doubt: Finding | None = None
    for test, part in _by_test(suite.tests, list(zip(ran.returned, values, strict=True))):
        found = _of_test(test, part, source)
        if found.label == "wrong":
            return found
        doubt = doubt or (found if found.label != "correct" else None)
    if len(values) < len(calls):
        return doubt or ended(ran, source)
    return doubt or replace(RIGHT, seen=tuple(zip(calls, ran.returned, strict=True)))


def unless_constant(jails: Jails, suite: Suite, source: str, found: Finding) -> Finding:
    """The finding; but ``WEAK`` if the program only ever returns one value and should not."""
    calls = [call for call, _ in found.seen]
    if not calls or not one_value([returned for _, returned in found.seen]):
        return found
    known = suite.reference and joined(suite.before, suite.reference, suite.after)
    whole = joined(source, suite.after)
    return WEAK if only_constant(jails.program, whole, calls, reference=known or None) else found


def judge_script(jails: Jails, gold: Cases, source: str, *, timeout_s: float) -> Finding:
    """Judges a Python program by what it prints."""

    def attempt(given: str, left_s: float) -> Ran:
        return run(jails.program, Program(source, stdin=given), timeout_s=left_s)

    return judge_output(gold, attempt, lambda ran: ended(ran, source), timeout_s=timeout_s)


def judge_output(
    gold: Cases,
    attempt: Callable[[str, float], Ran],
    fault: Callable[[Ran], Finding],
    *,
    timeout_s: float,
) -> Finding:
    """Judges what ``attempt(input, seconds)`` prints; ``fault`` explains a bad end."""
    doubt: Finding | None = None
    until = time.monotonic() + WHOLE * timeout_s
    for number, case in enumerate(gold.cases, 1):
        left = min(timeout_s, until - time.monotonic())
        if left <= 0:
            return Finding("timeout", "killed", f"before input {number}")
        if len(case.given.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            return Finding("unverifiable", "too_large", f"input {number}")
        ran = attempt(case.given, left)
        if ran.status != "ended":
            found = fault(ran)
            return Finding(found.label, found.method, f"input {number}: {found.detail}".strip())
        differ = [difference(ran.stdout, one, gold.tolerance) for one in case.accepted]
        if None in differ:
            continue
        method = next((one for one in differ if one and one != "value"), "value")
        if method == "value" and not gold.checked_elsewhere:
            return Finding("wrong", "output", f"input {number}: {ran.stdout[:SHOWN]!r}")
        method = "checker" if method == "value" else method
        doubt = doubt or Finding("unverifiable", method, f"input {number}")
    return doubt or RIGHT


def ended(ran: Ran, source: str) -> Finding:
    """The finding for a program that ended before its tests did."""
    if ran.status in ENDS:
        found = ENDS[ran.status]
        return Finding(found.label, found.method, ran.error[:SHOWN])
    kind = ran.error.split(":", maxsplit=1)[0] if ran.status == "raised" else "nothing returned"
    return raised(kind, ran.error, source)


def raised(kind: str, detail: str, source: str) -> Finding:
    """The finding for a program that raised an error of this type; it never passes."""
    if kind == "MemoryError":
        return Finding("timeout", "memory", detail[:SHOWN])
    if kind == UNREADABLE:
        return Finding("unverifiable", "too_large", detail[:SHOWN])
    if kind in ("ModuleNotFoundError", "ImportError"):
        module = tree(source)
        if missing := foreign(module) if module else []:
            return Finding("unverifiable", "missing_module", ", ".join(missing)[:SHOWN])
    return Finding("wrong", "raised", detail[:SHOWN])


def value_of(returned: Returned) -> object:
    """The value; None if the call raised, and ``Opaque`` if the value cannot be read."""
    if returned.value is None:
        return None
    try:
        return decode(returned.value)
    except CodecError:
        return Opaque("unreadable")


def _by_test(tests: Sequence[Test], found: Sequence[One]) -> Iterator[tuple[Test, Sequence[One]]]:
    """Each test whose calls all ended, with what they returned."""
    start = 0
    for test in tests:
        part = found[start : start + len(test.calls)]
        start += len(test.calls)
        if len(part) == len(test.calls):
            yield test, part


def _of_test(test: Test, found: Sequence[One], source: str) -> Finding:
    for returned, value in found:
        if returned.value is None:
            kind = returned.raised or "nothing returned"
            return raised(kind, f"{test.text}: {kind}", source)
        if (type_name := opaque(value)) is not None:
            return Finding("unverifiable", "opaque_value", type_name[:SHOWN])
    try:
        met = test.met([value for _, value in found])
    except TooLarge as error:
        return Finding("unverifiable", "too_large", f"{test.text}: {error}")
    return RIGHT if met else Finding("wrong", "value", test.text)
