"""How far a judge agrees with the rules on the answers that both decided.

The rules are the measure: how often is the judge wrong where that can be known? It is the only
evidence for the answers that the judge alone decides.
"""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from distill.filtering.judge.verdicts import METHOD, UNDECIDED
from distill.intervals import Score, wilson

DECIDED = ("correct", "wrong")
NEEDED = ("verdict", "verdict_method", "verdict_judge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A judge against the rules. Intervals are Wilson's 95 %, as if answers were independent."""

    # what the rules say → what the judge says → answers; "none": no vote, or no majority
    counts: dict[str, dict[str, int]]
    both: int  # answers that both call correct or wrong
    agreement: Score | None  # the share of these on which they agree; None if there are none
    # Cohen's kappa (1960): agreement beyond that of two who guess at the same rates, 1 at best;
    # None if both give one label only
    kappa: float | None
    false_accept: Score | None  # judge correct, of those that the rules call wrong
    false_reject: Score | None  # judge wrong, of those that the rules call correct

    def json(self) -> dict[str, Any]:
        """For a report."""
        return asdict(self)

    def line(self) -> str:
        """For the log."""
        taken = sum(self.counts.get("unverifiable", {}).get(word, 0) for word in DECIDED)
        if self.agreement is None:
            return f"judge: decided {taken}; no answer was decided by the rules too"
        kappa = "" if self.kappa is None else f", kappa {self.kappa:.2f}"
        accepts = _share("accepts wrong answers", self.false_accept)
        rejects = _share("rejects correct ones", self.false_reject)
        of = _share(f"agrees with the rules on {self.both}", self.agreement)
        return f"judge: decided {taken}; {of}{kappa}; {accepts}; {rejects}"


def agreement(table: pl.DataFrame) -> Agreement | None:
    """Of all measured rows (the columns NEEDED, by ``cascade``); None if no judge was asked.

    Rows whose verdict is null were not checked and do not count.
    """
    rows = table.filter(pl.col("verdict").is_not_null())
    taken = pl.col("verdict_method").is_in((METHOD, *UNDECIDED))
    rules = pl.when(taken).then(pl.lit("unverifiable")).otherwise("verdict")
    pairs = rows.select(rules=rules, judge=pl.col("verdict_judge").fill_null("none"))
    if not rows.select(taken.any() | pl.col("verdict_judge").is_not_null().any()).item():
        return None
    counts: dict[str, dict[str, int]] = {}
    for rule, judge, number in pairs.group_by("rules", "judge").len().sort("rules", "judge").rows():
        counts.setdefault(rule, {})[judge] = number
    return _agreement(counts)


def _agreement(counts: dict[str, dict[str, int]]) -> Agreement:
    (yes_yes, yes_no), (no_yes, no_no) = (
        [counts.get(rule, {}).get(judge, 0) for judge in DECIDED] for rule in DECIDED
    )
    both = yes_yes + yes_no + no_yes + no_no
    return Agreement(
        counts=counts,
        both=both,
        agreement=_score(yes_yes + no_no, both),
        kappa=_kappa(yes_yes, yes_no, no_yes, no_no),
        false_accept=_score(no_yes, no_yes + no_no),
        false_reject=_score(yes_no, yes_yes + yes_no),
    )


def _score(count: int, of: int) -> Score | None:
    return Score(value=count / of, ci95=wilson(count / of, of)) if of else None


def _kappa(yes_yes: int, yes_no: int, no_yes: int, no_no: int) -> float | None:
    total = yes_yes + yes_no + no_yes + no_no
    rules, judge = yes_yes + yes_no, yes_yes + no_yes
    # in whole numbers; chance is 1 only if both give one label, and then kappa says nothing
    chance = rules * judge + (total - rules) * (total - judge)
    if chance == total * total:
        return None
    return ((yes_yes + no_no) * total - chance) / (total * total - chance)


def _share(what: str, score: Score | None) -> str:
    if score is None:
        return f"{what}: none to tell by"
    low, high = score.ci95
    return f"{what}: {score.value:.1%} [{low:.1%}, {high:.1%}]"
