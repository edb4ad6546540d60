"""Generating over a real loopback server: nothing lost, nothing asked twice, every fault named."""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

import distill
from distill.errors import BudgetReached, Exit, Interrupted, StoppedError, UserError
from distill.generating import attempt
from distill.rows import SCHEMA
from distill.teachers import retry
from tests.builders.recipes import recipe
from tests.builders.runs import errors, ledger, start, traces, wait_for
from tests.builders.teacher_server import Made, completion, refusal, teacher_server

CANARY = "canary-8c1f0b7e2d"


def test_every_question_is_answered_once_per_sample_and_exported_in_order(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, samples=3)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    table = pl.read_parquet(tmp_path / "run/traces/*.parquet")
    assert table.height == 15
    assert table["sample"].to_list() == [0, 1, 2] * 5
    assert table["gold"].unique(maintain_order=True).to_list() == ["1", "2", "3", "4", "5"]
    assert set(server.asked.values()) == {3}
    assert server.most_at_once <= 4


def test_a_second_call_asks_nothing_and_more_samples_ask_only_the_new_ones(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 5
        distill.generate(name, out=tmp_path / "run", overrides=["samples=2"])
        assert server.asked.total() == 10
    assert traces(tmp_path / "run").height == 10


def test_a_limit_grows_without_asking_again(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run", limit=2)
        assert traces(tmp_path / "run").height == 2
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 5


def test_another_plan_in_the_same_folder_is_refused_before_any_request(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        for change in ("teacher.model=other", "sampling.temperature=0.9"):
            with pytest.raises(UserError, match="holds answers to another plan"):
                distill.generate(name, out=tmp_path / "run", overrides=[change])
        (tmp_path / "math.jinja").write_text("Think. {{ question }}")
        with pytest.raises(UserError, match="template changed"):
            distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 5
        distill.generate(name, out=tmp_path / "run", force=True)
        assert server.asked.total() == 10
    assert traces(tmp_path / "run").height == 5


def test_concurrency_and_timeout_are_no_part_of_the_plan(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        changed = ["teacher.concurrency=1", "teacher.timeout_s=7"]
        assert distill.generate(name, out=tmp_path / "run", overrides=changed) == Exit.DONE
        assert server.asked.total() == 5


def test_a_truncated_answer_is_kept_and_asked_again_only_under_a_larger_limit(
    tmp_path: Path,
) -> None:
    with teacher_server(lambda body, n: completion(finish_reason="length")) as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 5
        assert set(traces(tmp_path / "run")["finish_reason"]) == {"length"}
        server.answer = lambda body, n: completion()
        distill.generate(name, out=tmp_path / "run", overrides=["sampling.max_tokens=200"])
        assert server.asked.total() == 10
    assert set(traces(tmp_path / "run")["finish_reason"]) == {"stop"}


def test_a_question_whose_text_changed_under_its_id_is_asked_anew(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        for question in ("What is 1 + 1?", "What is 2 + 2?"):
            line = {"name": "a", "question": question, "answer": "2"}
            (tmp_path / "set.jsonl").write_text(json.dumps(line))
            distill.generate(name, out=tmp_path / "run", overrides=["problems.map.id=name"])
        assert list(server.asked) == ["What is 1 + 1?", "What is 2 + 2?"]
    assert traces(tmp_path / "run").height == 1


# (how the server fails first, what it was): each is tried again and then answered
TRANSIENT: dict[str, Callable[[], Made]] = {
    "429": lambda: refusal(429, headers={"retry-after": "0"}),
    "500": lambda: refusal(500),
    "503": lambda: refusal(503),
    "408": lambda: refusal(408),
    "html": lambda: web.Response(text="<html>busy</html>", content_type="text/html"),
    "empty": lambda: web.Response(body=b"", content_type="application/json"),
    "error in a 200": lambda: {"error": {"message": "overloaded"}},
    "no choices": lambda: completion(choices=[]),
    "aborted": lambda: completion(finish_reason="insufficient_system_resource"),
    "cut": lambda: web.Response(body=b'{"choices": [{"mess', content_type="application/json"),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_passing_fault_is_tried_again_and_every_try_is_in_the_ledger(
    fault: str, tmp_path: Path
) -> None:
    with teacher_server(lambda body, n: TRANSIENT[fault]() if n == 1 else completion()) as server:
        assert distill.generate(recipe(tmp_path, server), out=tmp_path / "run") == Exit.DONE
    assert traces(tmp_path / "run").height == 5
    tries = ledger(tmp_path / "run", "SELECT error IS NULL, COUNT(*) FROM attempts GROUP BY 1")
    assert dict(tries) == {0: 5, 1: 5}


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refusal_of_everybody_ends_the_run_at_once_and_it_can_go_on(
    status: int, tmp_path: Path
) -> None:
    with teacher_server(lambda body, n: refusal(status)) as server:
        name = recipe(tmp_path, server, problems=40)
        with pytest.raises(StoppedError, match=str(status)):
            distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() <= 4  # no more than were under way together
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert traces(tmp_path / "run").height == 40


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_of_one_row_fails_that_row_only_and_is_not_repeated(
    status: int, tmp_path: Path
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(status) if "3 + 1" in body["messages"][-1]["content"] else completion()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server)
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert server.asked["What is 3 + 1?"] == 1
    assert traces(tmp_path / "run").height == 4


def test_an_unknown_finish_is_kept_apart_and_never_exported(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion(finish_reason="banana")) as server:
        assert distill.generate(recipe(tmp_path, server), out=tmp_path / "run") == Exit.ROWS_FAILED
    table = traces(tmp_path / "run")
    assert table.height == 0
    assert table.schema == SCHEMA
    assert ledger(tmp_path / "run", "SELECT COUNT(*) FROM answers") == [5]


def test_keep_alive_bytes_do_not_defeat_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 1)

    class Drip(web.StreamResponse):
        async def prepare(self, request: Any) -> Any:
            import asyncio

            writer = await super().prepare(request)
            for _ in range(200):
                await self.write(b"\n")
                await asyncio.sleep(0.05)
            return writer

    with teacher_server(lambda body, n: Drip()) as server:
        name = recipe(tmp_path, server, problems=1, teacher={"timeout_s": 0.5})
        began = time.monotonic()
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
        assert time.monotonic() - began < 5
    assert "0.5 s" in errors(tmp_path / "run")[0]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"reasoning_content": "two and two", "content": "4"}, ("two and two", "4")),  # DeepSeek
        ({"reasoning": "two and two", "content": "4"}, ("two and two", "4")),  # vLLM
        ({"thinking": "two and two", "content": "4"}, ("two and two", "4")),  # Ollama
        ({"content": "<think>two and two</think>4"}, ("two and two", "4")),  # inline
        ({"content": "two and two</think>4"}, ("two and two", "4")),  # opening tag in the prompt
        ({"content": "<think>two and"}, ("two and", "")),  # never closed
        ({"content": None, "reasoning_content": "two"}, ("two", "")),  # all of it thought
        ({"content": "4"}, ("", "4")),  # no thinking
    ],
)
def test_every_wire_shape_becomes_reasoning_and_response(
    message: dict[str, Any], expected: tuple[str, str], tmp_path: Path
) -> None:
    with teacher_server(lambda body, n: completion(message=message)) as server:
        distill.generate(recipe(tmp_path, server, problems=1), out=tmp_path / "run")
    row = traces(tmp_path / "run").row(0, named=True)
    assert (row["reasoning"], row["response"]) == expected


def test_every_answer_has_a_seed_of_its_own_that_comes_back_in_another_run(tmp_path: Path) -> None:
    seeds = []
    for run in ("one", "two"):
        with teacher_server() as server:
            name = recipe(tmp_path, server, problems=3, samples=4, sampling={"seed": 7})
            distill.generate(name, out=tmp_path / run)
        seeds.append({body["seed"] for body in server.bodies})
    assert len(seeds[0]) == 12
    assert seeds[0] == seeds[1]
    assert all(0 <= seed < 2**31 for seed in seeds[0])


def test_the_request_is_what_the_recipe_says(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=1, samples=2)
        changes = ["sampling.extra_body={thinking: {type: enabled}}"]
        distill.generate(name, out=tmp_path / "run", overrides=changes)
    body = server.bodies[0]
    assert "seed" not in body
    assert body["max_tokens"] == 100
    assert (body["temperature"], body["top_p"]) == (0.6, 0.95)
    assert body["thinking"] == {"type": "enabled"}
    assert body["messages"] == [{"role": "user", "content": "What is 0 + 1?"}]


PRICE = {"price": {"input": 1.0, "output": 1000.0}}  # 20 answer tokens: $0.02, at worst $0.10


def test_the_budget_is_never_overrun_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=20, teacher=PRICE)
        with pytest.raises(BudgetReached):
            distill.generate(name, out=tmp_path / "run", budget_usd=0.25)
        spent = server.asked.total() * 0.02001
        assert 0.25 - 0.10001 < spent <= 0.25  # not one more worst case would have fitted
        done = server.asked.total()
        assert distill.generate(name, out=tmp_path / "run", budget_usd=10) == Exit.DONE
        assert server.asked.total() == 20 >= done
    in_all = traces(tmp_path / "run")["cost_usd"].sum()
    assert in_all == pytest.approx(20 * (10 * 1.0 + 20 * 1000.0) / 1e6)


