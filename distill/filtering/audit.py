"""A second opinion: the rows on which our verdict and Math-Verify alone disagree."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from distill.errors import UserError
from distill.files.inputs import Data, inputs_of, said
from distill.files.mapped import Mapped
from distill.files.read import frames
from distill.filtering.selection import draws
from distill.think import after_thought
from distill.verify import Isolation, Item, Verdict, grade_all
from distill.verify.batch import SEVERAL
from distill.verify.math.symbolic import displayed
from distill.verify.workers.asked import Answer, Said, answers

LOOKED_AT = 2_000  # rows, drawn by a hash of their key; about 20 s of a processor
LONGEST = 20_000  # characters at the end of a response that Math-Verify reads


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared."""

    key: str  # id and sample
    gold: str
    response: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One row with both opinions."""

    row: Row
    ours: Verdict
    same: bool  # what Math-Verify says of the whole response


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    rows: int  # of kind math with a reference
    looked_at: int
    undecided: int  # by Math-Verify, which could not read the reference or the response
    disagreements: Sequence[Disagreement]


def audit(
    data: Data, *, mapped: Mapped | None = None, limit: int | None, isolation: Isolation
) -> Audit:
    """Asks both about the same LOOKED_AT rows of DATA on every run, or all if it has fewer.

    Raises:
        UserError: DATA cannot be read or has no row to check; Math-Verify is not installed; or no
            jail is safe here, and ``--unsafe-no-sandbox`` was not given.
    """
    count, rows = _drawn(data, mapped, limit)
    if not rows:
        named = said(inputs_of(data))
        msg = f"{named}: no row has a gold and verify: math, so there is nothing to compare"
        raise UserError(msg)
    items = [Item(row.gold, row.response) for row in rows]
    ours = grade_all(items, workers=SEVERAL, isolation=isolation)
    jobs = [
        {"gold": displayed(row.gold), "answer": after_thought(row.response)[-LONGEST:]}
        for row in rows
    ]
    theirs, lacking = answers("math", jobs, workers=SEVERAL, isolation=isolation)
    if lacking:
        raise UserError(lacking)
    both = [(row, our, _said(their)) for row, our, their in zip(rows, ours, theirs, strict=True)]
    undecided = sum(same is None for _, _, same in both)
    found = [
        Disagreement(row, our, same)
        for row, our, same in both
        if same is not None and _differ(our, same=same)
    ]
    return Audit(count, len(rows), undecided, found)


def _drawn(data: Data, mapped: Mapped | None, limit: int | None) -> tuple[int, list[Row]]:
    """How many rows can be checked, and the LOOKED_AT of them with the lowest draw, in order."""
    count, lowest = 0, list[tuple[int, Row]]()
    for frame in frames(data, limit=limit, mapped=mapped):
        part = frame.with_columns(draws(frame)).filter(
            pl.col("verify") == "math", pl.col("gold").str.strip_chars() != ""
        )
        count += part.height
        lowest = heapq.nsmallest(LOOKED_AT, [*lowest, *_rows(part)], key=lambda one: one[0])
    return count, [row for _, row in lowest]


def _rows(part: pl.DataFrame) -> Iterator[tuple[int, Row]]:
    for draw, name, sample, gold, response in part.select(
        "draw", "id", "sample", "gold", "response"
    ).iter_rows():
        yield draw, Row(f"{name} {sample}", gold, response or "")


def _said(answer: Answer) -> bool | None:
    return answer.same if isinstance(answer, Said) else None


def _differ(ours: Verdict, *, same: bool) -> bool:
    """Whether one accepts the answer and the other does not; "unverifiable" agrees with a no."""
    return (ours.label == "correct") != same
