"""An answer belongs to its request, whatever else a server says on the connection and when."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

import distill
from distill.errors import Exit, StoppedError
from distill.teachers.client import Transient, client_of, send
from distill.teachers.endpoint import Endpoint
from tests.builders.faults import (
    PRICE,
    listen,  # noqa: F401
    recipe,
)
from tests.builders.runs import assert_all_there, errors, ledger, traces
from tests.builders.sockets import http, listening, raw_server, read_body
from tests.builders.teacher_server import completion

Write = Callable[[bytes], object]
ROWS = 8


@dataclass
class Talk:
    """One connection; ``said`` are the replies that were sent on it."""

    write: Write
    said: list[bytes] = field(default_factory=list)

    def reply(self, question: str) -> None:
        self.said.append(plain(json.dumps(completion(f"asked: {question}")).encode()))
        self.write(self.said[-1])


plain = partial(http, stays=True)


@contextmanager
def talkative(
    heard: Callable[[Talk, str], None], met: Callable[[Talk], None] = lambda talk: None
) -> Iterator[str]:
    """A server that keeps its connections; ``heard`` is called for every request."""

    def meet(connection: socket.socket) -> None:
        talk = Talk(connection.sendall)
        with connection.makefile("rb") as stream:
            met(talk)
            while body := read_body(stream):
                heard(talk, json.loads(body)["messages"][-1]["content"])

    with listening(meet) as there:
        yield f"http://{there}/v1"


def twice(talk: Talk, question: str) -> None:
    """Two replies at once."""
    reply = plain(json.dumps(completion(f"asked: {question}")).encode())
    talk.write(reply + reply)


def again(after_s: float) -> Callable[[Talk, str], None]:
    """The same reply a second time, a while later, whatever came meanwhile."""

    def heard(talk: Talk, question: str) -> None:
        talk.reply(question)
        late = talk.said[-1]

        def repeat() -> None:
            with suppress(OSError, ValueError):
                talk.write(late)

        threading.Timer(after_s, repeat).start()
        time.sleep(0.01)

    return heard


def last_first(talk: Talk, question: str) -> None:
    """Before each reply the one before it, as a proxy does that is one behind."""
    if talk.said:
        talk.write(talk.said[-1])
    talk.reply(question)


def and_a_piece(rest: bytes) -> Callable[[Talk, str], None]:
    def heard(talk: Talk, question: str) -> None:
        talk.reply(question)
        talk.write(rest)

    return heard


def announced(talk: Talk, question: str) -> None:
    talk.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    talk.reply(question)


FALSE = plain(json.dumps(completion("nobody asked")).encode())
TALK: dict[str, Callable[[Talk, str], None]] = {
    "two replies at once": twice,
    "a second reply 5 ms later": again(0.005),
    "a second reply 50 ms later": again(0.05),
    "the last reply before each": last_first,
    "a reply to nobody": and_a_piece(FALSE),
    "half a reply to nobody": and_a_piece(FALSE[:40]),
    "line breaks": and_a_piece(b"\r\n\r\n"),
    "a refusal to nobody": and_a_piece(plain(b"{}", status="401 Unauthorized")),
    "noise": and_a_piece(b"\x00\xff" * 50),
    "interim replies": announced,
}


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("kind", TALK)
def test_every_answer_is_the_one_to_its_own_question(
    kind: str, at_once: int, tmp_path: Path
) -> None:
    with talkative(TALK[kind]) as url:
        name = recipe(tmp_path, url, problems=ROWS, teacher={"concurrency": at_once})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert_all_there(tmp_path / "run", ROWS)
    for row in traces(tmp_path / "run").iter_rows(named=True):
        assert row["response"] == f"asked: {row['messages'][-1]['content']}"


def test_an_answer_that_came_before_its_question_is_none(tmp_path: Path) -> None:
    greeted: list[bool] = []

    def met(talk: Talk) -> None:
        greeted.append(True)
        if len(greeted) <= 3:
            talk.write(FALSE)
            time.sleep(0.05)

    with talkative(lambda talk, question: talk.reply(question), met) as url:
        name = recipe(tmp_path, url, problems=ROWS, teacher={"concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    kept = traces(tmp_path / "run")
    early = kept.filter(kept["response"] == "nobody asked").height
    assert early <= 3  # of the connections that were greeted, and not of what followed
    assert kept.height == ROWS


def test_what_came_before_its_question_is_not_kept_to_become_an_answer_later() -> None:
    def met(talk: Talk) -> None:
        talk.write(FALSE)
        time.sleep(0.1)

    async def ask(url: str) -> None:
        long = "x " * 3_000_000  # more than a connection takes up before it is read
        one = Endpoint(base_url=url, model="m", concurrency=1, timeout_s=10)
        await send(client_of(one), {"messages": [{"role": "user", "content": long}]})

    with talkative(lambda talk, question: None, met) as url:
        with pytest.raises(Transient, match="before the request was sent") as caught:
            asyncio.run(ask(url))
        assert (caught.value.billed, caught.value.body) == (False, None)


GOOD = json.dumps(completion()).encode()
LENGTH = f"Content-Length: {len(GOOD)}"
# Replies of which two programs may see two different ends
CHUNKS = f"Transfer-Encoding: chunked\r\n\r\n{len(GOOD):x}\r\n{GOOD.decode()}\r\n0\r\n"
TORN = {
    "two lengths": plain(GOOD, "Content-Length: 5"),
    "a length and chunks": f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{CHUNKS}\r\n".encode(),
    "trailers": f"HTTP/1.1 200 OK\r\n{CHUNKS}Content-Length: 5\r\n\r\n".encode(),
    "a reply within a header": plain(GOOD, f"X-A: b\r\n\r\n{FALSE.decode()}"),
    "no content, with a body": plain(GOOD, status="204 No Content"),
    "not modified, with a body": plain(GOOD, status="304 Not Modified"),
    "another protocol": plain(GOOD, "Connection: upgrade", status="101 Switching Protocols"),
    "no length at all": b"HTTP/1.1 200 OK\r\n\r\n" + GOOD,
    "an old version": b"HTTP/1.0 200 OK\r\n\r\n" + GOOD,
}


@pytest.mark.parametrize("shape", TORN)
def test_a_reply_with_two_ends_is_an_answer_or_none_and_touches_no_other_row(
    shape: str, tmp_path: Path
) -> None:
    torn: list[str] = []

    def heard(talk: Talk, question: str) -> None:
        if question == "What is 0 + 1?" and not torn:
            torn.append(question)
            talk.write(TORN[shape])
            raise OSError  # hangs up
        talk.reply(question)

    with talkative(heard) as url:
        name = recipe(tmp_path, url, problems=4, teacher={"concurrency": 1})
        with suppress(StoppedError):  # a 304 counts as a redirect
            assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    for row in traces(tmp_path / "run").iter_rows(named=True):
        question = row["messages"][-1]["content"]
        wanted = {f"asked: {question}"} | (
            {"\\boxed{4}", "nobody asked"} if question in torn else set()
        )
        wanted |= (
            {"nobody asked"} if shape == "a reply within a header" and question in torn else set()
        )
        assert row["response"] in wanted


def test_a_body_that_breaks_later_is_left_at_once(tmp_path: Path) -> None:
    broken: list[str] = []

    def heard(talk: Talk, question: str) -> None:
        if broken:
            talk.reply(question)
            return
        broken.append(question)
        talk.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")
        time.sleep(0.05)
        talk.write(b"too much of it\r\nno length\r\n")  # and the connection stays open

    with talkative(heard) as url:
        name = recipe(tmp_path, url, problems=1, teacher={"timeout_s": 60})
        begun = time.monotonic()
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
        assert time.monotonic() - begun < 30
    assert errors(tmp_path / "run") == ["connection broken (ClientPayloadError)"]


def test_a_connection_that_is_closed_while_idle_costs_nothing(tmp_path: Path) -> None:
    with raw_server(lambda n: [http(GOOD)]) as server:
        name = recipe(tmp_path, server.url, problems=ROWS, teacher={**PRICE, "concurrency": 1})
        assert distill.generate(name, out=tmp_path / "run") == Exit.DONE
    assert errors(tmp_path / "run") == []
    assert ledger(tmp_path / "run", "SELECT COUNT(*) FROM attempts") == [ROWS]
