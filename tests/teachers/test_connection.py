"""A request's own connection: which address it goes to, and what an unreachable one costs."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from distill.errors import StoppedError
from distill.teachers import connection
from distill.teachers.client import Client, Transient, client_of, send
from distill.teachers.endpoint import Endpoint
from tests.builders.faults import GOOD, listen  # noqa: F401
from tests.builders.sockets import http, raw_server

BODY = {"model": "m", "messages": []}


def client(url: str) -> Client:
    return client_of(Endpoint(base_url=url, model="m", concurrency=1, timeout_s=30))


def address(host: str, port: int) -> Any:
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_host_is_reached_although_its_first_addresses_are_dead(dead: int) -> None:
    with raw_server(lambda n: [http(GOOD)]) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        mine = client(server.url)
        port = int(server.url.split(":")[2].split("/")[0])
        mine.route._known = [
            address("127.0.0.1", port),
            *(address("127.0.0.1", closed.getsockname()[1]) for _ in range(dead)),
        ]
        mine.route._known_until = float("inf")

        async def go() -> list[str]:
            return [(await send(mine, BODY))[0].response for _ in range(3)]

        assert asyncio.run(go()) == ["\\boxed{4}"] * 3
        assert server.asked == 3


@pytest.mark.parametrize("host", ["0", "127.1", "2130706433", "0x7f.1", "0x7F000001"])
def test_an_address_that_nobody_recognises_is_refused(host: str) -> None:
    with raw_server(lambda n: [http(GOOD)]) as server:
        port = server.url.split(":")[2].split("/")[0]
        with pytest.raises(StoppedError, match="no request can be sent"):
            asyncio.run(send(client(f"http://{host}:{port}/v1"), BODY))
        assert server.asked == 0


def test_the_addresses_of_a_host_are_looked_up_once_for_all_who_wait() -> None:
    asked: list[object] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        look_up = loop.getaddrinfo

        async def counted(*args: Any, **values: Any) -> Any:
            asked.append(args)
            return await look_up(*args, **values)

        loop.getaddrinfo = counted  # type: ignore[method-assign]
        mine = client(server.url)
        await asyncio.gather(*(send(mine, BODY) for _ in range(20)))

    with raw_server(lambda n: [http(GOOD)]) as server:
        asyncio.run(go())
    assert len(asked) == 1


def test_a_burst_of_requests_leaves_the_server_time_to_accept_each() -> None:
    opened: list[float] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def noted(*args: Any, **values: Any) -> Any:
            opened.append(loop.time())
            return await connect(*args, **values)

        loop.create_connection = noted  # type: ignore[method-assign]
        mine = client(server.url)
        await asyncio.gather(*(send(mine, BODY) for _ in range(40)))

    with raw_server(lambda n: [http(GOOD)]) as server:
        asyncio.run(go())
    assert len(opened) == 40
    assert opened[-1] - opened[0] >= 38 * connection.APART_S


def test_an_address_that_comes_when_nobody_waits_any_more_serves_the_next_request() -> None:
    async def go() -> str:
        loop = asyncio.get_running_loop()
        look_up, late = loop.getaddrinfo, asyncio.Event()

        async def slow(*args: Any, **values: Any) -> Any:
            await late.wait()
            return await look_up(*args, **values)

        loop.getaddrinfo = slow  # type: ignore[method-assign]
        mine = client(server.url)
        first = asyncio.create_task(send(mine, BODY))
        while mine.route._asking is None:
            await asyncio.sleep(0)
        asking = mine.route._asking
        first.cancel()
        await asyncio.wait([first])
        late.set()
        await asking
        return (await send(mine, BODY))[0].response

    with raw_server(lambda n: [http(GOOD)]) as server:
        assert asyncio.run(go()) == "\\boxed{4}"


def test_a_tls_handshake_that_is_never_answered_is_no_connection_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mine = client(f"https://127.0.0.1:{silent.getsockname()[1]}/v1")
        assert isinstance(mine.route.trust, ssl.SSLContext)
        with pytest.raises(Transient, match=r"no connection \(timeout\)") as caught:
            asyncio.run(send(mine, BODY))
    assert not caught.value.billed


def test_a_key_is_shown_by_no_client() -> None:
    mine = client("http://127.0.0.1:9/v1")
    mine.heads["http://127.0.0.1:9/v1"] = b"Authorization: Bearer canary"
    assert "canary" not in repr(mine)
