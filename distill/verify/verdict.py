"""What a check says about one answer. Does not check anything."""

from dataclasses import dataclass
from typing import Literal, get_args

Label = Literal["correct", "wrong", "no_answer", "unverifiable", "timeout", "error"]
LABELS: tuple[str, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer's label, and enough to see how it came about."""

    label: Label
    answer: str | None  # what was taken from the response; None if nothing was
    method: str  # how it was decided: rational, string, list, needs_symbolic, …
    detail: str = ""  # where the answer stood: boxed, stated, bold, whole, last_number; or why
