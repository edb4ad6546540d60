"""Grades many answers: what is quick at once, the rest in workers, code in its sandbox."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from distill.errors import UserError, nearest
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CHECKS, CODE, KINDS
from distill.verify.question import Question
from distill.verify.verdict import Verdict
from distill.verify.workers import POOLS

log = logging.getLogger("distill")
# Workers of a large batch: each takes up to 0.3 GB, and few answers need one.
SEVERAL = min(8, os.cpu_count() or 1)
# What to install where a worker has nothing to import.
_NEEDED = {"math": "math-verify", "gym": "reasoning-gym"}


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to grade: what follows the thinking in it, and its reference."""

    gold: str | None
    response: str
    kind: str | None = "math"


def grade_all(
    items: Sequence[Item], *, workers: int = 1, isolation: Isolation = JAILED
) -> list[Verdict]:
    """The verdict on each item, in order.

    Numbers, texts, lists and most formulas are decided here, at about 50 microseconds each; only
    what is left goes to ``workers`` processes, each at most 2 s on one answer, and equal questions
    once. Programs run in ``workers`` jails, apart from this machine as ``isolation`` says. Safe in
    threads. The processes stay for the next batch and end with this one.

    Raises:
        UserError: no such kind; or there is a program to run and no jail here.

    >>> [v.label for v in grade_all([Item("1/2", "0.5"), Item("(1, 2)", "(2, 1)")])]
    ['correct', 'wrong']
    """
    found = [_first(item) for item in items]
    _fill_code(items, found, workers=workers, isolation=isolation)
    for kind in POOLS:
        _fill_asked(kind, found, workers=workers)
    return [one for one in found if isinstance(one, Verdict)]


def _first(item: Item) -> Verdict | Question | None:
    """None for code, which is checked in a batch of its own."""
    if item.kind is None:
        return Verdict("unverifiable", None, "no_kind")
    if item.kind not in KINDS:
        msg = f"verify: {item.kind!r}: no such kind of check; {nearest(item.kind, KINDS)}"
        raise UserError(msg)
    if item.gold is None or not item.gold.strip():
        return Verdict("unverifiable", None, "no_gold")
    return None if item.kind == CODE else CHECKS[item.kind](item.gold, item.response)


def _fill_code(
    items: Sequence[Item],
    found: list[Verdict | Question | None],
    *,
    workers: int,
    isolation: Isolation,
) -> None:
    places = [number for number, one in enumerate(found) if one is None]
    if not places:
        return
    from distill.verify.code import check_all  # for those who have programs to check

    pairs = [(items[number].gold, items[number].response) for number in places]
    verdicts = check_all(pairs, workers=workers, isolation=isolation)
    for number, verdict in zip(places, verdicts, strict=True):
        found[number] = verdict


def _fill_asked(kind: str, found: list[Verdict | Question | None], *, workers: int) -> None:
    places = [n for n, one in enumerate(found) if isinstance(one, Question) and one.kind == kind]
    asked: dict[str, Question] = {}
    for number in places:
        one = found[number]
        if isinstance(one, Question):
            asked.setdefault(_key(one), one)
    if not asked:
        return
    jobs = [question.job for question in asked.values()]
    heard = dict(zip(asked, POOLS[kind].answer(jobs, workers=workers), strict=True))
    if "missing" in heard.values():
        _warn_missing(kind)
    for number in places:
        one = found[number]
        if isinstance(one, Question):
            found[number] = one.verdict(heard[_key(one)])


def _key(question: Question) -> str:
    return repr(question.job)


@cache
def _warn_missing(kind: str) -> None:
    """Once in a process."""
    needed = _NEEDED[kind]
    log.warning("%s is not installed: answers that only it could check are unverifiable", needed)
