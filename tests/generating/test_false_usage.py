"""Usage is believed only within what is possible: no report defeats the budget."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

import distill
from distill.errors import BudgetReached, Exit
from distill.showing.status import describe
from tests.builders.faults import answers_in
from tests.builders.recipes import block, recipe
from tests.builders.runs import ledger, traces
from tests.builders.teacher_server import completion, teacher_server

# 26 words: no tokenizer makes less than 18 tokens of them. $1 and $1,000 a million tokens, at most
# 100 of them an answer.
TEXT = "First one adds the two numbers, then one looks again, and so one finds that the sum of " * 2
PRICE = {"price": {"input": 1.0, "output": 1000.0}}
FREE = {"price": {"input": 0.0, "output": 0.0}}
HONEST = {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60}
WORST, LEAST = 0.1, 0.02
# (what the server says, what one answer is booked at, whether it is believed)
REPORTS: dict[str, tuple[Any, float, bool]] = {
    "honest": (HONEST, 0.04, True),
    "as floats": ({"prompt_tokens": 20.0, "completion_tokens": 40.0}, 0.04, True),
    "zero": ({"prompt_tokens": 0, "completion_tokens": 0}, WORST, False),
    "one token": ({"prompt_tokens": 20, "completion_tokens": 1}, WORST, False),
    "four billion": ({"prompt_tokens": 20, "completion_tokens": 4_000_000_000}, WORST, False),
    "four billion asked": ({"prompt_tokens": 4 * 10**9, "completion_tokens": 40}, 0.041, False),
    "400 digits": ({"prompt_tokens": 20, "completion_tokens": 10**400}, WORST, False),
    "1e400": ({"prompt_tokens": 20, "completion_tokens": "1e400"}, WORST, False),
    "negative": ({"prompt_tokens": -5, "completion_tokens": -5}, WORST, False),
    "true": ({"prompt_tokens": True, "completion_tokens": True}, WORST, False),
    "text": ({"prompt_tokens": "20", "completion_tokens": "40"}, WORST, False),
    "a fraction": ({"prompt_tokens": 20, "completion_tokens": 40.5}, WORST, False),
    "none": (None, WORST, False),
    "empty": ({}, WORST, False),
    "a list": ([1, 2], WORST, False),
    "only asked": ({"prompt_tokens": 20}, WORST, False),
    "only answered": ({"completion_tokens": 40}, 0.041, False),
    "more cached than asked": (
        {**HONEST, "prompt_tokens_details": {"cached_tokens": 10**9}},
        0.04,
        True,
    ),
    "more thought than possible": (
        {**HONEST, "completion_tokens_details": {"reasoning_tokens": 10**9}},
        WORST,
        False,
    ),
    "thought beside the answer": (
        {**HONEST, "completion_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 90},
        0.07,
        True,
    ),
    "thought in the total alone": ({**HONEST, "total_tokens": 90}, 0.07, True),
    "a total beyond the possible": ({**HONEST, "total_tokens": 10**9}, WORST, False),
    "a total of nothing": ({**HONEST, "total_tokens": 0}, 0.04, True),
    "cost": ({**HONEST, "cost": 0.05}, 0.05, True),
    "cost alone": ({"cost": 0.05}, 0.05, True),
    "cost zero": ({**HONEST, "cost": 0}, 0.04, False),
    "cost zero, no tokens": ({"cost": 0.0}, WORST, False),
    "cost negative": ({**HONEST, "cost": -3.0}, 0.04, False),
    "cost NaN": ({**HONEST, "cost": float("nan")}, 0.04, True),
    "cost as text": ({**HONEST, "cost": "0"}, 0.04, False),
    "cost true": ({**HONEST, "cost": True}, 0.04, False),
    "cost too high": ({**HONEST, "cost": 4_000_000}, WORST, False),
    "cost infinite": ({**HONEST, "cost": "1e400"}, 0.04, False),
    "all of it false": ({"prompt_tokens": 0, "completion_tokens": 0, "cost": 0}, WORST, False),
}


def reporting(usage: Any) -> web.Response:
    """An answer with that usage."""
    text = json.dumps(completion(TEXT, usage=usage)).replace('"1e400"', "1e400")
    return web.Response(text=text, content_type="application/json")


@pytest.mark.parametrize("report", REPORTS)
def test_no_report_buys_more_than_the_budget_allows(
    report: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    usage, booked, is_believed = REPORTS[report]
    run, cap = tmp_path / "run", 0.25
    with teacher_server(lambda body, n: reporting(usage)) as server:
        name = recipe(tmp_path, server, problems=20, teacher=PRICE)
        with pytest.raises(BudgetReached):
            distill.generate(name, out=run, budget_usd=cap)
        asked = server.asked.total()
    (spent,) = ledger(run, "SELECT SUM(COALESCE(cost_usd, worst_usd)) FROM attempts")
    assert spent == pytest.approx(asked * booked, rel=0.05)
    assert cap - WORST - 0.02 <= spent <= cap  # as far as the worst case of one more allows
    assert asked <= cap / LEAST
    assert ("usage not believed" in caplog.text) != is_believed
    said = dict(describe(run)[1])
    assert said.get("usage not believed", "").startswith(f"of {asked} answers") != is_believed


@pytest.mark.parametrize("report", REPORTS)
def test_one_false_report_does_not_block_the_run(report: str, tmp_path: Path) -> None:
    usage = REPORTS[report][0]
    false = "What is 0 + 1?"

    def answer(body: dict[str, Any], n: int) -> web.Response:
        return reporting(usage if body["messages"][-1]["content"] == false else HONEST)

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=5, teacher={**PRICE, "concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run", budget_usd=0.33) == Exit.DONE
        assert server.asked.total() == 5
    kept = traces(tmp_path / "run")
    assert kept.height == 5
    for column in ("prompt_tokens", "completion_tokens"):
        assert all(count is None or 20 <= count <= 100 for count in kept[column].to_list())
    for count in kept["reasoning_tokens"].to_list():
        assert count is None or count <= 100


def test_what_was_said_stays_in_the_ledger_as_it_came(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 4_000_000_000, "cost": -1}
    with teacher_server(lambda body, n: reporting(usage)) as server:
        name = recipe(tmp_path, server, problems=1, teacher=PRICE)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    (raw,) = answers_in(tmp_path / "run" / "ledger.sqlite")
    assert orjson.loads(raw)["usage"] == usage
    row = traces(tmp_path / "run").row(0, named=True)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cost_usd"]) == (None,) * 3


def test_a_dearer_vendor_behind_a_router_counts_as_all_that_was_set_aside(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: reporting({**HONEST, "cost": 0.4})) as server:
        name = recipe(tmp_path, server, problems=20, teacher=PRICE)
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=1.0)
        assert server.asked.total() == 9  # of $0.101 each


def test_a_free_teacher_is_free_whatever_it_reports(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: reporting({**HONEST, "cost": 0})) as server:
        name = recipe(tmp_path, server, problems=5, teacher=FREE)
        assert distill.generate(name, out=tmp_path / "run", budget_usd=0.0) == Exit.DONE
    assert traces(tmp_path / "run")["cost_usd"].to_list() == [0.0] * 5


def test_without_a_price_a_cost_is_believed_and_a_senseless_one_is_not(tmp_path: Path) -> None:
    for usage, cost in (({**HONEST, "cost": 0.5}, 0.5), ({**HONEST, "cost": -0.5}, None)):
        run = tmp_path / f"run {cost}"
        with teacher_server(lambda body, n, usage=usage: reporting(usage)) as server:  # type: ignore[misc]
            assert distill.generate(recipe(tmp_path, server, problems=1), out=run) == Exit.DONE
        assert traces(run)["cost_usd"].to_list() == [cost]


def test_each_teacher_that_reports_falsely_is_named_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        teacher_server(lambda body, n: reporting({})) as one,
        teacher_server(lambda body, n: reporting(HONEST)) as other,
    ):
        blocks = (block(one, "m1", **PRICE), block(other, "m2", **PRICE))
        name = recipe(tmp_path, *blocks, problems=20)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        first = [line for line in caplog.text.splitlines() if "usage not believed" in line]
        assert len(first) == 1
        assert f"{one.url} m1: usage not believed: no count of prompt tokens" in first[0]
        assert f"m1: the usage of {one.asked.total()} answers was not believed" in caplog.text
        of = f"of {one.asked.total()} answers of {one.url} m1"
    assert dict(describe(tmp_path / "run")[1])["usage not believed"] == of
