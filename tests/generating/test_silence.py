"""While answers do not come it is said why, and at the end what has no answer, and why."""

import asyncio
import logging
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, StoppedError
from distill.generating import dispatch, silence
from distill.generating.silence import note, say_silent
from distill.teachers import pool, retry
from distill.teachers.breaker import FAILURES
from distill.teachers.client import Transient, client_of
from distill.teachers.endpoint import Endpoint
from distill.teachers.pool import Pool
from distill.terminal import progress
from tests.builders.recipes import recipe
from tests.builders.teacher_server import completion, refusal, teacher_server

NOBODY = Transient("no connection (connection refused)", status=0, billed=False)
BUSY = Transient("429 slow down", status=429, billed=False)
LOADING = Transient("503 loading model", status=503, billed=False)


def pool_of(*names: str) -> Pool:
    made = [
        Endpoint(base_url=f"http://{name}/v1", model="m", concurrency=4, timeout_s=9.0)
        for name in names
    ]
    return Pool([client_of(one) for one in made])


async def fail(asked: Pool, error: Transient, times: int = 1) -> None:
    for row in range(times):
        asked.failed(await asked.slot(), error, row=row)


def said(caplog: pytest.LogCaptureFixture, asked: Pool, *after_s: float, now: float) -> list[str]:
    caplog.clear()
    for seconds in after_s:
        say_silent(asked, now + seconds)
    return [record.getMessage() for record in caplog.records]


def test_a_port_where_nobody_listens_is_said_once_after_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def go() -> None:
        asked, now = pool_of("127.0.0.1:9"), time.monotonic()
        assert note(asked, now) == []
        await fail(asked, NOBODY)
        assert said(caplog, asked, 1, 9, now=now) == []
        (text,) = said(caplog, asked, 10.1, 11, 60, 600, now=now)
        assert text.startswith("http://127.0.0.1:9/v1: no answer for 10 s: no connection (conn")
        assert "check that the server runs, and host and port in base_url" in text
        assert "still trying, for at most 15 minutes" in text
        assert note(asked, now + 34.6) == [
            "1 tried again",
            "nobody answers for 0:35: no connection (connection refused)",
        ]

    asyncio.run(go())


def test_a_server_that_is_starting_is_said_without_blaming_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def go() -> None:
        asked, now = pool_of("a"), time.monotonic()
        await fail(asked, NOBODY)
        await fail(asked, LOADING, FAILURES - 1)
        (text,) = said(caplog, asked, 12, now=now)
        assert "503 loading model; still trying" in text

    asyncio.run(go())


def test_one_failure_beside_long_answers_is_no_silence(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        asked, now = pool_of("a"), time.monotonic()
        await asked.slot()  # is being answered
        await fail(asked, LOADING)
        assert said(caplog, asked, 700, now=now) == []
        assert note(asked, now + 700) == ["1 tried again"]

    asyncio.run(go())


def test_an_answer_ends_the_silence_and_another_one_is_said_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def go() -> None:
        asked, now = pool_of("a"), time.monotonic()
        await fail(asked, NOBODY)
        assert len(said(caplog, asked, 11, now=now)) == 1
        slot = await asked.slot()
        asked.refused_row(slot, key="k", status=400, reason="no")
        assert said(caplog, asked, 11, 99, now=now) == []
        assert note(asked, now + 99) == ["1 tried again"]
        await fail(asked, NOBODY)
        assert len(said(caplog, asked, 11, now=now)) == 1

    asyncio.run(go())


def test_a_dead_teacher_beside_others_is_said_and_that_they_are_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def go() -> None:
        asked, now = pool_of("a", "b"), time.monotonic()
        await fail(asked, NOBODY)
        (text,) = said(caplog, asked, 11, now=now)
        assert text.endswith("; the other teachers are asked meanwhile")
        assert "nobody answers" not in " ".join(note(asked, now + 11))

    asyncio.run(go())


def test_rate_limits_and_how_long_the_server_wants_to_be_left_alone_are_shown() -> None:
    async def go() -> None:
        asked, now = pool_of("a"), time.monotonic()
        await fail(asked, BUSY, 2)
        limited = Transient("429 slow down", status=429, billed=False, retry_after_s=300)
        await fail(asked, limited)
        assert note(asked, now + 30) == [
            "3 tried again (3 × 429)",
            "nobody answers for 0:30: 429 slow down",
            "asked to wait 4:30",
        ]

    asyncio.run(go())


# --- over loopback ---


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_mistyped_port_is_said_long_before_the_run_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(silence, "SAY_AFTER_S", 0.05)
    monkeypatch.setattr(silence, "SHOW_AFTER_S", 0.0)
    monkeypatch.setattr(pool, "GIVE_UP_S", 0.6)
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.2)
    name = recipe(tmp_path, f"http://127.0.0.1:{free_port()}/v1", problems=40)
    with (
        caplog.at_level(logging.INFO, "distill"),
        pytest.raises(StoppedError, match="connection refused"),
    ):
        distill.generate(name, out=tmp_path / "run")
    assert caplog.text.count("check that the server runs, and host and port in base_url") == 1
    lines = [one.getMessage() for one in caplog.records if "nobody answers" in one.getMessage()]
    assert lines[0].startswith("generate: 0 of 40 · ")  # although nothing was done


def test_a_server_that_comes_up_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(silence, "SAY_AFTER_S", 0.05)
    starting = [refusal(503, "loading model") for _ in range(6)]
    with teacher_server(lambda b, n: starting.pop() if starting else completion()) as server:
        name = recipe(tmp_path, server, problems=1)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert "503 loading model; still trying" in caplog.text


def test_why_rows_were_refused_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "ATTEMPTS", 2)

    def answer(body: dict[str, Any], n: int) -> Any:
        number = int(body["messages"][-1]["content"].split()[2])
        if number < 3:
            return refusal(400, f"{9000 + number} tokens are over the context of 8192\x1b[2J")
        if number == 3:
            return completion(finish_reason="tool_calls")
        return refusal(503, "overloaded") if number == 4 else completion()

    run = tmp_path / "run"
    with teacher_server(answer) as server:
        name = recipe(tmp_path, server, problems=8)
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED
        lines = [one.getMessage() for one in caplog.records]
        (refused,) = [line for line in lines if line.startswith("3 without an answer: 400 900")]
        assert refused.endswith("tokens are over the context of 8192\\x1b[2J")
        assert "1 without an answer: finish_reason 'tool_calls' is no success" in lines
        assert "1 without an answer: 503 overloaded" in lines
        caplog.clear()
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED
    assert "3 without an answer: 400 900" in caplog.text  # of the earlier pass


def test_many_reasons_are_counted_and_the_commonest_shown(caplog: pytest.LogCaptureFixture) -> None:
    from distill.generating.lost import say_lost

    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
    numbered = {f"422 request {i} of {i * i:08x}-{i:x}: bad": 2 for i in range(50)}
    say_lost({**{f"400 {word}": 1 for word in words}, **numbered, "500 a": 1, "502 a": 1})
    lines = [one.getMessage() for one in caplog.records]
    assert lines[0].startswith("100 without an answer: 422 request ")
    assert lines[1:5] == [f"1 without an answer: 400 {word}" for word in words[:4]]
    assert lines[5:] == ["5 without an answer for other reasons"]
