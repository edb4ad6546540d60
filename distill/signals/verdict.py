"""What ``verify`` says about each response. Does not check anything itself."""

import polars as pl

from distill.verify import Verdict, grade
from distill.verify.kinds import KINDS

COLUMNS: dict[str, pl.DataType] = {
    "verdict": pl.String(),
    "verdict_answer": pl.String(),
    "verdict_method": pl.String(),
    "verdict_detail": pl.String(),
}
VERSION = 1
COST = 2

LONGEST_ANSWER = 1_000  # characters of an extracted answer that are kept in the table


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """verdict: never null; a row that no check is there for is ``unverifiable``."""
    rows = frame.select("gold", "response", "verify").iter_rows()
    verdicts = [_verdict(gold, response, kind) for gold, response, kind in rows]
    return pl.DataFrame(
        {
            "verdict": [verdict.label for verdict in verdicts],
            "verdict_answer": [(v.answer or "")[:LONGEST_ANSWER] or None for v in verdicts],
            "verdict_method": [verdict.method for verdict in verdicts],
            "verdict_detail": [verdict.detail for verdict in verdicts],
        },
        schema=COLUMNS,
    )


def _verdict(gold: str | None, response: str | None, kind: str | None) -> Verdict:
    if kind is not None and kind not in KINDS:  # data, not a mistake in a recipe
        return Verdict("unverifiable", None, "no_checker", kind)
    return grade(gold, response or "", kind=kind)
