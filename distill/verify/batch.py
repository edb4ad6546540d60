"""Grades many answers: what is quick at once, the rest in jails."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from distill.errors import DistillError, UserError, nearest
from distill.think import after_thought
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CHECKS, CODE, KINDS
from distill.verify.own import Checks, OwnCheck
from distill.verify.verdict import Verdict
from distill.verify.workers.asked import answers
from distill.verify.workers.pending import PendingCheck
from distill.verify.workers.reasoning_gym import entry
from distill.verify.workers.services import SERVICES, Kind, installed

log = logging.getLogger("distill")
# Jails of a large batch: each takes up to 0.3 GB, and few answers need one.
SEVERAL = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to grade.

    Attributes:
        gold: the reference; None if there is none.
        response: what follows the thinking.
        kind: of check, as in ``grade``; None for no check.
    """

    gold: str | None
    response: str
    kind: str | None = "math"


def grade_all(
    items: Sequence[Item],
    *,
    workers: int = 1,
    isolation: Isolation = JAILED,
    checks: Checks = (),
) -> list[Verdict]:
    """The verdict on each item, in order; ``checks`` are the user's own kinds beside ours.

    Numbers, texts, lists and most formulas are decided here, in about 50 microseconds each. What is
    left goes to Math-Verify and the scorers of reasoning_gym in ``workers`` jails, with at most 2 s
    for an answer; equal questions are asked once. Programs run in ``workers`` jails too, isolated
    as ``isolation`` says. Thread-safe. The jails stay for the next batch and end with this process.

    Raises:
        UserError: no such kind; or there is a program to run or a library to ask, and no jail here.

    Examples:
        >>> [v.label for v in grade_all([Item("1/2", "0.5"), Item("(1, 2)", "(2, 1)")])]
        ['correct', 'wrong']
    """
    own = {check.kind: check for check in checks}
    found = [_first(item, own) for item in items]
    _fill_code(items, found, workers=workers, isolation=isolation)
    for kind in SERVICES:
        _fill_asked(kind, found, workers=workers, isolation=isolation)
    return [one for one in found if isinstance(one, Verdict)]


def needs_jail(kind: str | None, gold: str | None) -> bool:
    """Whether an answer of this kind may need a jail; without ``gold``, whether any answer may."""
    if kind == "math":
        return installed("math")
    if kind == "reasoning_gym":
        return gold is not None and entry(gold) is not None and installed("gym")
    return kind == CODE


def _first(item: Item, own: Mapping[str, OwnCheck]) -> Verdict | PendingCheck | None:
    """None for code, which is checked in a batch of its own."""
    if item.kind is None:
        return Verdict("unverifiable", None, "no_kind")
    if item.kind not in KINDS and item.kind not in own:
        msg = f"verify: {item.kind!r}: no such kind of check; {nearest(item.kind, KINDS)}"
        raise UserError(msg)
    if item.gold is None or not item.gold.strip():
        return Verdict("unverifiable", None, "no_gold")
    if item.kind == CODE:
        return None
    if item.kind in own:
        return own[item.kind](item.gold, item.response)
    try:
        return CHECKS[item.kind](item.gold, after_thought(item.response))
    except DistillError:
        raise
    except Exception as error:  # a border: the text of one row must not end a run of a day
        name = type(error).__name__
        log.warning("a check of kind %s failed: %s: %s; please report it", item.kind, name, error)
        return Verdict("error", None, "check_failed", name)


def _fill_code(
    items: Sequence[Item],
    found: list[Verdict | PendingCheck | None],
    *,
    workers: int,
    isolation: Isolation,
) -> None:
    places = [number for number, one in enumerate(found) if one is None]
    if not places:
        return
    from distill.verify.code import check_all  # slow to import, and few have programs to check

    pairs = [(items[number].gold, items[number].response) for number in places]
    verdicts = check_all(pairs, workers=workers, isolation=isolation)
    for number, verdict in zip(places, verdicts, strict=True):
        found[number] = verdict


def _fill_asked(
    kind: Kind,
    found: list[Verdict | PendingCheck | None],
    *,
    workers: int,
    isolation: Isolation,
) -> None:
    asked = {
        n: one for n, one in enumerate(found) if isinstance(one, PendingCheck) if one.kind == kind
    }
    if not asked:
        return
    jobs = [one.job for one in asked.values()]
    heard, lacking = answers(kind, jobs, workers=workers, isolation=isolation)
    if lacking:
        _warn(lacking)
    for (number, one), answer in zip(asked.items(), heard, strict=True):
        found[number] = one.verdict(answer, isolation)


@cache
def _warn(lacking: str) -> None:
    """Once in a process."""
    log.warning("%s: answers that only it could check are unverifiable", lacking)
