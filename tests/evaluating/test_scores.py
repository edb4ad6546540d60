import random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.evaluating.scores import cons_at_k, pass_at_1, pass_at_k
from distill.intervals import Score, wilson
from distill.verify import Label, Verdict

RIGHT = Verdict("correct", "2", "rational")
WRONG = Verdict("wrong", "3", "rational")
SILENT = Verdict("no_answer", None, "none")


def said(answer: str) -> Verdict:
    """A question whose answer is 2; the empty string is no answer."""
    label = "correct" if answer == "2" else "wrong" if answer else "no_answer"
    return Verdict(cast(Label, label), answer or None, "rational")


def value(score: Score) -> float:
    return round(score.value, 6)


QUESTIONS = [
    # answers of one question, pass@1, pass@k, cons@k
    (["2"], 1.0, 1.0, 1.0),
    (["3"], 0.0, 0.0, 0.0),
    (["2", "3"], 0.5, 1.0, 1.0),  # a tie goes to the answer that came first
    (["3", "2"], 0.5, 1.0, 0.0),
    (["3", "2", "2"], 0.666667, 1.0, 1.0),
    (["2", "3", "3", "2", "3"], 0.4, 1.0, 0.0),
    (["", "", "2"], 0.333333, 1.0, 1.0),  # no answer is no vote
    (["", ""], 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("answers", "one", "some", "elected"), QUESTIONS)
def test_the_three_scores_of_one_question(
    answers: list[str], one: float, some: float, elected: float
) -> None:
    question = [[said(a) for a in answers]]
    assert value(pass_at_1(question)) == one
    assert value(pass_at_k(question)) == some
    assert value(cons_at_k(question)) == elected


def test_correct_answers_vote_together_however_they_are_spelt() -> None:
    spelt = [Verdict("correct", text, "rational") for text in ("1/2", "0.5", "50\\%")]
    wrong = [Verdict("wrong", "3", "rational")] * 2
    assert cons_at_k([[*wrong, *spelt]]).value == 1.0
    assert cons_at_k([[*wrong, *spelt[:1]]]).value == 0.0


def test_a_wrong_answer_that_reads_correct_is_wrong() -> None:
    named = Verdict("wrong", "correct", "string")
    assert cons_at_k([[named, RIGHT, named]]).value == 0.0


def test_a_score_is_the_mean_over_questions_and_not_over_answers() -> None:
    assert pass_at_1([[RIGHT], [WRONG, WRONG, WRONG]]).value == 0.5


# Wilson's 1927 interval, from the tables in Brown, Cai and DasGupta (2001) and by hand.
KNOWN = [(0.0, 10, 0.0, 0.277533), (0.5, 10, 0.236593, 0.763407), (1.0, 10, 0.722467, 1.0)]


@pytest.mark.parametrize(("p", "n", "low", "high"), KNOWN)
def test_known_intervals(p: float, n: int, low: float, high: float) -> None:
    assert wilson(p, n) == pytest.approx((low, high), abs=1e-6)


ANSWERS = st.sampled_from([RIGHT, WRONG, SILENT])
SETS = st.lists(st.lists(ANSWERS, min_size=1, max_size=6), min_size=1, max_size=12)


@given(questions=SETS)
def test_an_interval_holds_its_value_and_stays_a_share(questions: list[list[Verdict]]) -> None:
    for score in (pass_at_1(questions), pass_at_k(questions), cons_at_k(questions)):
        low, high = score.ci95
        assert 0 <= low <= score.value <= high <= 1
        assert high > low  # no finite number of questions is certain


@given(questions=SETS, times=st.integers(2, 5))
def test_more_questions_of_the_same_kind_narrow_the_interval(
    questions: list[list[Verdict]], times: int
) -> None:
    for measure in (pass_at_1, pass_at_k, cons_at_k):
        few, many = measure(questions), measure(questions * times)
        assert many.value == pytest.approx(few.value)
        assert many.ci95[1] - many.ci95[0] < few.ci95[1] - few.ci95[0]


@given(questions=SETS, times=st.integers(2, 5))
def test_the_same_answers_again_tell_nothing_new(
    questions: list[list[Verdict]], times: int
) -> None:
    copied = [question[:1] * times for question in questions]
    once = [question[:1] for question in questions]
    assert pass_at_1(copied).ci95 == pytest.approx(pass_at_1(once).ci95)


def test_independent_answers_count_each_and_clustered_ones_by_question() -> None:
    draw = random.Random(7)
    independent = [[said(draw.choice("23")) for _ in range(8)] for _ in range(400)]
    clustered = [[said(answer)] * 8 for answer in (draw.choice("23") for _ in range(400))]
    narrow, wide = pass_at_1(independent), pass_at_1(clustered)
    width = narrow.ci95[1] - narrow.ci95[0]
    assert wide.ci95 == pytest.approx(wilson(wide.value, 400))
    assert width == pytest.approx(2 * 1.96 * (0.25 / 3200) ** 0.5, rel=0.1)
    # never narrower than all answers being independent would allow
    assert width >= (lambda c: c[1] - c[0])(wilson(narrow.value, 3200)) - 1e-9


@given(question=st.lists(st.sampled_from(["2", "3", "4", ""]), min_size=1, max_size=9))
def test_the_elected_answer_has_most_votes_and_is_the_first_of_equals(question: list[str]) -> None:
    votes = [answer for answer in question if answer]
    most = max((votes.count(answer) for answer in votes), default=0)
    elected = next((answer for answer in votes if votes.count(answer) == most), None)
    assert cons_at_k([[said(a) for a in question]]).value == float(elected == "2")
    silent = [said(a) for a in question] + [SILENT] * 20
    assert cons_at_k([silent]).value == float(elected == "2")
