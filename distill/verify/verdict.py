"""What a check says about one answer. Does not check anything."""

from dataclasses import dataclass
from typing import Literal, get_args

# Of all checks together: raised whenever the same answer may get another label than before.
VERSION = 5
Label = Literal["correct", "wrong", "no_answer", "unverifiable", "timeout", "error"]
LABELS: tuple[str, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer's label, and enough to see how it came about.

    Attributes:
        label: ``correct``, ``wrong``, ``no_answer``, ``unverifiable``, ``timeout`` or ``error``.
        answer: what was taken from the response; None if nothing was.
        method: how it was decided: ``rational``, ``string``, ``list``, ``probe``, ``math_verify``…
        detail: where the answer stood: ``boxed``, ``stated``, ``bold``, ``whole``,
            ``last_number``; or why there is no verdict.
        version: of the checks that said so.
    """

    label: Label
    answer: str | None
    method: str
    detail: str = ""
    version: int = VERSION
