"""Scores of graded answers, each with a 95 % interval. Does not grade.

The unit is the question: answers of one question are alike, so intervals are clustered by it.
"""

import math
from collections import Counter
from collections.abc import Sequence

from distill.intervals import Score, wilson
from distill.verify import Verdict


def pass_at_1(questions: Sequence[Sequence[Verdict]]) -> Score:
    """The mean share of correct answers (R1's pass@1 averaged over k samples)."""
    return _mean([sum(v.label == "correct" for v in q) / len(q) for q in questions], questions)


def pass_at_k(questions: Sequence[Sequence[Verdict]]) -> Score:
    """The share of questions with at least one correct answer among its k."""
    return _mean([float(any(v.label == "correct" for v in q)) for q in questions], questions)


def cons_at_k(questions: Sequence[Sequence[Verdict]]) -> Score:
    """The share of questions whose commonest answer is correct; no answer is no vote.

    Correct answers are one answer however they are spelt (1/2, 0.5); wrong ones agree by spelling.
    """
    return _mean([float(_elected(q)) for q in questions], questions)


def _elected(verdicts: Sequence[Verdict]) -> bool:
    # (correct?, the spelling of what is not)
    votes = Counter(
        (True, None) if v.label == "correct" else (False, v.answer)
        for v in verdicts
        if v.answer is not None
    )
    # most_common keeps the order of first appearance among equals
    return bool(votes) and votes.most_common(1)[0][0][0]


def _mean(means: Sequence[float], questions: Sequence[Sequence[Verdict]]) -> Score:
    """Wilson's interval for the effective number of independent answers (Kish 1965).

    It is the number of questions when answers of a question always agree, and the number of
    answers when they are independent; Wilson's form stays honest at 0 and 1.
    """
    n, answers = len(means), sum(len(q) for q in questions)
    p = math.fsum(means) / n
    spread = math.fsum((m - p) ** 2 for m in means) / max(1, n - 1)
    effective = float(n)
    if spread > 0:
        effective = min(max(p * (1 - p) / (spread / n), n), answers)
    return Score(value=p, ci95=wilson(p, effective))