def test_a_cap_below_what_is_asked_at_once_slows_the_run_and_does_not_end_it(
    tmp_path: Path,
) -> None:
    with teacher_server(latency_s=0.01) as server:
        name = recipe(tmp_path, server, problems=10, teacher={**PRICE, "concurrency": 10})
        # ten worst cases are $1.00; ten answers are $0.20
        assert distill.generate(name, out=tmp_path / "run", budget_usd=0.31) == Exit.DONE
        assert server.most_at_once <= 3


def test_what_was_never_sent_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 3)
    with teacher_server() as server:
        name = recipe(tmp_path, server, teacher=PRICE)
    status = distill.generate(name, out=tmp_path / "run", budget_usd=0.11)
    assert status == Exit.ROWS_FAILED  # the server is gone
    assert len(errors(tmp_path / "run")) == 15
    assert ledger(tmp_path / "run", "SELECT SUM(worst_usd) FROM attempts") == [0]


def test_a_larger_limit_that_is_refused_keeps_the_shorter_answer(tmp_path: Path) -> None:
    with teacher_server(lambda body, n: completion(finish_reason="length")) as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        server.answer = lambda body, n: refusal(400, "context length")
        distill.generate(name, out=tmp_path / "run", overrides=["sampling.max_tokens=999"])
        assert server.asked.total() == 10
    assert traces(tmp_path / "run").height == 5


