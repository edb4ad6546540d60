"""The spending cap: what is booked never exceeds it, at whatever hour and price."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distill
from distill.errors import BudgetReached, Exit, UserError
from distill.generating.budget import Budget, cost_usd, most_prompt_tokens, worst_usd
from distill.recipes.find import shipped
from distill.recipes.presets import read_preset
from distill.recipes.teachers import Peak, Price
from distill.showing.status import describe
from distill.teachers.wire import Reply
from tests.builders.recipes import block, recipe
from tests.builders.runs import traces
from tests.builders.teacher_server import completion, teacher_server

USD = st.floats(0, 1000)
ALWAYS = {"factor": 2, "weekdays_utc": [1, 2, 3, 4, 5, 6, 7], "hours_utc": [[0, 24]]}
NEVER = {**ALWAYS, "weekdays_utc": []}


def reply(prompt: int | None, answer: int | None, *, cached: int | None = None) -> Reply:
    return Reply(
        reasoning="",
        response="",
        finish_reason="stop",
        model=None,
        prompt_tokens=prompt,
        cached_tokens=cached,
        reasoning_tokens=None,
        completion_tokens=answer,
    )


# --- the account ---

# (what a request may cost at worst, the share of it that it does cost, the steps that it takes)
REQUESTS = st.lists(st.tuples(USD, st.floats(0, 1), st.integers(0, 4)), max_size=30)


@given(cap=USD, spent=USD, requests=REQUESTS)
def test_what_is_spent_and_set_aside_never_exceeds_the_cap(
    cap: float, spent: float, requests: list[tuple[float, float, int]]
) -> None:
    budget = Budget(cap_usd=cap, spent_usd=min(spent, cap))
    most = cap * (1 + 1e-9) + 1e-9  # sums of floats

    async def one(worst: float, share: float, steps: int) -> bool:
        try:
            await budget.reserve(worst)
        except BudgetReached:
            return False
        assert budget.spent_usd + budget.reserved_usd <= most
        for _ in range(steps):
            await asyncio.sleep(0)
        budget.settle(worst, worst * share)
        assert budget.spent_usd + budget.reserved_usd <= most
        return True

    async def go() -> list[bool]:
        return await asyncio.gather(*(one(*request) for request in requests))

    sent = asyncio.run(asyncio.wait_for(go(), 10))
    assert budget.reserved_usd == 0
    paid = sum(worst * share for (worst, share, _), was in zip(requests, sent, strict=True) if was)
    assert budget.spent_usd == pytest.approx(min(spent, cap) + paid)
    for (worst, _, _), was in zip(requests, sent, strict=True):
        if not was:  # nothing smaller was spent by then
            assert budget.spent_usd + worst > cap * (1 - 1e-9)


@given(requests=REQUESTS)
def test_without_a_cap_nobody_waits(requests: list[tuple[float, float, int]]) -> None:
    budget = Budget(cap_usd=None, spent_usd=0)

    async def go() -> None:
        for worst, _, _ in requests:
            await budget.reserve(worst)

    asyncio.run(asyncio.wait_for(go(), 5))
    assert budget.reserved_usd == pytest.approx(sum(worst for worst, _, _ in requests))


def test_who_does_not_fit_waits_for_those_under_way_to_turn_out_cheaper() -> None:
    async def go() -> None:
        budget = Budget(cap_usd=1.0, spent_usd=0.0)
        await budget.reserve(0.6)
        waiter = asyncio.create_task(budget.reserve(0.6))
        await asyncio.sleep(0)
        assert not waiter.done()
        budget.settle(0.6, 0.1)
        await asyncio.wait_for(waiter, 5)
        budget.settle(0.6, 0.6)
        with pytest.raises(BudgetReached, match=r"budget of \$1.00 reached: \$0.7000 spent"):
            await budget.reserve(0.6)

    asyncio.run(go())


# --- prices ---

HOURS = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda h: h[0] < h[1])
PRICES = st.builds(
    Price,
    input=st.floats(0, 100),
    cached_input=st.none() | st.floats(0, 200),
    output=st.floats(0, 100),
    peak=st.none()
    | st.builds(
        Peak,
        factor=st.floats(1, 5),
        weekdays_utc=st.sets(st.integers(1, 7)).map(lambda days: tuple(sorted(days))),
        hours_utc=st.lists(HOURS, max_size=3).map(tuple),
    ),
)
TEXT = st.text(max_size=40)
MOMENT = st.floats(0, 4e9)


@given(price=PRICES, text=TEXT, most=st.integers(0, 999), data=st.data())
def test_no_answer_costs_more_than_its_worst_case(
    price: Price, text: str, most: int, data: st.DataObject
) -> None:
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": text, "n": 3},
    ]
    prompt = data.draw(st.integers(0, most_prompt_tokens(turns)))
    cached = data.draw(st.none() | st.integers(0, 10**6))
    said = reply(prompt, data.draw(st.integers(0, most)), cached=cached)
    began = data.draw(MOMENT)
    cost = cost_usd(price, said, began=began, ended=began + data.draw(st.floats(0, 1e5)))
    assert cost is not None
    assert 0 <= cost <= worst_usd(price, turns, most) * (1 + 1e-12)


def test_a_cost_by_hand() -> None:
    price = Price(input=1.0, cached_input=0.1, output=10.0)
    said = reply(1000, 50, cached=400)
    cost = (400 * 0.1 + 600 * 1.0 + 50 * 10.0) / 1e6
    assert cost_usd(price, said, began=0, ended=1) == pytest.approx(cost)
    plain = Price(input=1.0, output=10.0)
    assert cost_usd(plain, said, began=0, ended=1) == pytest.approx((1000 + 500) / 1e6)
    peak = price.model_copy(update={"peak": Peak(**ALWAYS)})
    assert cost_usd(peak, said, began=0, ended=1) == pytest.approx(2 * cost)
    assert cost_usd(None, said, began=0, ended=1) is None
    assert cost_usd(price, reply(None, 5), began=0, ended=1) is None
    assert cost_usd(price, reply(5, None), began=0, ended=1) is None


def test_one_end_in_the_peak_is_enough() -> None:
    price = Price(input=0, output=1.0, peak=Peak(factor=3, weekdays_utc=(2,), hours_utc=((1, 4),)))
    four = datetime(2026, 1, 6, 4, tzinfo=UTC).timestamp()  # a Tuesday
    said = reply(1, 1_000_000)
    assert cost_usd(price, said, began=four - 1, ended=four + 99) == 3
    assert cost_usd(price, said, began=four, ended=four + 99) == 1
    one = four - 3 * 3600
    assert cost_usd(price, said, began=one - 99, ended=one) == 3
    assert cost_usd(price, said, began=one - 99, ended=one - 1) == 1


@pytest.fixture(scope="module")
def deepseek() -> Peak:
    found = read_preset(shipped("prompts/teachers") / "deepseek.yaml").price("deepseek-flash")
    assert found is not None
    assert found.peak is not None
    return found.peak


@given(minutes=st.integers(0, 2 * 7 * 24 * 60 - 1))
def test_deepseeks_peak_is_what_its_page_says(deepseek: Peak, minutes: int) -> None:
    """01:00-04:00 and 06:00-10:00 UTC, Monday to Friday, at twice the price."""
    then = datetime(2026, 10, 26, tzinfo=UTC) + timedelta(minutes=minutes)  # a Monday
    clock = then.hour * 60 + then.minute
    in_hours = 60 <= clock < 240 or 360 <= clock < 600
    assert deepseek.covers(then.timestamp()) == (in_hours and then.weekday() < 5)
    assert deepseek.factor == 2


@pytest.mark.parametrize(
    ("moment", "peak"),
    [
        ("2026-10-26T00:59:59", False),
        ("2026-10-26T01:00:00", True),
        ("2026-10-26T03:59:59", True),
        ("2026-10-26T04:00:00", False),
        ("2026-10-26T06:00:00", True),
        ("2026-10-30T09:59:59", True),
        ("2026-10-30T10:00:00", False),
        ("2026-10-31T02:00:00", False),  # Saturday
        ("2026-11-01T07:00:00", False),
        ("2026-11-02T07:00:00", True),
    ],
)
def test_the_edges_of_deepseeks_peak(deepseek: Peak, moment: str, peak: bool) -> None:
    assert deepseek.covers(datetime.fromisoformat(f"{moment}+00:00").timestamp()) == peak


# --- over loopback ---


def price(output: float = 1000.0, **values: Any) -> dict[str, Any]:
    """An answer of the test teacher costs $0.02 by default, at worst $0.10."""
    return {"price": {"input": 1.0, "output": output, **values}}


@pytest.mark.parametrize("peak", [None, ALWAYS, NEVER])
def test_peak_hours_are_booked_at_their_price_and_the_cap_holds(
    peak: dict[str, Any] | None, tmp_path: Path
) -> None:
    factor = 2 if peak is ALWAYS else 1
    cost = factor * 0.02001
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=20, teacher=price(peak=peak))
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.35)
        spent = server.asked.total() * cost
        # the worst case is reserved at the peak's price whatever the hour
        assert 0.35 - 0.1001 * (1 if peak is None else 2) < spent <= 0.35
        assert distill.generate(name, out=tmp_path / "run", budget_usd=10) == Exit.DONE
        assert server.asked.total() == 20
    assert traces(tmp_path / "run")["cost_usd"].to_list() == pytest.approx([cost] * 20)
    assert dict(describe(tmp_path / "run")[1])["spent at most"] == f"${20 * cost:,.4f}"


@settings(max_examples=25)
@given(
    output=st.floats(1, 5000),
    peak=st.sampled_from([None, ALWAYS, NEVER]),
    tokens=st.lists(st.integers(0, 100), min_size=1, max_size=8),
    usd=st.floats(0.01, 3),
)
def test_what_the_ledger_says_was_spent_never_exceeds_the_cap(
    tmp_path_factory: pytest.TempPathFactory,
    output: float,
    peak: dict[str, Any] | None,
    tokens: list[int],
    usd: float,
) -> None:
    folder = tmp_path_factory.mktemp("budget")

    def answer(body: dict[str, Any], n: int) -> dict[str, Any]:
        i = int(body["messages"][-1]["content"].split()[2])
        usage = {"prompt_tokens": 10, "completion_tokens": tokens[i]}
        return completion(usage=usage)

    with teacher_server(answer) as server:
        teacher = {**price(output, peak=peak), "concurrency": 3}
        name = recipe(folder, server, problems=len(tokens), teacher=teacher)
        try:
            distill.generate(name, out=folder / "run", budget_usd=usd)
            assert server.asked.total() == len(tokens)
        except BudgetReached:
            assert server.asked.total() < len(tokens)
    spent = traces(folder / "run")["cost_usd"].sum()
    assert spent <= usd
    assert traces(folder / "run").height == server.asked.total()


def test_the_recipes_budget_holds_and_the_command_goes_first(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=20, budget_usd=0.25, teacher=price())
        with pytest.raises(BudgetReached, match=r"budget of \$0\.25 reached"):
            distill.generate(name, out=tmp_path / "run")
        few = server.asked.total()
        with pytest.raises(BudgetReached, match=r"budget of \$0\.30 reached"):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.3)
        more = server.asked.total()
        assert few < more < 20
        with pytest.raises(BudgetReached, match=r"budget of \$0\.00 reached"):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.0)
        assert server.asked.total() == more
        assert distill.generate(name, out=tmp_path / "run", budget_usd=10) == Exit.DONE


def test_a_budget_in_the_recipe_needs_a_price_too(tmp_path: Path) -> None:
    with teacher_server() as server:
        for budget in (0.0, 1.0):
            name = recipe(tmp_path, server, budget_usd=budget)
            with pytest.raises(UserError, match=r"teacher\.price"):
                distill.generate(name, out=tmp_path / "run")
        blocks = block(server, "m1", **price()), block(server, "m2")
        with pytest.raises(UserError, match="the price of m2 at"):
            distill.generate(recipe(tmp_path, *blocks, budget_usd=1), out=tmp_path / "run")
        assert server.asked.total() == 0


def test_each_endpoint_is_booked_at_its_own_price(tmp_path: Path) -> None:
    with teacher_server() as dear, teacher_server() as cheap:
        blocks = (
            block(dear, "m1", **price(1000.0), concurrency=20),
            block(cheap, "m2", **price(100.0), concurrency=20),
        )
        name = recipe(tmp_path, *blocks, problems=20, sampling={"max_tokens": 100})
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.15)
        spent = traces(tmp_path / "run")["cost_usd"].sum()
        by_hand = dear.asked.total() * 0.02001 + cheap.asked.total() * 0.00201
        assert spent == pytest.approx(by_hand)
        assert spent <= 0.15
        assert dear.asked.total()
        assert cheap.asked.total()
        distill.generate(name, out=tmp_path / "run", budget_usd=10)
        assert (dear.asked + cheap.asked).total() == 20
    said = dict(describe(tmp_path / "run")[1])
    for server, model, cost in ((dear, "m1", 0.02001), (cheap, "m2", 0.00201)):
        usd = f"${server.asked.total() * cost:,.4f}"
        assert said[f"by {server.url} {model}"].endswith(usd)


def test_the_cap_is_over_all_passes_of_a_run(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=20, teacher=price())
        for usd in (0.15, 0.2, 0.2, 0.25, 0.25):
            with pytest.raises(BudgetReached):
                distill.generate(name, out=tmp_path / "run", budget_usd=usd)
            assert server.asked.total() * 0.02001 <= usd


@pytest.mark.parametrize("hours", [[22, 2], [3, 3]])
def test_a_peak_that_covers_no_hour_is_refused(hours: list[int]) -> None:
    with pytest.raises(ValueError, match="covers no hour"):
        Peak.model_validate({"factor": 2, "weekdays_utc": [1], "hours_utc": [hours]})
