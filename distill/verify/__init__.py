"""Checks an answer against its reference. Does not run code, ask a model or open a file.

    verdict   what a check says
    extract   finds the final answer in a response
    latex     takes the typography off an answer
    rational  reads a plain number, exactly
    values    reads an answer: a number, a list of answers, or text
    compare   are two values the same?
    kinds     one function for each kind of check

A label is meant to be trusted: what numbers and strings alone cannot decide is ``unverifiable``.
"""

from distill.errors import UserError, nearest
from distill.verify.kinds import KINDS
from distill.verify.verdict import LABELS, Label, Verdict

__all__ = ["LABELS", "Label", "Verdict", "grade"]


def grade(gold: str | None, response: str, *, kind: str | None = "math") -> Verdict:
    r"""The verdict on what follows the thinking in one answer, against its reference.

    Time is linear in the length of both; nothing is evaluated. ``kind`` is one of:

    - ``math``: numbers exactly (1/2 is 0.5), lists element by element, else the same text.
    - ``exact``: the same text, up to white space and typography.
    - ``reasoning_gym``: like ``math``, then like ``exact``; that library's own scorers, which know
      of several right answers, come later: until then such a row is ``unverifiable``.

    Without a reference or a kind there is nothing to check against: ``unverifiable``.

    Raises:
        UserError: no such kind.

    >>> grade("1/2", r"So it is \boxed{0.50}.").label
    'correct'
    >>> grade("1/2", "The answer is either 1/2 or 1/3.").label
    'wrong'
    >>> grade(r"\sqrt{8}", r"\boxed{2\sqrt{2}}").method
    'needs_symbolic'
    """
    if kind is None:
        return Verdict("unverifiable", None, "no_kind")
    if kind not in KINDS:
        msg = f"verify: {kind!r}: no such kind of check; {nearest(kind, KINDS)}"
        raise UserError(msg)
    if gold is None or not gold.strip():
        return Verdict("unverifiable", None, "no_gold")
    return KINDS[kind](gold, response)