def test_a_403_of_one_prompt_does_not_stop_the_others(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return refusal(403) if "3 + 1" in body["messages"][-1]["content"] else completion()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, teacher={"concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run") == Exit.ROWS_FAILED
    assert traces(tmp_path / "run").height == 4


def test_a_folder_in_which_nothing_was_asked_takes_any_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_TEACHER_KEY", raising=False)
    with teacher_server() as server:
        name = recipe(tmp_path, server, teacher={"key_env": "TEST_TEACHER_KEY"})
        with pytest.raises(UserError):
            distill.generate(name, out=tmp_path / "run")
        monkeypatch.setenv("TEST_TEACHER_KEY", CANARY)
        changed = ["sampling.temperature=1.0"]
        assert distill.generate(name, out=tmp_path / "run", overrides=changed) == Exit.DONE


def test_a_dry_run_counts_what_is_really_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server, problems=4), tmp_path / "run"
        more = ["samples=4"]
        distill.generate(name, out=run)
        with caplog.at_level("INFO", "distill"):
            distill.generate(name, out=run, dry_run=True, limit=1, overrides=more)
        assert "would ask 3 requests" in caplog.text
        distill.generate(name, out=run, limit=1, overrides=more)
        assert server.asked.total() == 7


def test_a_budget_without_a_price_is_refused(tmp_path: Path) -> None:
    with teacher_server() as server:
        with pytest.raises(UserError, match=r"teacher\.price"):
            distill.generate(recipe(tmp_path, server), out=tmp_path / "run", budget_usd=1)
        assert server.asked.total() == 0


