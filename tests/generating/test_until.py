"""Asking until enough answers are right: never more than needed, wherever a run was stopped."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill
from distill.errors import BudgetReached, Exit, StoppedError, UserError
from distill.generating.plan import Ask, Plan
from distill.generating.queue import CUT, RIGHT, Ended, Wanted
from distill.ledger import Asked, Open
from distill.ledger.rows import State
from distill.recipes.prompts import Sampling, Truncated, Until
from distill.rows import Message, Problem
from distill.showing.status import describe
from tests.builders.recipes import recipe
from tests.builders.runs import start, traces, wait_for
from tests.builders.teacher_server import Answer, completion, refusal, teacher_server

# --- the stream of asks, against a model of each problem ---

LIMIT, LARGER = 100, 400


def problem(number: int) -> Problem:
    return Problem(
        id=f"p{number}", question="?", domain="math", source="s", gold="4", verify="math"
    )


def plan(*, samples: int, correct: int | None, truncated: Truncated | None) -> Plan:
    until = None if correct is None else Until(correct=correct, at_most=samples)
    return Plan(
        who="w",
        render=lambda p: (Message(role="user", content=p.question),),
        template="",
        sampling=Sampling(max_tokens=LIMIT),
        samples=samples,
        until=until,
        truncated=truncated,
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    samples = draw(st.integers(1, 5))
    correct = draw(st.none() | st.integers(1, samples))
    repair = st.sampled_from([{"retry_max_tokens": LARGER}, {"continue_tokens": 50}])
    truncated = draw(st.none() | repair.map(lambda how: Truncated(**how)))
    return plan(samples=samples, correct=correct, truncated=truncated)


@st.composite
def asked(draw: st.DrawFn, sample: int) -> Asked:
    """A request as it may stand in a ledger; what is cut is not right."""
    states: list[State] = ["done", "done", "done", "failed", "quarantined"]
    state = draw(st.sampled_from(states))
    finish = draw(st.sampled_from(["stop", CUT])) if state == "done" else None
    return Asked(
        sample=sample,
        state=state,
        finish=finish,
        max_tokens=draw(st.sampled_from([LIMIT // 2, LIMIT, LARGER])),
        repaired=draw(st.booleans()),
        verdict=draw(st.sampled_from([RIGHT, "wrong"])) if finish == "stop" else None,
        attempt=sample + 1,
    )


@st.composite
def opened(draw: st.DrawFn, number: int, samples: int) -> Open:
    before = draw(st.sets(st.integers(0, samples - 1)))
    return Open(problem=problem(number), asked=tuple(draw(asked(n)) for n in sorted(before)))


@dataclass
class Model:
    """One problem, counted the simple way."""

    plan: Plan
    fresh: set[int]
    repairs: set[int] = field(default_factory=set)
    right: int = 0
    under_way: int = 0
    refused: bool = False

    @classmethod
    def of(cls, found: Open, plan: Plan, *, again: bool) -> "Model":
        model = cls(plan, set(range(plan.samples)))
        for one in found.asked:
            model.right += one.verdict == RIGHT
            lacking = one.state != "done" and again
            if lacking or (one.finish == CUT and one.max_tokens < LIMIT):
                continue
            model.fresh.discard(one.sample)
            if one.finish == CUT and plan.truncated is not None:
                larger = plan.truncated.retry_max_tokens
                once = not one.repaired if larger is None else one.max_tokens < larger
                model.repairs |= {one.sample} if once else set()
        return model

    @property
    def owed(self) -> int:
        """How many asks must come now."""
        left = len(self.fresh) + len(self.repairs)
        if self.plan.until is None:
            return left
        if self.refused or self.right >= self.plan.until.correct:
            return 0
        return min(left, self.plan.until.correct - self.right - self.under_way)

    def take(self, ask: Ask) -> None:
        assert self.owed > 0
        if ask.repair:
            self.repairs.remove(ask.sample)
            truncated = self.plan.truncated
            assert truncated is not None
            assert ask.max_tokens == (truncated.retry_max_tokens or truncated.continue_tokens)
            assert bool(ask.cut) == (truncated.continue_tokens is not None)
            assert (ask.after is not None) == bool(ask.cut)
        else:
            self.fresh.remove(ask.sample)
            assert (ask.max_tokens, ask.cut, ask.after) == (LIMIT, (), None)
        self.under_way += 1

    def end(self, ask: Ask, how: Ended) -> None:
        self.under_way -= 1
        self.right += how.verdict == RIGHT
        if not ask.repair:
            self.refused |= how.state == "failed" and self.plan.until is not None
            if how.finish == CUT and self.plan.truncated is not None:
                self.repairs.add(ask.sample)


ENDINGS = [
    Ended(state="done", number=9, finish="stop", verdict=RIGHT),
    Ended(state="done", number=9, finish="stop", verdict="wrong"),
    Ended(state="done", number=9, finish=CUT, verdict="cut", bodies=(b"x",)),
    Ended(state="quarantined", number=9, finish="banana"),
    Ended(state="failed", number=9),
    Ended(state="retry"),
]


async def play(
    wanted: Wanted, models: dict[str, Model], draw: Callable[[st.SearchStrategy[Any]], Any]
) -> Counter[tuple[str, int, bool]]:
    """Takes and ends asks in any order until there are no more; what was asked, how often."""
    under_way: list[Ask] = []
    made: Counter[tuple[str, int, bool]] = Counter()
    taking: asyncio.Task[Ask | None] | None = None
    while True:
        if taking is None and (not under_way or draw(st.booleans())):
            taking = asyncio.create_task(wanted.take())
        for _ in range(3):
            await asyncio.sleep(0)
        owed = sum(model.owed for model in models.values())
        if taking is not None and taking.done():
            ask, taking = taking.result(), None
            if ask is None:
                assert (owed, under_way) == (0, [])
                return made
            made[ask.problem.id, ask.sample, ask.repair] += 1
            models[ask.problem.id].take(ask)
            under_way.append(ask)
            continue
        assert taking is None or (owed == 0 and under_way), "it waits for nothing"
        ask = under_way.pop(draw(st.integers(0, len(under_way) - 1)))
        how = draw(st.sampled_from(ENDINGS))
        models[ask.problem.id].end(ask, how)
        wanted.ended(ask, how)


@settings(max_examples=300)
@given(plan=plans(), count=st.integers(0, 4), again=st.booleans(), data=st.data())
def test_every_problem_is_asked_what_it_lacks_and_no_more_in_whatever_order_answers_come(
    plan: Plan, count: int, again: bool, data: st.DataObject
) -> None:
    problems = [data.draw(opened(number, plan.samples)) for number in range(count)]
    if not again and plan.until is not None:  # a refused problem is not open
        problems = [p for p in problems if all(one.state != "failed" for one in p.asked)]
    models = {found.problem.id: Model.of(found, plan, again=again) for found in problems}
    wanted = Wanted(iter(problems), plan, lambda number: (b"cut",), again=again)
    made = asyncio.run(play(wanted, models, data.draw))
    assert set(made.values()) <= {1}
    assert all(model.owed == model.under_way == 0 for model in models.values())
    assert wanted.problems_ended == len(problems)
    if plan.until is not None:
        enough = plan.until.correct
        assert all(
            model.right <= max(enough, sum(one.verdict == RIGHT for one in found.asked))
            for model, found in zip(models.values(), problems, strict=True)
        )


@given(taken=st.integers(0, 3), waits=st.booleans(), samples=st.integers(1, 3))
def test_after_close_there_is_nothing_to_take_and_what_ends_is_no_matter(
    taken: int, waits: bool, samples: int
) -> None:
    async def go() -> None:
        source = iter([Open(problem=problem(n), asked=()) for n in range(9)])
        wanted = Wanted(
            source, plan(samples=samples, correct=1, truncated=None), lambda number: (b"",)
        )
        asks = [await wanted.take() for _ in range(9 if waits else taken)]
        waiter = asyncio.create_task(wanted.take())
        for _ in range(3 * waits):
            await asyncio.sleep(0)
        assert not waiter.done()
        wanted.close()
        assert await waiter is None
        for ask in asks:
            assert ask is not None
            wanted.ended(ask, Ended(state="done", finish="stop", verdict="wrong"))
        assert await wanted.take() is None

    asyncio.run(go())


# --- over loopback ---


PRICE = {"price": {"input": 1.0, "output": 1000.0}}
USD = (10 * 1.0 + 20 * 1000.0) / 1e6  # of the test teacher's answer


def number(body: dict[str, Any]) -> int:
    """i of "What is i + 1?"."""
    return int(body["messages"][-1]["content"].split()[2])


def easy(body: dict[str, Any], n: int) -> dict[str, Any]:
    return completion(f"\\boxed{{{number(body) + 1}}}")


def wrong(body: dict[str, Any], n: int) -> dict[str, Any]:
    return completion("\\boxed{-1}")


def right_from(first: int) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    """The n-th answer of a problem is right from the ``first`` on."""
    return lambda body, n: (easy if n >= first else wrong)(body, n)


def mixed(body: dict[str, Any], n: int) -> dict[str, Any]:
    """Problem 0 is never right, 1 always, 2 in each second answer, 3 in each third, …"""
    i = number(body)
    return (easy if i and n % i == 0 else wrong)(body, n)


def counts(run: Path) -> dict[int, tuple[int, int]]:
    """Problem → (answers, right ones) in the ledger, counted by hand."""
    db = sqlite3.connect(run / "ledger.sqlite")
    found = db.execute(
        "SELECT p.question, r.verdict FROM requests r JOIN problems p ON p.id = r.id"
    ).fetchall()
    db.close()
    total: Counter[int] = Counter(int(question.split()[2]) for question, _ in found)
    right = Counter(int(question.split()[2]) for question, verdict in found if verdict == RIGHT)
    return {i: (n, right[i]) for i, n in total.items()}


def lines(run: Path) -> dict[str, str]:
    return dict(describe(run)[1])


def until(correct: int, at_most: int) -> dict[str, Any]:
    return {"until": {"correct": correct, "at_most": at_most}}


@pytest.mark.parametrize(("correct", "at_most"), [(1, 1), (1, 8), (3, 8), (4, 4)])
def test_an_easy_problem_is_asked_until_enough_and_an_impossible_one_to_the_last(
    correct: int, at_most: int, tmp_path: Path
) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return (easy if number(body) % 2 else wrong)(body, n)

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=10, **until(correct, at_most))
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        asked = {number({"messages": [{"content": q}]}): n for q, n in server.asked.items()}
        assert asked == {i: correct if i % 2 else at_most for i in range(10)}
        distill.generate(name, out=tmp_path / "run")  # both kinds are closed
        assert server.asked.total() == sum(asked.values())
    assert traces(tmp_path / "run").height == sum(asked.values())


@pytest.mark.parametrize("correct", [1, 2, 3])
def test_a_mixed_problem_stops_with_the_answer_that_makes_it_enough(
    correct: int, tmp_path: Path
) -> None:
    with teacher_server(mixed) as server:
        name = recipe(
            tmp_path, server, problems=5, teacher={"concurrency": 1}, **until(correct, 10)
        )
        distill.generate(name, out=tmp_path / "run")
    for i, (asked, right) in counts(tmp_path / "run").items():
        assert right <= correct
        assert asked == (10 if i == 0 else min(10, i * correct)), i


def test_no_more_than_are_missing_are_under_way_together(tmp_path: Path) -> None:
    for correct in (1, 3):
        with teacher_server(right_from(4), latency_s=0.02) as server:
            name = recipe(
                tmp_path, server, problems=1, teacher={"concurrency": 8}, **until(correct, 20)
            )
            distill.generate(name, out=tmp_path / f"run{correct}")
            assert server.most_at_once == correct
            assert server.asked.total() == 3 + correct


def test_a_refused_problem_is_asked_no_further_and_force_asks_it_again(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(400) if number(body) == 1 and n == 2 else wrong(body, n)

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=3, teacher={"concurrency": 1}, **until(2, 5))
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert sorted(server.asked.values()) == [2, 5, 5]
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked.total() == 12
        assert distill.generate(name, out=tmp_path / "run", force=True) == Exit.DONE
        assert sorted(server.asked.values()) == [5, 5, 6]


def test_more_answers_are_asked_for_when_more_are_allowed_or_wanted(tmp_path: Path) -> None:
    with teacher_server(mixed) as server:
        name = recipe(tmp_path, server, problems=3, **until(1, 2))

        def asked_under(*overrides: str) -> list[int]:
            distill.generate(name, out=tmp_path / "run", overrides=overrides)
            return [server.asked[f"What is {i} + 1?"] for i in range(3)]

        assert asked_under() == [2, 1, 2]
        assert asked_under("until.at_most=5") == [5, 1, 2]
        assert asked_under("until.at_most=5", "until.correct=2") == [5, 2, 4]
        assert asked_under("until.at_most=3") == [5, 2, 4]
    assert traces(tmp_path / "run").height == 8  # the others stay in the ledger


def test_answers_from_before_there_was_a_stopping_rule_are_checked_and_counted(
    tmp_path: Path,
) -> None:
    with teacher_server(mixed) as server:
        name = recipe(tmp_path, server, problems=4, samples=2, teacher={"concurrency": 1})
        distill.generate(name, out=tmp_path / "run")
        assert counts(tmp_path / "run") == dict.fromkeys(range(4), (2, 0))
        name = recipe(tmp_path, server, problems=4, teacher={"concurrency": 1}, **until(2, 7))
        distill.generate(name, out=tmp_path / "run")
        # right are: none; each; each second (2 and 4); each third (3 and 6)
        assert counts(tmp_path / "run") == {0: (7, 0), 1: (2, 2), 2: (4, 2), 3: (6, 2)}
        assert server.asked.total() == 7 + 2 + 4 + 6


def test_a_run_that_was_stopped_asks_no_more_than_is_still_needed(tmp_path: Path) -> None:
    def until_refused(left: Iterator[int]) -> Answer:
        return lambda body, n: (
            right_from(1 + number(body))(body, n) if next(left, None) is not None else refusal(401)
        )

    def to_the_end() -> int:
        """Answers come until the key is refused, at another place each time; the passes."""
        passes = 0
        while True:
            passes += 1
            server.answer = until_refused(iter(range(7)))
            try:
                distill.generate(name, out=tmp_path / "run")
            except StoppedError:
                continue
            return passes

    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=8, teacher={"concurrency": 3}, **until(2, 6))
        assert to_the_end() > 3
    for asked, right in counts(tmp_path / "run").values():
        assert right == 2 or (right < 2 and asked == 6)
    # none was bought that is not in use: not twice, and not beyond what was enough
    assert server.answered.total() == sum(asked for asked, _ in counts(tmp_path / "run").values())


def test_a_killed_run_asks_only_what_its_ledger_lacks(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return (easy if number(body) % 2 else wrong)(body, n)

    with teacher_server(answer, latency_s=0.02) as server:
        name, run = recipe(tmp_path, server, problems=40, **until(2, 5)), tmp_path / "run"
        process = start(name, run)
        wait_for(server, 50)
        process.kill()
        process.communicate()
        time.sleep(0.2)  # the server has read what was sent to it
        server.latency_s = 0
        kept, before = counts(run), server.asked.copy()
        distill.generate(name, out=run)
        assert len(kept) < 40
        for i in range(40):
            asked, right = kept.get(i, (0, 0))
            question = f"What is {i} + 1?"
            missing = 2 - right if i % 2 else 5 - asked
            assert server.asked[question] - before[question] == missing, i
    assert counts(run) == {i: (2, 2) if i % 2 else (5, 0) for i in range(40)}


def test_a_limit_and_a_budget_stop_a_run_that_goes_on_later(tmp_path: Path) -> None:
    with teacher_server(right_from(2)) as server:
        name = recipe(tmp_path, server, problems=6, teacher=PRICE, **until(1, 4))
        distill.generate(name, out=tmp_path / "run", limit=2)
        assert server.asked.total() == 4
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.25)
        distill.generate(name, out=tmp_path / "run", budget_usd=10)
        assert set(server.asked.values()) == {2}


def test_an_answer_that_is_not_whole_is_never_right(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        return {**easy(body, n), **({} if n > 2 else cut(body))}

    def cut(body: dict[str, Any]) -> dict[str, Any]:
        return completion(easy(body, 1)["choices"][0]["message"]["content"], finish_reason="length")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=2, **until(1, 5))
        distill.generate(name, out=tmp_path / "run")
        assert set(server.asked.values()) == {3}
    assert counts(tmp_path / "run") == {0: (3, 1), 1: (3, 1)}


@pytest.mark.parametrize("repair", ["retry_max_tokens", "continue_tokens"])
def test_an_answer_and_its_second_try_are_one_answer(repair: str, tmp_path: Path) -> None:
    """Both are right, and that is one right answer."""
    said = iter([("1", "length"), ("1", "stop"), ("-1", "stop"), ("1", "stop")])

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        text, finish = next(said)
        return completion(f"\\boxed{{{text}}}", finish_reason=finish)

    with teacher_server(answer) as server:
        teacher = {"continues": "assistant_turn", "concurrency": 1}
        truncated = {repair: 400}
        name = recipe(
            tmp_path, server, problems=1, teacher=teacher, truncated=truncated, **until(2, 5)
        )
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 4
    assert counts(tmp_path / "run") == {0: (3, 2)}


def test_status_agrees_with_a_count_by_hand(tmp_path: Path) -> None:
    with teacher_server(mixed) as server:
        name = recipe(
            tmp_path,
            server,
            problems=6,
            teacher={**PRICE, "concurrency": 1},
            **until(2, 7),
        )
        distill.generate(name, out=tmp_path / "run")
        tries = server.asked.total()
    found = counts(tmp_path / "run")
    # problem i is right in answers i, 2i, …: 0 never, 4 and 5 once in seven
    assert found == {0: (7, 0), 1: (2, 2), 2: (4, 2), 3: (6, 2), 4: (7, 1), 5: (7, 1)}
    assert tries == 33
    said = lines(tmp_path / "run")
    assert said["asked"] == "6 problems, until 2 right, at most 7 answers"
    assert said["answered"] == "33"
    assert said["solved"] == "3 of 6 asked"
    assert said["rescued"] == "2 that the first answers alone would have lost"  # 2 and 3
    right = 8
    cost = f"{20 * tries / right:,.0f} completion tokens, ${tries * USD / right:,.4f}"
    assert said["a right answer"] == f"{cost} (8 of them)"
    assert "left" not in said


def test_status_of_a_run_without_a_right_answer_divides_by_nothing(tmp_path: Path) -> None:
    with teacher_server(wrong) as server:
        distill.generate(recipe(tmp_path, server, **until(1, 2)), out=tmp_path / "run")
    said = lines(tmp_path / "run")
    assert said["solved"] == "0 of 5 asked"
    assert "a right answer" not in said


MISTAKES = [
    ({"until": {"correct": 3, "at_most": 2}}, r"at_most \(2\) is less than correct \(3\)"),
    ({**until(1, 2), "samples": 2}, "give samples or until, not both"),
    ({**until(1, 2), "verify": None}, "until: needs verify"),
    ({"until": {"correct": 0, "at_most": 2}}, "until.correct"),
    ({"until": {"correct": 1}}, "until.at_most"),
]


@pytest.mark.parametrize(("values", "said"), MISTAKES)
def test_a_rule_that_makes_no_sense_is_refused_before_any_request(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with teacher_server() as server:
        with pytest.raises(UserError, match=said):
            distill.generate(recipe(tmp_path, server, **values), out=tmp_path / "run")
        assert server.asked.total() == 0
