"""Every fault of a teacher, over real sockets: no row is lost, none is bought twice, all is named.

The matrix of all faults is in docs/reliability.md.
"""

import asyncio
import gzip
import itertools
import os
import re
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import distill
import distill.generating.run  # before its parts are exchanged
from distill.errors import Exit, Interrupted, StoppedError
from distill.generating import attempt
from distill.teachers import body as coding
from distill.teachers import retry
from tests.builders.faults import (
    CANARY,
    GOOD,
    KEY_ENV,
    PRICE,
    listen,  # noqa: F401
    recipe,
    stops,
)
from tests.builders.runs import assert_all_there, errors, ledger, traces
from tests.builders.sockets import http, raw_server
from tests.builders.teacher_server import Made, completion, refusal, teacher_server

CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
DEEP = b'{"error": ' + b"[" * 1000 + b"]" * 1000 + b"}"
# (what the server says the first time, what the ledger says of it)
BROKEN = {
    "hangs up": ([], "connection broken"),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n"], "connection broken"),
    "half a head": ([b"HTTP/1.1 200 OK\r\nContent-Le"], "connection broken"),
    "endless head": ([b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000], "connection broken"),
    "body shorter than said": ([http(GOOD[:50], length=len(GOOD))], "connection broken"),
    "chunks without an end": (
        [CHUNKED.encode(), b"%x\r\n" % len(GOOD), GOOD[:50]],
        "connection broken",
    ),
    "half of a gzip": (
        [http(gzip.compress(GOOD)[:60], "Content-Encoding: gzip")],
        "malformed answer",
    ),
    "a coding nobody knows": ([http(b"\0" * 99, "Content-Encoding: x-secret")], "malformed answer"),
    "empty": ([http(b"")], "malformed answer: not JSON: b''"),
    "nothing to say": ([http(b"", status="204 No Content")], "204 without a word"),
    "half of the JSON": ([http(GOOD[:50])], "malformed answer: not JSON"),
    "HTML": ([http(b"<html>busy</html>")], "malformed answer: not JSON: b'<html>"),
    "a list": ([http(b"[]")], "malformed answer: an error in a 200"),
    "an error": ([http(b'{"error": {"message": "busy"}}')], "an error in a 200.*busy"),
    "no choices": ([http(b'{"choices": []}')], "no choices in it"),
    "no message": ([http(b'{"choices": [{}]}')], "no message in it"),
    "a deep error in a 200": ([http(DEEP)], "an error in a 200"),
    "a deep error in a 500": ([http(DEEP, status="500 Oops")], "500 "),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_answer_is_named_and_asked_for_again(fault: str, tmp_path: Path) -> None:
    said, reason = BROKEN[fault]
    run = tmp_path / "run"
    with raw_server(lambda n: said if n <= 5 else [http(GOOD)]) as server:
        name = recipe(tmp_path, server.url, teacher={"concurrency": 5})  # each row's first try
        assert distill.generate(name, out=run) == Exit.DONE
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked == 10
    assert_all_there(run, 5)
    assert len(errors(run)) == 5
    assert all(re.search(reason, error) for error in errors(run)), errors(run)


@pytest.mark.parametrize("content", ["", None])
def test_an_answer_that_is_all_thought_is_kept_without_a_response(
    content: str | None, tmp_path: Path
) -> None:
    message = {"content": content, "reasoning_content": "so it is two"}
    with teacher_server(lambda body, n: completion(message=message)) as server:
        name = recipe(tmp_path, server.url)
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert server.asked.total() == 5
    assert_all_there(tmp_path / "run", 5)
    table = traces(tmp_path / "run")
    assert set(table["reasoning"]) == {"so it is two"}
    assert set(table["response"]) == {""}


def test_a_model_that_changes_its_name_is_said_and_kept_with_each_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        late = int(body["messages"][-1]["content"].split()[2]) >= 3
        return completion(model="m-2" if late else "m-1")

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server.url, teacher={"concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert "calls itself m-2 now; it was m-1" in caplog.text
    assert_all_there(tmp_path / "run", 5)
    assert sorted(traces(tmp_path / "run")["teacher"]) == ["m-1"] * 3 + ["m-2"] * 2


ZEROS = gzip.compress(bytes(200 * 2**20))  # 200 KB that become 200 MB
LARGE = {
    "said": lambda: [http(b"", length=10**12), *[bytes(2**16)] * 1000],
    "not said": lambda: [CHUNKED.encode(), *[b"10000\r\n" + bytes(2**16) + b"\r\n"] * 1000],
    "gzip": lambda: [http(ZEROS, "Content-Encoding: gzip")],
}


@pytest.mark.parametrize("fault", LARGE)
def test_a_body_without_end_is_left_before_it_fills_the_memory(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "MOST_BYTES", 2**20)
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    run, healed = tmp_path / "run", False
    with raw_server(lambda n: [http(GOOD)] if healed else LARGE[fault]()) as server:
        name = recipe(tmp_path, server.url, problems=1)
        tracemalloc.start()
        assert distill.generate(name, out=run) == Exit.ROWS_FAILED
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 30 * 2**20
        assert errors(run) == ["a body of more than 1 MB"] * 2
        healed = True
        assert distill.generate(name, out=run) == Exit.DONE
    assert_all_there(run, 1)


def test_a_redirect_gets_no_prompt_and_no_key(heard: list[str], tmp_path: Path) -> None:
    with teacher_server() as other, teacher_server() as server:
        there = {"location": f"{other.url}/chat/completions?k={CANARY}"}
        server.answer = lambda body, n: web.Response(status=307, headers=there)
        name = recipe(tmp_path, server.url)
        with stops(heard, StoppedError, "redirects .307.; prompts are not sent on"):
            distill.generate(name, out=tmp_path / "run")
        assert other.asked.total() == 0
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert_all_there(tmp_path / "run", 5)


def test_a_cookie_is_not_sent_back(tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> web.Response:
        return web.json_response(completion(), headers={"set-cookie": f"k={CANARY}; Path=/"})

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server.url, teacher={"concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert server.cookies == {""}


# Where a server may put the key that it was sent
ECHOES: dict[str, Callable[[], Made]] = {
    "an answer": lambda: completion(f"your key is {CANARY}"),
    "a thought": lambda: completion(message={"reasoning_content": CANARY}),
    "the model's name": lambda: completion(model=f"m {CANARY}"),
    "the finish": lambda: completion(finish_reason=CANARY),
    "an error": lambda: refusal(500, f"bad key {CANARY}"),
    "half cut off": lambda: refusal(500, "x" * 190 + CANARY),
    "an error in a 200": lambda: {"error": {"message": "x" * 150 + CANARY}},
    "a bad request": lambda: refusal(400, CANARY),
    "no JSON": lambda: web.Response(text=f"<html>{CANARY}"),
    "Retry-After": lambda: refusal(429, headers={"retry-after": CANARY}),
    "other headers": lambda: refusal(503, headers={"x-key": CANARY, "content-language": CANARY}),
    "the status line": lambda: web.Response(status=502, reason=CANARY),
}


@pytest.mark.parametrize("where", ECHOES)
def test_a_key_that_the_server_repeats_is_kept_nowhere(where: str, tmp_path: Path) -> None:
    def answer(body: dict[str, Any], n: int) -> Any:
        return ECHOES[where]() if n == 1 else completion()

    with teacher_server(answer) as server:
        distill.generate(recipe(tmp_path, server.url), out=tmp_path / "run")
        assert server.keys == {f"Bearer {CANARY}"}
    assert ledger(tmp_path / "run", "SELECT COUNT(DISTINCT key) FROM attempts") == [5]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_in_a_refusal_of_everybody_is_not_in_its_traceback(
    status: int, heard: list[str], tmp_path: Path
) -> None:
    with teacher_server(lambda body, n: refusal(status, f"{CANARY} is no key")) as server:
        name = recipe(tmp_path, server.url)
        with stops(heard, StoppedError, f"{status} .* is no key"):
            distill.generate(name, out=tmp_path / "run")


def test_a_word_for_a_key_does_not_change_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, "EMPTY")  # what local servers are given
    with teacher_server(lambda body, n: completion("the set is EMPTY")) as server:
        assert distill.generate(recipe(tmp_path, server.url), out=tmp_path / "run") == Exit.DONE
        assert server.keys == {"Bearer EMPTY"}
    assert set(traces(tmp_path / "run")["response"]) == {"the set is EMPTY"}


def test_clocks_that_jump_change_no_deadline_no_length_and_no_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jumps = time.time, itertools.cycle((0, -86_400, 86_400, -3_600))

    async def answer(body: dict[str, Any], n: int) -> Any:
        if n == 1:
            await asyncio.sleep(0.8)
        return completion()

    with teacher_server(answer) as server:
        teacher = {**PRICE, "timeout_s": 0.4}
        name = recipe(tmp_path, server.url, teacher=teacher)
        monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert_all_there(tmp_path / "run", 5)
    assert errors(tmp_path / "run") == ["no whole answer within 0.4 s"] * 5
    took = ledger(tmp_path / "run", "SELECT took_s FROM attempts")
    assert all(0 <= s < 60 for s in took)
    assert traces(tmp_path / "run")["cost_usd"].to_list() == [pytest.approx(0.02001)] * 5


def test_a_second_ctrl_c_while_an_answer_is_checked_does_not_lose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, go_on = threading.Event(), threading.Event()

    def slow(problem: Any, reply: Any, plan: Any) -> str:
        checking.set()
        assert go_on.wait(30)
        return "correct"

    def twice() -> None:
        assert checking.wait(30)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)  # two signals at once are one
        go_on.set()

    with teacher_server() as server:
        until = {"until": {"correct": 1, "at_most": 2}}
        name = recipe(tmp_path, server.url, problems=3, teacher={"concurrency": 1}, **until)
        with monkeypatch.context() as patched:
            patched.setattr(attempt, "verdict", slow)
            thread = threading.Thread(target=twice)
            thread.start()
            with pytest.raises(Interrupted):
                distill.generate(name, out=tmp_path / "run")
            thread.join()
        assert server.asked.total() == 1
        assert ledger(tmp_path / "run", "SELECT state, verdict FROM requests") == [("done", None)]
        distill.generate(name, out=tmp_path / "run")
        assert server.asked["What is 0 + 1?"] == 2  # it is wrong, as was found out afterwards
