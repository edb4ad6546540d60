"""Teachers that are busy, down or refuse everybody, alone and beside one that is well."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, StoppedError
from distill.teachers import breaker, pool
from tests.builders.faults import (
    CANARY,
    PRICE,
    listen,  # noqa: F401
    recipe,
    stops,
)
from tests.builders.runs import assert_all_there, errors, ledger
from tests.builders.teacher_server import completion, refusal, teacher_server

AT_ONCE = 4  # as in the recipes of ``faults``


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_burst_of_429_is_waited_out_as_long_as_the_server_says(tmp_path: Path) -> None:
    first: list[float] = []
    early: list[float] = []

    def answer(body: dict[str, Any], n: int) -> Any:
        now = time.monotonic()
        first.append(now)
        if now - first[0] > 0.9:
            return completion()
        early.append(now)
        return refusal(429, "slow down", headers={"retry-after": "1"})

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server.url, problems=40)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert 1 <= len(early) <= AT_ONCE  # those that were under way together, and no more
        assert server.asked.total() == 40 + len(early)
    assert_all_there(tmp_path / "run", 40)
    assert errors(tmp_path / "run") == ["429 slow down"] * len(early)


def test_while_one_teacher_wants_to_be_left_alone_another_takes_over(tmp_path: Path) -> None:
    def busy(body: dict[str, Any], n: int) -> Any:
        return refusal(429, "come back later", headers={"retry-after": "300"})

    with teacher_server(busy) as one, teacher_server() as other:
        name = recipe(tmp_path, one.url, other.url, problems=40)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert 1 <= one.asked.total() <= AT_ONCE
        assert other.asked.total() == 40
    assert_all_there(tmp_path / "run", 40)
    assert set(errors(tmp_path / "run")) == {"429 come back later"}


def test_a_storm_of_503_costs_few_requests_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "WAIT_MAX_S", 0.2)
    first: list[float] = []
    stormy: list[float] = []

    def answer(body: dict[str, Any], n: int) -> Any:
        now = time.monotonic()
        first.append(now)
        if now - first[0] > 2:
            return completion()
        stormy.append(now)
        return refusal(503, "overloaded")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server.url, problems=60, teacher={"concurrency": 8})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        # ten failures, what was under way with them, and one trial each 0.2 s after the first 1 s
        assert len(stormy) <= breaker.FAILURES + 8 + 6
        assert server.asked.total() == 60 + len(stormy)
    assert_all_there(tmp_path / "run", 60)
    assert errors(tmp_path / "run") == ["503 overloaded"] * len(stormy)


def test_a_dead_teacher_beside_a_living_one_holds_nothing_up(tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}/v1"
    with teacher_server() as server:
        name = recipe(tmp_path, dead, server.url, problems=40)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 40
    assert_all_there(tmp_path / "run", 40)
    reasons = errors(tmp_path / "run")
    assert set(reasons) == {"no connection (connection refused)"}
    assert len(reasons) < breaker.FAILURES + AT_ONCE


def test_a_dead_teacher_alone_ends_the_run_which_goes_on_when_it_is_back(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "GIVE_UP_S", 0.5)
    port = free_port()
    name = recipe(tmp_path, f"http://127.0.0.1:{port}/v1", problems=40, teacher=PRICE)
    with stops(heard, StoppedError, "no answer for .*no connection.*the same command goes on"):
        distill.generate(name, out=tmp_path / "run", budget_usd=1)
    assert len(errors(tmp_path / "run")) < breaker.FAILURES + AT_ONCE
    assert ledger(tmp_path / "run", "SELECT SUM(worst_usd) FROM attempts") == [0]
    with teacher_server(port=port) as server:
        assert distill.generate(name, out=tmp_path / "run", budget_usd=1) == Exit.DONE
        assert server.asked.total() == 40
    assert_all_there(tmp_path / "run", 40)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_teacher_that_refuses_everybody_is_left_out_and_the_other_does_all(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        teacher_server(lambda body, n: refusal(status, f"no {CANARY}")) as one,
        teacher_server() as other,
    ):
        name = recipe(tmp_path, one.url, other.url, problems=40)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert 1 <= one.asked.total() <= AT_ONCE
        assert other.asked.total() == 40
    assert_all_there(tmp_path / "run", 40)
    (said,) = set(errors(tmp_path / "run"))
    assert said.startswith(f"the teacher refuses every request: {status} no ***")
    assert f"{one.url} m is left out: the teacher refuses every request: {status}" in caplog.text


def test_all_teachers_that_refuse_everybody_end_the_run(tmp_path: Path, heard: list[str]) -> None:
    with (
        teacher_server(lambda body, n: refusal(401)) as one,
        teacher_server(lambda body, n: refusal(402)) as other,
    ):
        name = recipe(tmp_path, one.url, other.url, problems=40)
        with stops(heard, StoppedError, "40[12] no"):
            distill.generate(name, out=tmp_path / "run")
        assert one.asked.total() + other.asked.total() <= 2 * AT_ONCE
        one.answer = other.answer = lambda body, n: completion()
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert_all_there(tmp_path / "run", 40)


def test_a_teacher_that_refuses_each_request_is_asked_twenty_times(
    tmp_path: Path, heard: list[str]
) -> None:
    with teacher_server(lambda body, n: refusal(400, "no such option")) as server:
        name, run = recipe(tmp_path, server.url, problems=60), tmp_path / "run"
        with stops(heard, StoppedError, "refused 20 requests in a row.*no such option.*--force"):
            distill.generate(name, out=run)
        refused = server.asked.total()
        assert pool.ALL_REFUSED <= refused < pool.ALL_REFUSED + AT_ONCE
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED
        assert server.asked.total() == 60
        assert distill.generate(name, out=run, force=True) == Exit.DONE
        assert server.asked.total() == 60 + refused
    assert_all_there(run, 60)
    assert errors(run) == ["400 no such option"] * refused


def test_a_server_that_queues_gets_less_at_once_until_it_keeps_the_deadline(
    tmp_path: Path,
) -> None:
    turn = asyncio.Lock()
    waiting: list[int] = []

    async def answer(body: dict[str, Any], n: int) -> Any:
        waiting.append(server.at_once)
        async with turn:
            await asyncio.sleep(0.04)
        return completion()

    with teacher_server(answer) as server:
        teacher = {"concurrency": 16, "timeout_s": 0.5}
        name = recipe(tmp_path, server.url, problems=100, teacher=teacher)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert max(waiting) >= 16  # 0.64 s of work, where the deadline is 0.5 s
    assert max(waiting[-50:]) <= 12
    assert_all_there(tmp_path / "run", 100)
    assert set(errors(tmp_path / "run")) == {"no whole answer within 0.5 s"}