def test_a_dry_run_asks_and_writes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, samples=2, teacher=PRICE)
        with caplog.at_level("INFO", "distill"):
            distill.generate(name, out=tmp_path / "run", dry_run=True)
        assert server.asked.total() == 0
    assert not (tmp_path / "run").exists()
    assert "would ask 10 requests" in caplog.text
    assert "$1.0" in caplog.text  # 10 requests of at most 100 answer tokens at $1,000 a million


def test_the_key_comes_from_the_environment_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_TEACHER_KEY", CANARY)
    long = "x" * 190 + CANARY  # cut in the middle of the key
    faults: Iterator[Made] = iter(
        [
            refusal(500, f"bad key {CANARY}"),
            refusal(503, long),
            {"error": {"message": long}},
            web.Response(text="<html>"),
        ]
    )
    with teacher_server(lambda body, n: next(faults, None) or completion()) as server:
        name = recipe(tmp_path, server, teacher={"key_env": "TEST_TEACHER_KEY"})
        with caplog.at_level("DEBUG"):
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        server.answer = lambda body, n: refusal(401, f"key {CANARY} is wrong")
        with pytest.raises(StoppedError) as refused:
            distill.generate(name, out=tmp_path / "other")
        assert server.keys == {f"Bearer {CANARY}"}
    assert CANARY not in str(refused.value)
    assert CANARY not in caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert CANARY[:8].encode() not in path.read_bytes(), path


def test_a_missing_key_is_one_clear_error_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_TEACHER_KEY", raising=False)
    with teacher_server() as server:
        name = recipe(tmp_path, server, teacher={"key_env": "TEST_TEACHER_KEY"})
        with pytest.raises(UserError, match="TEST_TEACHER_KEY is not set"):
            distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 0


def test_a_proxy_in_the_environment_gets_no_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with teacher_server() as server:
        assert distill.generate(recipe(tmp_path, server), out=tmp_path / "run") == Exit.DONE


def first_said(process: "subprocess.Popen[str]", word: str) -> str:
    """The first line with the word in it; nobody reads what comes after it."""
    assert process.stderr is not None
    with process.stderr:
        return next(line for line in process.stderr if word in line)


def committed(run: Path) -> set[str]:
    assert ledger(run, "PRAGMA integrity_check") == ["ok"]
    return set(ledger(run, "SELECT p.question FROM requests r JOIN problems p ON p.id = r.id"))


def test_after_three_kills_every_row_is_there_once_and_no_committed_one_was_asked_again(
    tmp_path: Path,
) -> None:
    with teacher_server(latency_s=0.02) as server:
        name, run = recipe(tmp_path, server, problems=400), tmp_path / "run"
        for answers in (60, 150, 260):
            process = start(name, run)
            wait_for(server, answers)
            process.kill()
            process.communicate()
            kept = committed(run)
            assert kept
            asked_before = {question: server.asked[question] for question in kept}
        process = start(name, run)
        process.communicate()
        assert process.returncode == Exit.DONE
        assert {question: server.asked[question] for question in kept} == asked_before
    table = traces(run)
    assert table.height == 400 == table["id"].n_unique()


