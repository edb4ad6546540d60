"""``distill plan``: a mix → rows, answers, tokens, money and hours, before anything is asked.

Needs no network and no key; everything is an estimate.
"""

from collections.abc import Sequence

from distill.errors import Exit
from distill.generating.estimate import estimate
from distill.terminal.screen import show


def plan(
    mix: str,
    *,
    at: Sequence[str] = (),
    concurrency: int | None = None,
    tokens_per_s: float | None = None,
    rows: int | None = None,
) -> Exit:
    """Prints what the data set of a mix takes: one table of its parts, one of teachers.

    Args:
        mix: name or path of a mix, e.g. ``r1-800k``.
        at: presets of teachers; none: every shipped one that has prices.
        concurrency: answers in flight; None: what each preset says.
        tokens_per_s: of one answer in flight; None: 30, an assumption.
        rows: of the whole set, in the mix's proportions; None: the mix's own.

    Raises:
        UserError: no such mix or preset, or one that cannot be read.
    """
    show(*estimate(mix, at=at, concurrency=concurrency, tokens_per_s=tokens_per_s, rows=rows))
    return Exit.DONE
