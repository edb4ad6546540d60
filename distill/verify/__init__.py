"""Checks an answer against its reference.

    verdict       what a check says
    kinds         one function for each kind of check
    choice        the letters of multiple-choice questions
    math          is a mathematical answer the same as its reference?
    code          are programs right?
    instructions  IFEval's instructions, by rule
    workers       what only a library can decide, asked in jails
    isolation     how programs and libraries are kept apart from this machine
    batch         many answers at once

A label is meant to be trusted: what none of these can decide is ``unverifiable``. Nothing in a row
is evaluated in this process, neither by ``eval`` nor by a library that calls it.
"""

from typing import TYPE_CHECKING, Any

from distill.verify.isolation import JAILED, Isolation
from distill.verify.verdict import LABELS, VERSION, Label, Verdict

if TYPE_CHECKING:
    from distill.verify.batch import Item, grade_all

__all__ = [
    "LABELS",
    "VERSION",
    "Isolation",
    "Item",
    "Label",
    "Verdict",
    "grade",
    "grade_all",
]


def __getattr__(name: str) -> Any:
    if name not in ("Item", "grade_all"):
        msg = f"module 'distill.verify' has no attribute {name!r}"
        raise AttributeError(msg)
    from distill.verify import batch

    return getattr(batch, name)


def grade(
    gold: str | None,
    response: str,
    *,
    kind: str | None = "math",
    isolation: Isolation = JAILED,
) -> Verdict:
    r"""The verdict on one answer, of which only what follows the thinking counts.

    ``kind`` is one of:

    - ``math``: numbers exactly (1/2 is 0.5), lists element by element, formulas by their values,
      the rest by Math-Verify in a jail, for 2 s at most.
    - ``exact``: the same text, up to white space and typography.
    - ``choice``: the same letter.
    - ``reasoning_gym``: by the task's scorer if the reference is ``{"task", "answer", "metadata"}``
      in JSON; else numbers like ``math`` and the rest like ``exact``, and never wrong by text.
    - ``instructions``: the response follows all instructions of an IFEval reference.
    - ``code``: the response's program passes the reference's tests (``code.gold``), in a jail.

    Without a reference or a kind there is nothing to check against: ``unverifiable``. Many answers
    are graded faster by ``grade_all``.

    Raises:
        UserError: no such kind; or there is a program to run or a library to ask, and no jail here.

    Examples:
        >>> grade("1/2", r"So it is \boxed{0.50}.").label
        'correct'
        >>> grade("1/2", "The answer is either 1/2 or 1/3.").label
        'wrong'
        >>> grade(r"\sqrt{8}", r"\boxed{2\sqrt{2}}").method
        'probe'
    """
    from distill.verify.batch import Item, grade_all

    return grade_all([Item(gold, response, kind)], isolation=isolation)[0]
