"""The verdict of a check on one answer."""

from dataclasses import dataclass
from typing import Literal, get_args

# One for all checks: raised whenever an answer may get another label than before.
VERSION = 6
Label = Literal["correct", "wrong", "no_answer", "unverifiable", "timeout", "error"]
LABELS: tuple[str, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer's label, and enough to see how it came about.

    Attributes:
        label: ``correct``, ``wrong``, ``no_answer``, ``unverifiable``, ``timeout`` or ``error``.
        answer: what was taken from the response; None if nothing was.
        method: how it was decided: ``rational``, ``string``, ``list``, ``probe``, ``math_verify``…
        detail: where the answer was found: ``boxed``, ``stated``, ``bold``, ``whole``,
            ``last_number``; or why there is no verdict.
        version: of the checks that decided.
    """

    label: Label
    answer: str | None
    method: str
    detail: str = ""
    version: int = VERSION
