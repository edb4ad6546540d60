"""What ``verify`` says about each response."""

import polars as pl

from distill.signals.settings import Settings
from distill.verify import VERSION as VERSION
from distill.verify import Isolation, Item, Verdict, grade_all
from distill.verify.batch import SEVERAL
from distill.verify.kinds import KINDS
from distill.verify.own import Checks, unchecked

COLUMNS: dict[str, pl.DataType] = {
    "verdict": pl.String(),
    "verdict_answer": pl.String(),
    "verdict_method": pl.String(),
    "verdict_detail": pl.String(),
}
COST = 2
# Methods of ``unverifiable`` that mean something is not installed here: it may be next time.
LACKING = ("no_compiler", "needs_symbolic")

LONGEST_ANSWER = 1_000  # characters of an extracted answer that are kept in the table


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """verdict: never null; a row without a check for it is ``unverifiable``.

    Raises:
        UserError: an answer is a program to run, and there is no jail here.
    """
    isolation = Isolation(paranoid=settings.paranoid, unsafe_no_sandbox=settings.unsafe_no_sandbox)
    rows = frame.select("gold", "response", "verify").rows()
    verdicts = _verdicts(rows, isolation, settings.checks)
    return pl.DataFrame(
        {
            "verdict": [verdict.label for verdict in verdicts],
            "verdict_answer": [(v.answer or "")[:LONGEST_ANSWER] or None for v in verdicts],
            "verdict_method": [verdict.method for verdict in verdicts],
            "verdict_detail": [verdict.detail for verdict in verdicts],
        },
        schema=COLUMNS,
    )


def _verdicts(
    rows: list[tuple[str | None, str | None, str | None]], isolation: Isolation, checks: Checks
) -> list[Verdict]:
    """All rows in one batch, but those of a kind without a check: data, not a recipe's mistake."""
    there = {None, *KINDS, *(check.kind for check in checks)}
    known = [kind in there for _, _, kind in rows]
    items = [
        Item(gold, response or "", kind)
        for (gold, response, kind), can in zip(rows, known, strict=True)
        if can
    ]
    graded = iter(grade_all(items, workers=SEVERAL, isolation=isolation, checks=checks))
    return [
        next(graded) if can else unchecked(kind or "")
        for (_, _, kind), can in zip(rows, known, strict=True)
    ]
