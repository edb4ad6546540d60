"""Runs tests that have to be run themselves: in their own jail, calling the program in another.

The tests get plain data and the program gets arguments; neither sees the other. A pass only counts
if the same tests fail a program that returns nonsense.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from distill.jail.inside.codec import encode
from distill.jail.program import Call, Ran, Returned
from distill.verify.code.judge import RIGHT, Finding, again, ended, raised, value_of
from distill.verify.code.plain import CHANGED, NAME, opaque, watched
from distill.verify.code.suite import SHOWN, STUB, Suite
from distill.verify.workers.threads import Jails

# Errors of the tests themselves: something they need is missing.
BROKEN = (
    "ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError",
    "UnboundLocalError",
)  # fmt: skip
LEAVES = ("SystemExit", "KeyboardInterrupt", "GeneratorExit")  # ``except Exception`` misses them
UNMADE = ("UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError")  # take 5 arguments
NONSENSE = (Returned(encode(None)), Returned(encode("\0")))
NO_ARGUMENTS = encode(([], {}))


def judge_by_tester(jails: Jails, suite: Suite, source: str, *, timeout_s: float) -> Finding:
    """Judges it by the tests that only a tester can run."""
    if suite.doubt:
        return Finding("unverifiable", suite.doubt)
    heard: list[Returned] = []
    asked: list[Call] = []
    ends: list[Ran | None] = []
    changed: list[bool] = []

    def attempt() -> Ran:
        heard.clear()
        asked.clear()
        with jails.program.talk(_source(suite, source), timeout_s=timeout_s) as candidate:
            if candidate.ended is not None:
                ends.append(candidate.ended)
                return candidate.ended

            def answer(_: str, arguments: bytes) -> Returned:
                asked.append(Call(suite.entry, arguments))
                heard.append(candidate.call(NAME, arguments))
                return heard[-1]

            ran = _ask(jails, suite, answer, timeout_s)
            changed.append(value_of(candidate.call(CHANGED, NO_ARGUMENTS)) is True)
            ends.append(candidate.ended)
        return ends[-1] if ends[-1] and ends[-1].status == "jail_failed" else ran

    ran = again(attempt)
    if (end := ends[-1]) is not None:  # the program's, not the tests'
        return ended(end, source)
    found = _left(suite, ran, heard) or _finding(ran, heard, source)
    if found is RIGHT and not _can_fail(jails, suite, timeout_s):
        return Finding("unverifiable", "weak_tests")
    if changed[-1] and found.label in ("correct", "wrong"):  # which the tests could not see
        return Finding("unverifiable", "changed_arguments", found.detail)
    seen = tuple(zip(asked, heard, strict=True))
    return replace(found, seen=seen) if found is RIGHT else found


def _source(suite: Suite, source: str) -> str:
    whole = f"{source}\n\n{suite.after}\n" if suite.after else source
    return watched(whole, suite.entry)


def _ask(
    jails: Jails, suite: Suite, answer: Callable[[str, bytes], Returned], timeout_s: float
) -> Ran:
    name = suite.entry if suite.entry.isidentifier() else STUB
    return jails.tester.ask(suite.tester or "", names=[name], answer=answer, timeout_s=timeout_s)


def _left(suite: Suite, ran: Ran, heard: Sequence[Returned]) -> Finding | None:
    """The finding if the program exited, or raised what cannot be recreated from its name."""
    name = next((one.raised for one in heard if one.raised in LEAVES + UNMADE), None)
    if name is None:
        return None
    if name in UNMADE or ran.status == "ended" or name in (suite.tester or ""):
        return Finding("unverifiable", "exception", name)
    return None


def _finding(ran: Ran, heard: Sequence[Returned], source: str) -> Finding:
    detail = ran.error[:SHOWN]
    last = heard[-1] if heard else None
    values = [value_of(one) for one in heard]
    type_name = next((name for value in values if (name := opaque(value)) is not None), None)
    if ran.status == "ended" and last is not None and type_name is None:
        return RIGHT
    if type_name is not None:
        return Finding("unverifiable", "opaque_value", type_name[:SHOWN])
    if last is None and ran.status in ("ended", "raised"):
        return Finding(
            "unverifiable", "no_tests" if ran.status == "ended" else "broken_tests", detail
        )
    if ran.status != "raised" or last is None:
        broken = ran.status in ("died", "flooded")  # the tests, not the program
        return Finding("unverifiable", "broken_tests", detail) if broken else ended(ran, source)
    kind = ran.error.split(":", maxsplit=1)[0]
    if last.raised is not None and kind == "AssertionError" != last.raised:
        return Finding("unverifiable", "exception", detail)  # tests check more than its type
    if last.raised is not None:
        return raised(last.raised, last.raised, source)
    if kind in BROKEN:
        return Finding("unverifiable", "broken_tests", detail)
    return Finding("wrong", "value" if kind == "AssertionError" else "raised", detail)


def _can_fail(jails: Jails, suite: Suite, timeout_s: float) -> bool:
    """Whether the tests fail a program that returns nonsense."""

    def refuse(nonsense: Returned) -> bool:
        return again(lambda: _ask(jails, suite, lambda *_: nonsense, timeout_s)).status != "ended"

    return any(map(refuse, NONSENSE))