def test_the_first_ctrl_c_lets_requests_under_way_finish_and_the_run_goes_on_later(
    tmp_path: Path,
) -> None:
    with teacher_server(latency_s=0.2) as server:
        name, run = recipe(tmp_path, server, problems=200), tmp_path / "run"
        process = start(name, run)
        wait_for(server, 8)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == Exit.INTERRUPTED, said
        assert len(committed(run)) == server.answered.total()  # nothing that was paid for is lost
        server.latency_s = 0
        assert distill.generate(name, out=run) == Exit.DONE
        assert set(server.asked.values()) == {1}


def test_a_second_ctrl_c_stops_at_once_even_while_the_server_is_silent(tmp_path: Path) -> None:
    with teacher_server(latency_s=0) as server:
        name, run = recipe(tmp_path, server, problems=200), tmp_path / "run"
        server.latency_s = 60
        process = start(name, run)
        deadline = time.monotonic() + 60
        while not server.asked.total():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert "waiting for the requests under way" in first_said(process, "stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == Exit.INTERRUPTED


def test_it_can_be_called_where_a_loop_runs_already_as_in_a_notebook(tmp_path: Path) -> None:
    async def cell(name: str) -> Exit:
        return distill.generate(name, out=tmp_path / "run")

    with teacher_server() as server:
        assert asyncio.run(cell(recipe(tmp_path, server))) == Exit.DONE
    assert traces(tmp_path / "run").height == 5


def test_ctrl_c_in_a_notebook_lets_requests_under_way_finish_and_stops(tmp_path: Path) -> None:
    async def cell(name: str) -> Exit:
        return distill.generate(name, out=tmp_path / "run")

    loop = asyncio.new_event_loop()  # as a notebook's: without asyncio.run's own signal handling
    with teacher_server(latency_s=0.3) as server:
        name = recipe(tmp_path, server, problems=60)
        timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(Interrupted):
            loop.run_until_complete(cell(name))
        loop.close()
        timer.join()
        assert len(committed(tmp_path / "run")) == server.answered.total() < 60


def test_a_second_ctrl_c_writes_down_what_may_have_been_billed(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server, problems=20, teacher=PRICE)
        server.latency_s = 60
        process = start(name, tmp_path / "run")
        deadline = time.monotonic() + 60
        while server.asked.total() < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        first_said(process, "stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == Exit.INTERRUPTED
    assert errors(tmp_path / "run") == ["cancelled"] * 4
    (worst,) = ledger(tmp_path / "run", "SELECT SUM(worst_usd) FROM attempts")
    assert worst > 0.4  # four worst cases of 100 tokens at $1,000 a million


def test_no_answer_is_bought_that_the_disk_could_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        with monkeypatch.context() as full:
            full.setattr(attempt, "ROOM", 2**60)
            with pytest.raises(UserError, match="MB of disk left"):
                distill.generate(name, out=tmp_path / "run")
        assert server.asked.total() == 0
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with teacher_server(latency_s=0.2) as server:
        name, run = recipe(tmp_path, server, problems=100), tmp_path / "run"
        process = start(name, run)
        wait_for(server, 4)
        with pytest.raises(UserError, match=f"in use by another run .process {process.pid}"):
            distill.generate(name, out=run)
        process.kill()
        process.communicate()


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    with teacher_server() as server, pytest.raises(UserError, match="not a readable ledger"):
        distill.generate(recipe(tmp_path, server), out=run)
    assert (run / "ledger.sqlite").read_bytes().startswith(b"not a database")
    assert (run / "ledger.sqlite").stat().st_size == 2100


def test_a_ledger_that_was_emptied_is_no_new_run(tmp_path: Path) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server), tmp_path / "run"
        distill.generate(name, out=run)
        for path in run.glob("ledger.sqlite*"):
            path.unlink()
        (run / "ledger.sqlite").touch()
        with pytest.raises(UserError, match="is empty"):
            distill.generate(name, out=run)
        assert server.asked.total() == 5
