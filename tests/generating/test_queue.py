"""Which answer is asked for next, against a model of each problem and against the ledger."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.generating.plan import Ask, RequestPlan
from distill.generating.queue import CUT, RIGHT, AskQueue, Ended
from distill.ledger import Asked, Attempt, Ledger, Open, State, sums
from distill.recipes.prompts import Sampling, Truncated, Until
from distill.rows import PROBLEM_SCHEMA, Message, Problem

LIMIT, LARGER = 100, 400
PLAN = "plan"


def problem(number: int) -> Problem:
    return Problem(
        id=f"p{number}", question="?", domain="math", source="s", gold="4", verify="math"
    )


def plan(*, samples: int, correct: int | None, truncated: Truncated | None) -> RequestPlan:
    until = None if correct is None else Until(correct=correct, at_most=samples)
    return RequestPlan(
        who="w",
        render=lambda p: (Message(role="user", content=p.question),),
        template="",
        sampling=Sampling(max_tokens=LIMIT),
        samples=samples,
        until=until,
        truncated=truncated,
    )


@st.composite
def plans(draw: st.DrawFn) -> RequestPlan:
    samples = draw(st.integers(1, 5))
    correct = draw(st.none() | st.integers(1, samples))
    repair = st.sampled_from([{"retry_max_tokens": LARGER}, {"continue_tokens": 50}])
    truncated = draw(st.none() | repair.map(lambda how: Truncated(**how)))
    return plan(samples=samples, correct=correct, truncated=truncated)


@st.composite
def attempts(draw: st.DrawFn, name: str, sample: int) -> Attempt:
    """The last try at a request; what is cut is not right."""
    states: list[State] = ["done", "done", "done", "failed", "quarantined"]
    state = draw(st.sampled_from(states))
    finish = draw(st.sampled_from(["stop", CUT])) if state == "done" else None
    return Attempt(
        key=f"{name}/{sample}",
        plan=PLAN,
        id=name,
        sample=sample,
        state=state,
        started=0.0,
        took_s=1.0,
        status=200,
        max_tokens=draw(st.sampled_from([LIMIT // 2, LIMIT, LARGER])),
        endpoint="e",
        repair=draw(st.booleans()),
        verdict=draw(st.sampled_from([RIGHT, "wrong"])) if finish == "stop" else None,
        finish=finish,
        body=b"x",
    )


@st.composite
def tried(draw: st.DrawFn, number: int, samples: int) -> list[Attempt]:
    """What was asked of one problem."""
    before = draw(st.sets(st.integers(0, samples - 1)))
    return [draw(attempts(f"p{number}", sample)) for sample in sorted(before)]


def asked(a: Attempt, plan: RequestPlan, *, again: bool) -> Asked:
    """As the ledger would say it."""
    larger = (plan.truncated is not None and plan.truncated.retry_max_tokens) or LIMIT
    cut = a.finish == CUT and (a.max_tokens < larger or (plan.continues and not a.repair))
    return Asked(
        sample=a.sample,
        state=a.state,
        finish=a.finish,
        max_tokens=a.max_tokens,
        repaired=a.repair,
        verdict=a.verdict,
        attempt=a.sample + 1,
        final=not cut and not (again and a.state != "done"),
    )


@dataclass
class Model:
    """One problem, counted the simple way."""

    plan: RequestPlan
    fresh: set[int]
    repairs: set[int] = field(default_factory=set)
    right: int = 0
    under_way: int = 0
    refused: bool = False

    @classmethod
    def of(cls, found: Open, plan: RequestPlan, *, again: bool) -> "Model":
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
    queue: AskQueue, models: dict[str, Model], draw: Callable[[st.SearchStrategy[Any]], Any]
) -> Counter[tuple[str, int, bool]]:
    """Takes and ends asks in any order until there are no more; what was asked, how often."""
    under_way: list[Ask] = []
    made: Counter[tuple[str, int, bool]] = Counter()
    taking: asyncio.Task[Ask | None] | None = None
    while True:
        if taking is None and (not under_way or draw(st.booleans())):
            taking = asyncio.create_task(queue.take())
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
        queue.ended(ask, how)


@settings(max_examples=300)
@given(plan=plans(), count=st.integers(0, 4), again=st.booleans(), data=st.data())
def test_every_problem_is_asked_what_it_lacks_and_no_more_in_whatever_order_answers_come(
    plan: RequestPlan, count: int, again: bool, data: st.DataObject
) -> None:
    problems = [
        Open(
            problem=problem(number),
            asked=tuple(
                asked(a, plan, again=again) for a in data.draw(tried(number, plan.samples))
            ),
        )
        for number in range(count)
    ]
    if not again and plan.until is not None:  # a refused problem is not open
        problems = [p for p in problems if all(one.state != "failed" for one in p.asked)]
    models = {found.problem.id: Model.of(found, plan, again=again) for found in problems}
    queue = AskQueue(iter(problems), plan, lambda number: (b"cut",))
    made = asyncio.run(play(queue, models, data.draw))
    assert set(made.values()) <= {1}
    assert all(model.owed == model.under_way == 0 for model in models.values())
    assert queue.problems_ended == len(problems)
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
        queue = AskQueue(
            source, plan(samples=samples, correct=1, truncated=None), lambda number: (b"",)
        )
        asks = [await queue.take() for _ in range(9 if waits else taken)]
        waiter = asyncio.create_task(queue.take())
        for _ in range(3 * waits):
            await asyncio.sleep(0)
        assert not waiter.done()
        queue.close()
        assert await waiter is None
        for ask in asks:
            assert ask is not None
            queue.ended(ask, Ended(state="done", finish="stop", verdict="wrong"))
        assert await queue.take() is None

    asyncio.run(go())


# --- against the ledger: what the one counts as closed, the other must not ask ---


async def asks_of(found: Open, plan: RequestPlan) -> list[Ask]:
    """All that may be asked about a problem: every answer is whole, and wrong."""
    queue, made = AskQueue(iter([found]), plan, lambda number: (b"cut",)), list[Ask]()
    while (ask := await queue.take()) is not None:
        made.append(ask)
        queue.ended(ask, Ended(state="done", finish="stop", verdict="wrong"))
    return made


@settings(max_examples=100)
@given(plan=plans(), count=st.integers(1, 4), again=st.booleans(), data=st.data())
def test_the_queue_asks_exactly_what_the_ledger_does_not_count_as_closed(
    plan: RequestPlan,
    count: int,
    again: bool,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    rows = [[getattr(problem(n), name) for name in PROBLEM_SCHEMA.names()] for n in range(count)]
    ledger.put_problems(
        [pl.DataFrame(rows, schema=PROBLEM_SCHEMA, orient="row")], "d", plan=plan.digest
    )
    for number in range(count):  # also of more samples than are wanted now
        before = data.draw(tried(number, plan.samples + 1))
        ledger.write([replace(one, plan=plan.digest) for one in before])
    wants = plan.wants(again=again)
    places, closed = set(ledger.open_positions(wants, limit=count)), sums.closed(ledger, wants)
    for place, found in enumerate(ledger.problems(range(count), wants)):
        left = plan.samples - closed.get(found.problem.id, 0)
        assert (place in places) == (left > 0)
        refused = plan.until is not None and any(a.state == "failed" for a in found.asked)
        if place in places or again or not refused:  # a refused problem never comes to the queue
            asks = asyncio.run(asks_of(found, plan))
            assert len(asks) == left
            assert len({ask.sample for ask in asks}) == left
    ledger.close()
