"""The ledger gives back what was written, and knows what is still wanted; counted again by hand."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.ledger import Answered, Attempt, Ledger, Wants, sums
from distill.ledger.rows import request_key
from distill.ledger.store import PAGE
from distill.rows import PROBLEM_SCHEMA, Problem
from tests.builders.runs import attempt

# What a problem or an error may say: anything but a lone surrogate, which no row has.
TEXT = st.text(max_size=12)
ALL: dict[str, Any] = {"problems": 10**6, "samples": 10**6}  # what is wanted
NAMES = st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name)


def problem(number: int, **values: Any) -> Problem:
    plain: dict[str, Any] = {"question": "?", "domain": "math", "source": "s", "gold": "4"}
    return Problem(**{"id": f"p{number}", **plain, "verify": "math", **values})


def put(ledger: Ledger, *problems: Problem, digest: str = "d") -> None:
    rows = [[getattr(p, name) for name in PROBLEM_SCHEMA.names()] for p in problems]
    table = pl.DataFrame(rows, schema=PROBLEM_SCHEMA, orient="row")
    half = len(rows) // 2
    ledger.put_problems([table[:half], table[half:]], digest, plan="plan")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def wants(**values: Any) -> Wants:
    return Wants(**{"plan": "plan", "samples": 1, "max_tokens": 100, **values})


def open_places(ledger: Ledger, of: int = 10**6, **values: Any) -> list[int]:
    return list(ledger.open_positions(wants(**values), limit=of))


# --- what is written comes back ---

PROBLEMS = st.lists(
    st.builds(
        Problem,
        id=NAMES,
        question=TEXT,
        domain=TEXT,
        source=TEXT,
        gold=st.none() | TEXT,
        verify=st.none() | TEXT,
        fields=st.none() | TEXT,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda p: p.id,
)


@settings(max_examples=25)
@given(problems=PROBLEMS, bodies=st.lists(st.binary(max_size=40), min_size=6, max_size=6))
def test_problems_and_answers_come_back_as_they_were_in_order(
    tmp_path_factory: pytest.TempPathFactory, problems: list[Problem], bodies: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    ledger = Ledger(path)
    put(ledger, *problems)
    tries = [attempt(p.id, body=b, cost_usd=0.5) for p, b in zip(problems, bodies, strict=False)]
    numbers = ledger.write(tries[::-1])  # in another order
    assert len(set(numbers)) == len(tries)
    ledger.close()
    ledger = Ledger(path, read_only=True)
    found = [one for _, one in ledger.answered(plan="plan", **ALL)]
    assert found == [
        Answered(problem=p, sample=0, bodies=(b,), cost_usd=0.5)
        for p, b in zip(problems, bodies, strict=False)
    ]
    assert ledger.count_problems() == len(problems)
    opened = list(ledger.problems(range(len(problems)), wants()))
    assert [one.problem for one in opened] == problems
    assert all(len(one.asked) == 1 for one in opened)
    assert list(ledger.answered(plan="another", **ALL)) == []
    ledger.close()


def test_an_id_may_hold_any_letter(ledger: Ledger) -> None:
    put(ledger, problem(0, id="a\0b"))
    ledger.write([attempt("a\0b")])
    (opened,) = ledger.problems([0], wants())
    assert len(opened.asked) == 1


def test_what_goes_on_with_an_answer_is_read_with_it(ledger: Ledger) -> None:
    put(ledger, problem(0))
    (first,) = ledger.write([attempt(body=b"a", finish="length", cost_usd=1.0)])
    (second,) = ledger.write([attempt(body=b"b", after=first, repair=True, cost_usd=2.0)])
    assert ledger.bodies(first) == (b"a",)
    assert ledger.bodies(second) == (b"a", b"b")
    ((number, one),) = ledger.answered(plan="plan", **ALL)
    assert (number, one.bodies, one.cost_usd) == (second, (b"a", b"b"), 3.0)
    (third,) = ledger.write([attempt(body=b"c", after=second, cost_usd=None)])
    ((_, one),) = ledger.answered(plan="plan", **ALL)
    assert (ledger.bodies(third), one.cost_usd) == ((b"a", b"b", b"c"), None)


STATES = st.sampled_from(["done", "failed", "quarantined", "retry"])
TRIES: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        state=STATES,
        max_tokens=st.sampled_from([50, 100, 200]),
        repair=st.booleans(),
        finish=st.sampled_from(["stop", "length"]),
        verdict=st.sampled_from([None, "correct", "wrong"]),
    ),
    max_size=6,
)


@settings(max_examples=30)
@given(tries=TRIES, batches=st.booleans())
def test_the_last_answer_counts_and_no_failure_takes_its_place(
    tmp_path_factory: pytest.TempPathFactory, tries: list[dict[str, Any]], batches: bool
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    put(ledger, problem(0))
    made = [attempt(**values) for values in tries]
    for group in [made] if batches else [[one] for one in made]:
        ledger.write(group)
    known: Attempt | None = None
    for one in made:
        if one.state == "done" or (
            one.state != "retry" and (known is None or known.state != "done")
        ):
            known = one
        elif one.state != "retry" and known is not None:
            most = max(known.max_tokens, one.max_tokens)
            known = replace(known, max_tokens=most, repair=known.repair or one.repair)
    (opened,) = ledger.problems([0], wants())
    names = ("state", "finish", "max_tokens", "verdict")
    found = [[getattr(one, name) for name in names] + [one.repaired] for one in opened.asked]
    expected = [] if known is None else [[getattr(known, n) for n in names] + [known.repair]]
    assert found == expected
    assert sums.totals(ledger).tries == len(made)  # every try is there
    ledger.close()


def test_a_verdict_that_comes_later_is_kept_with_its_answer(ledger: Ledger) -> None:
    put(ledger, problem(0), problem(1))
    ledger.write([attempt("p0"), attempt("p1", verdict="wrong"), attempt("p1", 1, state="failed")])
    ((number, one),) = ledger.answered(plan="plan", **ALL, unchecked=True)
    assert one.problem.id == "p0"
    ledger.set_verdicts([("correct", number)])
    assert list(ledger.answered(plan="plan", **ALL, unchecked=True)) == []
    assert open_places(ledger, samples=4, correct=1) == []  # p1 was refused
    assert open_places(ledger, samples=4, correct=2) == [0]


def test_another_set_takes_the_place_of_the_first_and_answers_stay(ledger: Ledger) -> None:
    put(ledger, problem(0), problem(1), problem(2))
    ledger.write([attempt(f"p{i}") for i in range(3)])
    put(ledger, problem(2), problem(1, question="other?"), problem(7), digest="d2")
    assert ledger.meta("problems") == "d2"
    assert [one.problem.id for _, one in ledger.answered(plan="plan", **ALL)] == ["p2"]
    assert open_places(ledger) == [1, 2]  # p1 is asked anew
    put(ledger, problem(0), problem(2))
    assert [one.problem.id for _, one in ledger.answered(plan="plan", **ALL)] == ["p0", "p2"]
    assert open_places(ledger) == []
    put(ledger, problem(0, fields="{}"), problem(2, gold="5"))
    assert open_places(ledger) == [0]  # a gold is no part of what is asked


def test_an_answer_is_checked_again_when_its_gold_is_another(ledger: Ledger) -> None:
    put(ledger, problem(0), problem(1))
    ledger.write([attempt("p0", verdict="correct"), attempt("p1", verdict="correct")])
    put(ledger, problem(0, gold="5"), problem(1), digest="d2")
    ((_, one),) = ledger.answered(plan="plan", **ALL, unchecked=True)
    assert one.problem.id == "p0"


# --- what is still wanted, against a count by hand ---

Requests = dict[str, list[Attempt]]


def crowd(seed: int, count: int, *, most: int = 4) -> Requests:
    """Problems with random answers, many closed; problem → its requests."""
    luck = random.Random(seed)
    return {
        f"p{i}": [
            attempt(
                f"p{i}",
                sample,
                state=luck.choice(["done"] * 6 + ["failed", "quarantined"]),
                finish=luck.choice(["stop", "stop", "length", None]),
                max_tokens=luck.choice([50, 100, 100, 200]),
                repair=luck.random() < 0.5,
                verdict=luck.choice([None, "correct", "wrong"]),
                plan=luck.choice(["plan"] * 9 + ["other"]),
                cost_usd=luck.choice([None, luck.random()]),
                worst_usd=luck.random(),
                completion_tokens=luck.choice([None, luck.randint(0, 99)]),
                prompt_tokens=luck.choice([None, luck.randint(0, 99)]),
                took_s=luck.random(),
                started=luck.uniform(0, 50),
                endpoint=luck.choice("ab"),
                error=luck.choice([None, None, "x", "y"]),
            )
            for sample in range(most)
            if luck.random() < 0.8
        ]
        for i in range(count)
    }


def fill(ledger: Ledger, requests: Requests) -> None:
    put(ledger, *(problem(i) for i in range(len(requests))))
    tries = [one for found in requests.values() for one in found]
    random.Random(1).shuffle(tries)
    for start in range(0, len(tries), 500):
        ledger.write(tries[start : start + 500])


def is_final(a: Attempt, w: Wants) -> bool:
    cut = a.finish == "length"
    longer = cut and a.max_tokens < w.max_tokens
    goes_on = cut and w.continues and not a.repair
    return not (longer or goes_on or (w.again and a.state != "done"))


def closed(mine: list[Attempt], w: Wants) -> int:
    """How many answers of one problem need no more asking; by the words of ``Wants``."""
    if w.correct is not None:
        refused = any(a.state == "failed" for a in mine) and not w.again
        if refused or sum(a.verdict == "correct" for a in mine) >= w.correct:
            return w.samples
    return sum(is_final(a, w) for a in mine)


def test_the_open_problems_of_several_pages_are_those_of_a_count_by_hand(ledger: Ledger) -> None:
    count = 2 * PAGE + 77
    requests = crowd(seed=7, count=count)
    fill(ledger, requests)
    luck = random.Random(2)
    sizes: Counter[bool] = Counter()
    for _ in range(60):
        w = wants(
            samples=luck.randint(1, 4),
            max_tokens=luck.choice([50, 100, 200, 400]),
            correct=luck.choice([None, 1, 2]),
            continues=luck.random() < 0.5,
            again=luck.random() < 0.5,
        )
        limit = luck.choice([0, 1, PAGE, count - 1, count, count + 9])
        mine = {
            name: [a for a in found if a.plan == w.plan and a.sample < w.samples]
            for name, found in requests.items()
        }
        places = ledger.open_positions(w, limit=limit)
        first = range(min(count, limit))
        assert list(places) == [i for i in first if closed(mine[f"p{i}"], w) < w.samples], w
        assert sums.closed(ledger, w) == {n: closed(found, w) for n, found in mine.items() if found}
        opened = list(ledger.problems(places, w))
        assert [one.problem.id for one in opened] == [f"p{i}" for i in places]
        sizes[len(places) > PAGE] += 1
        for one in opened:
            assert [
                (a.sample, a.state, a.finish, a.max_tokens, a.repaired, a.verdict, a.final)
                for a in one.asked
            ] == [
                (a.sample, a.state, a.finish, a.max_tokens, a.repair, a.verdict, is_final(a, w))
                for a in mine[one.problem.id]
            ]
    assert min(sizes[True], sizes[False]) > 5  # of one page and of several


@pytest.mark.parametrize("seed", range(3))
def test_a_problem_that_did_not_change_is_counted_alike_by_itself(
    seed: int, ledger: Ledger
) -> None:
    requests = crowd(seed, count=40)
    keyed = {
        name: [
            replace(a, plan="plan", key=request_key("plan", name, "?", a.sample, None))
            for a in found
        ]
        for name, found in requests.items()
    }
    fill(ledger, keyed)
    for w in (wants(samples=3), wants(samples=4, correct=2), wants(samples=4, again=True)):
        known = sums.closed(ledger, w)
        for number in range(40):
            assert sums.closed_of(ledger, w, problem(number)) == known.get(f"p{number}", 0)


def test_pages_may_be_written_to_while_they_are_read(ledger: Ledger) -> None:
    count = PAGE + 50
    put(ledger, *(problem(i) for i in range(count)))
    seen = []
    for one in ledger.problems(open_places(ledger), wants()):
        ledger.write([attempt(one.problem.id)])
        seen.append(one.problem.id)
    assert seen == [f"p{i}" for i in range(count)]
    assert open_places(ledger) == []


# --- sums, against a count by hand ---


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_a_count_by_hand(seed: int, ledger: Ledger) -> None:
    requests = crowd(seed, count=60)
    fill(ledger, requests)
    tries = [one for found in requests.values() for one in found]
    mine = [one for one in tries if one.plan == "plan"]
    assert sums.spent_usd(ledger) == pytest.approx(
        sum(one.worst_usd if one.cost_usd is None else one.cost_usd for one in tries)
    )
    total = sums.totals(ledger)
    assert total.tries == len(tries)
    assert total.completion_tokens == sum(one.completion_tokens or 0 for one in tries)
    assert total.prompt_tokens == sum(one.prompt_tokens or 0 for one in tries)
    first, last = min(a.started for a in tries), max(a.started + a.took_s for a in tries)
    assert total.span_s == pytest.approx(last - first)
    assert sums.states(ledger, plan="plan", problems=40, samples=3) == Counter(
        one.state for one in mine if int(one.id[1:]) < 40 and one.sample < 3
    )
    answers = [one for one in mine if one.state == "done"]
    wanted = [one for one in answers if int(one.id[1:]) < 40 and one.sample < 3]
    assert sums.cut(ledger, plan="plan", problems=40, samples=3) == (
        sum(one.finish == "length" for one in wanted),
        sum(one.finish != "length" and one.repair for one in wanted),
    )
    counted = [one for one in answers if one.completion_tokens is not None]
    assert sums.mean_answer(ledger, plan="plan") == pytest.approx(
        (
            len(counted),
            sum(one.completion_tokens or 0 for one in counted) / len(counted),
            sum(one.took_s for one in counted) / len(counted),
        )
    )
    assert sums.reasons(ledger) == Counter(one.error for one in tries if one.error)


@pytest.mark.parametrize("correct", [1, 2, 3])
def test_what_was_found_is_that_of_a_count_by_hand(correct: int, ledger: Ledger) -> None:
    requests = crowd(5, count=80)
    fill(ledger, requests)
    asked = solved = rescued = right = 0
    for found in list(requests.values())[:70]:
        mine = [one for one in found if one.plan == "plan" and one.sample < 3]
        good = [one.sample for one in mine if one.verdict == "correct"]
        asked += bool(mine)
        right += len(good)
        solved += len(good) >= correct
        rescued += len(good) >= correct and sum(sample < correct for sample in good) < correct
    said = sums.found(ledger, plan="plan", problems=70, samples=3, correct=correct)
    assert (said.problems, said.solved, said.rescued, said.correct) == (
        asked,
        solved,
        rescued,
        right,
    )


def test_each_endpoint_has_its_share(ledger: Ledger) -> None:
    requests = crowd(9, count=50)
    fill(ledger, requests)
    for share in sums.shares(ledger):
        mine = [a for found in requests.values() for a in found if a.endpoint == share.endpoint]
        assert share.tries == len(mine)
        assert share.answers == sum(one.error is None for one in mine)
        assert share.completion_tokens == sum(one.completion_tokens or 0 for one in mine)
        paid = (one.worst_usd if one.cost_usd is None else one.cost_usd for one in mine)
        assert share.spent_usd == pytest.approx(sum(paid))
    assert [share.endpoint for share in sums.shares(ledger)] == ["a", "b"]
