"""Several endpoints: each gets its share while it is well, and no slot is lost."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import distill
from distill.errors import Exit, StoppedError, UserError
from distill.showing.status import describe
from distill.teachers import breaker, pool
from distill.teachers.breaker import FAILURES, WAIT_MAX_S, Breaker
from distill.teachers.client import Transient, client_of
from distill.teachers.endpoint import Endpoint
from distill.teachers.pool import Pool, Slot
from distill.teachers.throttle import LATE_PACE, LATE_SHARE, LOWER, LOWER_LATE, RAISE_PER, Throttle
from distill.teachers.wire import Reply
from tests.builders.recipes import block, recipe
from tests.builders.runs import traces
from tests.builders.teacher_server import completion, refusal, teacher_server

DEADLINE_S = 100.0
# What may happen at an endpoint: an overload, or an answer of so many seconds for so many tokens.
EVENTS = st.lists(
    st.tuples(
        st.booleans(), st.floats(0, 20), st.floats(0, DEADLINE_S), st.none() | st.integers(0, 9_999)
    ),
    max_size=60,
)


def after(events: list[tuple[bool, float, float, int | None]], most: int) -> tuple[Throttle, float]:
    """A throttle that has seen all that, and the time; its limit is in its bounds throughout."""
    throttle, now = Throttle(most), 0.0
    for bad, pause_s, took_s, tokens in events:
        now += pause_s
        sent_at = max(0.0, now - took_s)
        if bad:
            throttle.overloaded(sent_at=sent_at, now=now)
        else:
            throttle.answered(sent_at=sent_at, now=now, tokens=tokens, deadline_s=DEADLINE_S)
        assert 1 <= throttle.limit <= most
        assert throttle.room(0)
        assert not throttle.room(most)
    return throttle, now


@given(events=EVENTS, most=st.integers(1, 500))
def test_the_limit_stays_between_one_and_what_the_recipe_allows(
    events: list[tuple[bool, float, float, int | None]], most: int
) -> None:
    after(events, most)


@given(events=EVENTS, most=st.integers(1, 200))
def test_after_enough_answers_the_limit_is_what_the_recipe_allows(
    events: list[tuple[bool, float, float, int | None]], most: int
) -> None:
    throttle, now = after(events, most)
    enough = sum(min(limit + 1, RAISE_PER) for limit in range(1, most + 1))
    for _ in range(int(enough)):
        throttle.answered(sent_at=now, now=now + 1, tokens=None, deadline_s=DEADLINE_S)
    assert throttle.limit == most


@given(sent=st.lists(st.floats(0, 10), min_size=1, max_size=50), most=st.integers(2, 500))
def test_a_round_of_refusals_lowers_the_limit_once(sent: list[float], most: int) -> None:
    throttle = Throttle(most)
    for sent_at in sent:  # all under way at 10 s, and refused one after the other
        throttle.overloaded(sent_at=sent_at, now=10 + sent_at)
    assert throttle.limit == max(1, most * LOWER)
    throttle.overloaded(sent_at=30, now=31)
    assert throttle.limit == max(1, most * LOWER * LOWER)


def test_long_answers_are_no_overload_and_slow_ones_are() -> None:
    throttle = Throttle(100)

    def answered(sent_at: float, took_s: float, tokens: int | None) -> float:
        now = sent_at + took_s
        throttle.answered(sent_at=sent_at, now=now, tokens=tokens, deadline_s=DEADLINE_S)
        return throttle.limit

    late_s = 1.5 * LATE_SHARE * DEADLINE_S
    assert answered(0, 10, 1000) == 100  # a hundredth of a second a token
    assert answered(0, late_s, int(late_s * 100)) == 100  # long, at the same pace
    assert answered(0, 10, 100) == 100  # slow, and soon enough all the same
    assert answered(0, late_s, None) == 100  # nobody knows
    assert answered(0, late_s, int(late_s * 100 / LATE_PACE) + 1) == 100
    assert answered(0, late_s, int(late_s * 100 / LATE_PACE) - 1) == 100 * LOWER_LATE
    assert answered(1, late_s, 10) == 100 * LOWER_LATE  # of the same round


def failures(tested: Breaker, count: int, *, now: float) -> None:
    for _ in range(count):
        tested.failed(now=now, probe=tested.sent())


@given(answered=st.integers(1, FAILURES - 1))
def test_an_endpoint_that_answers_now_and_then_is_always_asked(answered: int) -> None:
    tested = Breaker()
    for now in range(5):
        failures(tested, answered, now=now)
        assert tested.lets_through(now)
        tested.answered()
    failures(tested, FAILURES - 1, now=9)
    assert tested.lets_through(9)
    failures(tested, 1, now=9)
    assert not tested.lets_through(9)


def test_a_dead_endpoint_is_tried_one_by_one_at_growing_distances() -> None:
    tested, now, waits = Breaker(), 0.0, []
    failures(tested, FAILURES, now=now)
    for _ in range(12):
        assert not tested.lets_through(tested.opens_at - 0.001)
        waits.append(tested.opens_at - now)
        now = tested.opens_at
        assert tested.lets_through(now)
        assert tested.sent()
        assert not tested.lets_through(now + 1000)  # one is to tell
        now += 5
        tested.failed(now=now, probe=True)
    assert waits == [1, 2, 4, 8, 16, 32, *[WAIT_MAX_S] * 6]


def test_one_answer_ends_it_and_the_distances_begin_anew() -> None:
    tested = Breaker()
    for now in (0, 100, 200):
        failures(tested, FAILURES, now=now)
        assert tested.opens_at == now + 1
        tested.sent()
        tested.answered()
        for _ in range(3):
            assert tested.lets_through(now + 1)
            tested.sent()


def test_what_was_sent_before_an_endpoint_was_left_alone_tells_nothing_new() -> None:
    tested = Breaker()
    failures(tested, FAILURES, now=10)
    for now in (10.1, 10.5, 40):
        tested.failed(now=now, probe=False)
    assert tested.opens_at == 11
    assert tested.sent()
    tested.failed(now=41, probe=False)  # the try is still under way
    assert not tested.lets_through(42)


def test_a_pause_asked_for_meanwhile_does_not_keep_the_next_try_from_being_sent() -> None:
    tested = Breaker()
    failures(tested, FAILURES, now=1)
    assert tested.sent()
    tested.pause(5.5)  # an earlier request comes back with Retry-After
    tested.failed(now=3, probe=True)
    assert tested.lets_through(1e9)


def test_rows_that_always_fail_by_themselves_are_no_dead_endpoint() -> None:
    tested = Breaker()
    for now in range(100):
        tested.failed(now=now, probe=tested.sent(), row=now % (FAILURES - 1))
    assert tested.lets_through(99)
    tested.failed(now=99, probe=tested.sent(), row="another")
    assert not tested.lets_through(99)


def test_a_cancelled_try_lets_the_next_one_tell() -> None:
    tested = Breaker()
    failures(tested, FAILURES, now=0)
    tested.sent()
    assert not tested.lets_through(2)
    tested.let_go(probe=False)  # an earlier one
    assert not tested.lets_through(2)
    tested.let_go(probe=True)
    assert tested.lets_through(2)


@given(pauses=st.lists(st.floats(0, 1000), min_size=1, max_size=9))
def test_an_endpoint_is_left_alone_as_long_as_it_asked_at_most(pauses: list[float]) -> None:
    tested = Breaker()
    for until in pauses:
        tested.pause(until)
    assert tested.lets_through(max(pauses))
    assert max(pauses) == 0 or not tested.lets_through(max(pauses) - 0.001)


def endpoint(name: str, **values: Any) -> Endpoint:
    plain: dict[str, Any] = {"base_url": f"http://{name}/v1", "model": name, "concurrency": 4}
    return Endpoint(**{**plain, "timeout_s": 9.0, **values})


def pool_of(*endpoints: Endpoint) -> Pool:
    """Nothing is sent."""
    return Pool([client_of(one) for one in endpoints])


REPLY = Reply(
    reasoning="",
    response="4",
    finish_reason="stop",
    model=None,
    prompt_tokens=None,
    cached_tokens=None,
    reasoning_tokens=None,
    completion_tokens=None,
)


@given(weights=st.lists(st.floats(0.05, 20), min_size=1, max_size=3), count=st.integers(1, 300))
def test_turns_are_shared_by_weight_within_one_at_any_time(
    weights: list[float], count: int
) -> None:
    many = pool_of(*(endpoint(f"e{i}", weight=w) for i, w in enumerate(weights)))
    given_to: Counter[str] = Counter()

    async def go() -> None:
        for n in range(1, count + 1):
            slot = await many.slot()
            given_to[slot.state.name] += 1
            many.answered(slot, REPLY)
            for state in many.states:
                share = n * state.client.endpoint.weight / sum(weights)
                assert abs(given_to[state.name] - share) <= 1.0001

    asyncio.run(go())


def test_a_full_endpoint_leaves_its_turns_to_the_others() -> None:
    async def go() -> None:
        many = pool_of(endpoint("a", weight=100, concurrency=2), endpoint("b", concurrency=3))
        slots = [await many.slot() for _ in range(5)]
        assert Counter(slot.state.client.endpoint.model for slot in slots) == {"a": 2, "b": 3}
        waiter = asyncio.create_task(many.slot())
        await asyncio.sleep(0)
        assert not waiter.done()
        many.answered(slots[-1], REPLY)
        assert (await waiter).state is slots[-1].state

    asyncio.run(go())


def test_who_came_first_is_served_first() -> None:
    async def go() -> None:
        one = pool_of(endpoint("a", concurrency=1))
        order: list[int] = []

        async def work(number: int) -> None:
            slot = await one.slot()
            order.append(number)
            await asyncio.sleep(0)
            one.answered(slot, REPLY)

        await asyncio.gather(*(work(number) for number in range(20)))
        assert order == list(range(20))

    asyncio.run(go())


class Crowd:
    """Workers that take slots, use them in every way there is, and are cancelled at any moment."""

    def __init__(self, seed: int) -> None:
        self.luck = random.Random(seed)
        sizes = [self.luck.randint(1, 4) for _ in range(self.luck.randint(1, 3))]
        self.pool = pool_of(*(endpoint(f"e{i}", concurrency=n) for i, n in enumerate(sizes)))
        for state in self.pool.states:
            state.breaker._wait_s = 0.001
        self.handed: list[Slot] = []
        self.used = 0
        self.stopped = 0

    async def work(self) -> None:
        try:
            slot = await self.pool.slot()
        except StoppedError:
            self.stopped += 1
            return
        assert not any(slot is other for other in self.handed)
        self.handed.append(slot)
        assert 0 < slot.state.under_way <= slot.state.client.endpoint.concurrency
        try:
            for _ in range(self.luck.randint(0, 3)):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.pool.give_back(slot)
            raise
        self.end(slot)
        self.used += 1

    def end(self, slot: Slot) -> None:
        how = self.luck.choice(["answered", "answered", "busy", "broken", "back", "row", "gone"])
        if how == "answered":
            self.pool.answered(slot, REPLY)
        elif how == "busy":
            busy = Transient("429", status=429, billed=False, retry_after_s=0.001)
            self.pool.failed(slot, busy, row=id(slot))
        elif how == "broken":
            self.pool.failed(slot, Transient("500", status=500, billed=False), row=id(slot))
        elif how == "back":
            self.pool.give_back(slot)
        elif how == "row":
            self.pool.refused_row(slot, key="k", status=400, reason="400")
        elif self.luck.random() < 0.02:
            self.pool.drop(slot, StoppedError("401", status=401))
        else:
            self.pool.give_back(slot)

    async def go(self) -> tuple[int, int]:
        """(workers, those that were cancelled)."""
        workers = [asyncio.create_task(self.work()) for _ in range(self.luck.randint(1, 80))]
        for victim in self.luck.sample(workers, len(workers) // 3):
            await asyncio.sleep(self.luck.choice([0, 0, 0, 0.0002]))
            victim.cancel()
        ended = await asyncio.gather(*workers, return_exceptions=True)
        cancelled = [e for e in ended if isinstance(e, asyncio.CancelledError)]
        assert not [e for e in ended if e is not None and e not in cancelled]
        return len(workers), len(cancelled)


def test_no_turn_is_lost_or_handed_out_twice_whoever_is_cancelled_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "WAIT_FIRST_S", 0.001)
    monkeypatch.setattr(breaker, "WAIT_MAX_S", 0.002)
    monkeypatch.setattr(pool, "ALL_REFUSED", 10**9)
    for seed in range(150):
        crowd = Crowd(seed)
        workers, cancelled = asyncio.run(asyncio.wait_for(crowd.go(), 20))
        assert crowd.used + crowd.stopped + cancelled == workers, seed
        assert [state.under_way for state in crowd.pool.states] == [0] * len(crowd.pool.states), (
            seed
        )


def test_a_try_of_a_dead_endpoint_that_was_given_back_lets_another_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "WAIT_MAX_S", 0.001)

    async def go() -> None:
        one = pool_of(endpoint("a"))
        one.states[0].breaker._wait_s = 0.001
        for row in range(FAILURES):
            one.failed(await one.slot(), Transient("500", status=500, billed=False), row=row)
        probe = await one.slot()
        waiter = asyncio.create_task(one.slot())
        await asyncio.sleep(0.01)
        assert not waiter.done()
        one.give_back(probe)
        one.answered(await asyncio.wait_for(waiter, 5), REPLY)
        assert not one.states[0].breaker.broken

    asyncio.run(go())


def test_an_endpoint_that_refuses_everybody_is_left_out_and_the_last_ends_the_run() -> None:
    async def go() -> None:
        many = pool_of(endpoint("a"), endpoint("b"))
        slots = [await many.slot() for _ in range(8)]
        waiter = asyncio.create_task(many.slot())
        await asyncio.sleep(0)
        first, second = slots[0], slots[1]
        assert many.drop(first, StoppedError("401 a", status=401))
        assert not waiter.done()  # its room is nobody's any more
        assert not many.drop(second, StoppedError("402 b", status=402))
        with pytest.raises(StoppedError, match="402 b"):
            await waiter
        with pytest.raises(StoppedError):
            await many.slot()

    asyncio.run(go())


def test_nobody_waits_for_endpoints_that_have_been_silent_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "GIVE_UP_S", 0.0)

    async def go() -> None:
        one = pool_of(endpoint("a", concurrency=1))
        error = Transient("no connection", status=0, billed=False)
        for row in range(FAILURES):
            one.failed(await one.slot(), error, row=row)
        with pytest.raises(StoppedError, match="no answer for 0 minutes, the last try said: no co"):
            await one.slot()

    asyncio.run(go())


# --- over loopback ---


def lines(run: Path) -> dict[str, str]:
    return dict(describe(run)[1])


def test_two_endpoints_share_the_requests_by_weight(tmp_path: Path) -> None:
    with teacher_server() as large, teacher_server() as small:
        blocks = (
            block(large, "m", weight=3, concurrency=400),
            block(small, "m", weight=1, concurrency=400),
        )
        name = recipe(tmp_path, *blocks, problems=400)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert large.asked.total() == pytest.approx(300, abs=1)
        assert (large.asked + small.asked).total() == 400
        assert set((large.asked + small.asked).values()) == {1}
    assert traces(tmp_path / "run").height == 400


def test_each_endpoint_is_asked_in_its_own_way_and_sees_only_its_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_ONE", "first-secret")
    monkeypatch.setenv("KEY_TWO", "second-secret")
    with teacher_server() as one, teacher_server() as two, teacher_server() as three:
        blocks = (
            block(one, "m1", key_env="KEY_ONE", extra_body={"thinking": {"type": "enabled"}}),
            block(two, "m2", key_env="KEY_TWO", limit_name="max_completion_tokens"),
            block(three, "m3", extra_body={"top_k": 5}),
        )
        for each in blocks:
            each["concurrency"] = 30  # nobody is full: the shares are exact
        name = recipe(tmp_path, *blocks, problems=30, sampling={"extra_body": {"top_k": 7}})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert one.keys == {"Bearer first-secret"}
        assert two.keys == {"Bearer second-secret"}
        assert three.keys == {""}
        assert len(one.bodies) == len(two.bodies) == len(three.bodies) == 10
        for body in one.bodies:
            assert (body["model"], body["max_tokens"]) == ("m1", 16_384)
            assert body["thinking"] == {"type": "enabled"}
            assert body["top_k"] == 7
        for body in two.bodies:
            assert (body["model"], body["max_completion_tokens"]) == ("m2", 16_384)
            assert "max_tokens" not in body
            assert "thinking" not in body
        assert all(body["top_k"] == 7 for body in three.bodies)  # the sampling's goes first
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"-secret" not in path.read_bytes()


@pytest.mark.parametrize("status", [401, 402, 404])
def test_when_one_endpoint_refuses_everybody_the_others_answer_every_row(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with teacher_server(lambda body, n: refusal(status)) as bad, teacher_server() as good:
        name = recipe(tmp_path, block(bad, "m1"), block(good, "m2"), problems=40)
        with caplog.at_level("WARNING", "distill"):
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert bad.asked.total() <= 4  # what was under way
        assert set(good.asked.values()) == {1}
        assert f"{bad.url} m1 is left out" in caplog.text
    assert traces(tmp_path / "run").height == 40


def test_when_all_endpoints_refuse_the_run_ends_and_can_go_on(tmp_path: Path) -> None:
    with (
        teacher_server(lambda body, n: refusal(401)) as one,
        teacher_server(lambda body, n: refusal(402)) as two,
    ):
        name = recipe(tmp_path, block(one, "m1"), block(two, "m2"), problems=40)
        with pytest.raises(StoppedError):
            distill.generate(name, out=tmp_path / "run")
        assert one.asked.total() + two.asked.total() <= 8
        one.answer = lambda body, n: completion()
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert traces(tmp_path / "run").height == 40


@pytest.mark.parametrize("status", [500, 503])
def test_when_one_endpoint_fails_no_row_is_lost_to_it(status: int, tmp_path: Path) -> None:
    with teacher_server(lambda body, n: refusal(status)) as bad, teacher_server() as good:
        name = recipe(tmp_path, block(bad, "m1"), block(good, "m2"), problems=200)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        if status == 503:  # says nothing of the row, so each counts
            assert bad.asked.total() <= FAILURES + 4 + 2  # under way when it was left alone; tries
        assert set(good.asked.values()) == {1}
    assert traces(tmp_path / "run").height == 200


def test_status_says_what_each_endpoint_did_and_cost(tmp_path: Path) -> None:
    prices = ({"input": 1.0, "output": 1000.0}, {"input": 2.0, "output": 500.0})
    with teacher_server() as one, teacher_server() as two:
        blocks = [
            block(server, f"m{i}", price=price, concurrency=30, weight=2 - i)
            for i, (server, price) in enumerate(zip((one, two), prices, strict=True))
        ]
        distill.generate(recipe(tmp_path, *blocks, problems=30), out=tmp_path / "run")
        asked = one.asked.total(), two.asked.total()
        said = lines(tmp_path / "run")
    costs = [(10 * p["input"] + 20 * p["output"]) / 1e6 for p in prices]
    assert asked == (20, 10)
    for server, model, count, cost in zip((one, two), ("m0", "m1"), asked, costs, strict=True):
        assert said[f"by {server.url} {model}"] == (
            f"{count} answers in {count} tries, {20 * count} completion tokens, "
            f"${count * cost:,.4f}"
        )
    total = sum(n * cost for n, cost in zip(asked, costs, strict=True))
    assert said["spent at most"] == f"${total:,.4f}"
    assert traces(tmp_path / "run")["cost_usd"].sum() == pytest.approx(total)


def test_an_endpoint_known_as_another_may_take_its_place_in_a_run(tmp_path: Path) -> None:
    with teacher_server() as old, teacher_server() as new:
        first = recipe(tmp_path, block(old, "m1", known_as="r1"), problems=10)
        distill.generate(first, out=tmp_path / "run", limit=4)
        swapped = recipe(tmp_path, block(new, "m2", known_as="r1"), problems=10)
        assert distill.generate(swapped, out=tmp_path / "run", limit=7) == Exit.DONE
        assert (old.asked.total(), new.asked.total()) == (4, 3)
        both = [block(old, "m1", known_as="r1"), block(new, "m2", known_as="r1")]
        distill.generate(recipe(tmp_path, *both, problems=10), out=tmp_path / "run")
        assert len(old.asked + new.asked) == 10
        assert set((old.asked + new.asked).values()) == {1}
    assert traces(tmp_path / "run").height == 10


def test_another_endpoint_in_a_run_is_refused_unless_it_is_known_as_the_same(
    tmp_path: Path,
) -> None:
    with teacher_server() as old, teacher_server() as new:
        distill.generate(recipe(tmp_path, block(old, "m1")), out=tmp_path / "run")
        for blocks in ([block(new, "m1")], [block(old, "m1"), block(new, "m2")]):
            name = recipe(tmp_path, *blocks)
            with pytest.raises(UserError, match="another plan: who changed"):
                distill.generate(name, out=tmp_path / "run")
        assert new.asked.total() == 0


def test_what_one_endpoint_refuses_before_it_ever_answered_is_asked_of_the_other(
    tmp_path: Path,
) -> None:
    no = lambda body, n: refusal(400, "no such switch")  # noqa: E731
    with teacher_server(no) as bad, teacher_server() as good:
        name = recipe(tmp_path, block(bad, "a"), block(good, "b"), problems=60)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert traces(tmp_path / "run").height == 60
    assert bad.asked.total() <= 20 + 8  # those under way when it was left out


def test_a_key_that_runs_out_fails_no_row_for_good(tmp_path: Path) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server, problems=60), tmp_path / "run"
        asked = iter(range(10**6))
        server.answer = lambda body, n: (
            completion() if next(asked) < 5 else refusal(403, "key limit exceeded")
        )
        with pytest.raises(StoppedError, match=r"20 requests in a row.*key limit"):
            distill.generate(name, out=run)
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=run) == Exit.DONE
    assert traces(run).height == 60


def test_an_answer_that_comes_late_does_not_clear_a_key_that_ran_out_before_it(
    tmp_path: Path,
) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server, problems=60), tmp_path / "run"
        asked = iter(range(10**6))
        ran_out = asyncio.Event()

        async def slow_then_refused(body: dict[str, Any], n: int) -> Any:
            number = next(asked)
            if number >= 8:
                ran_out.set()
                return refusal(403, "key limit exceeded")
            if number == 7:
                await ran_out.wait()
            return completion()

        server.answer = slow_then_refused
        with pytest.raises(StoppedError, match=r"in a row.*key limit"):
            distill.generate(name, out=run)
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=run) == Exit.DONE
    assert traces(run).height == 60


def test_a_run_whose_teacher_only_ever_asks_for_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "GIVE_UP_S", 0.5)
    monkeypatch.setattr(pool, "PATIENCE_S", 1.0)
    busy = {"retry-after": "0.2"}
    with (
        teacher_server(lambda body, n: refusal(429, headers=busy)) as server,
        pytest.raises(StoppedError, match="no answer for"),
    ):
        distill.generate(recipe(tmp_path, server, problems=1), out=tmp_path / "run")


def test_a_passing_429_on_a_dead_endpoint_does_not_hang_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "WAIT_FIRST_S", 0.2)
    asked = iter(range(10**6))

    def answer(body: dict[str, Any], n: int) -> Any:
        number = next(asked)
        if number == 3:
            time.sleep(0.3)  # it comes back while the one that tells is under way
            return refusal(429, headers={"retry-after": "0.5"})
        return refusal(503) if number < 13 else completion()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=12, teacher={"concurrency": 12})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
