"""A connection for one request: opened, written to once, read to the end of one reply.

HTTP/1.1 ties an answer to its request by the connection alone. On one that is used again, a second
reply that comes late would be taken for the answer to the next request.

Of aiohttp only the protocol and its parser are used: its session costs 0.2 ms of CPU a request
more, nearly all of it for what is the same every time (``bench/generate.py``).
"""

import asyncio
import errno
import ipaddress
import os
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
from aiohappyeyeballs import AddrInfoType, pop_addr_infos_interleave, start_connection
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import SERVER_SOFTWARE, RawResponseMessage
from yarl import URL

CODINGS = "gzip, deflate"  # that a server may use; ``body`` undoes them
HEAD_ENDS = b"\r\n\r\n"
HEADS = 4  # of interim replies and the reply's own, in one read
# Of one line of a reply's head, where aiohttp allows 8,190: the answer behind it was paid for.
MOST_HEADER_BYTES = 2**18
MOST_HEADERS = 2**10  # where it allows 128
CONNECT_S = 10.0  # an address that takes longer for a handshake, TCP's or TLS's, is down
NEXT_AFTER_S = 0.25  # RFC 8305: the next address of a host is tried beside one that is slow
CONNECTED = (0, errno.EISCONN)
NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[\da-f]*)", re.IGNORECASE)  # as in inet_aton(3)
# Between connections before a host's first reply: many servers let only five wait to be accepted
# (the backlog of http.server and of cpp-httplib), and requests on connections beyond are lost.
APART_S = 0.0006
KNOWN_S = 10.0  # how long the addresses of a host are believed


class NoAddress(Exception):
    """No request can ever be sent to such a URL."""


class NotConnected(Exception):
    """Nobody was reached, so nothing was sent; its cause is the error."""


class OneReply(ResponseHandler):
    """Keeps a reply although what follows it is broken.

    If anything in one read is not HTTP (a body longer than declared, say), the parser drops all of
    that read: so it gets a reply's head by itself. A body that turns out to be broken in a later
    read ends there; aiohttp would wait for the rest until the deadline.
    """

    _sent = False

    def send(self, request: bytes) -> None:
        """Sends the one request of this connection."""
        if self.transport is None:  # closed already; ``receive`` says why
            return
        self.transport.set_write_buffer_limits(high=1, low=0)  # so that ``left`` is exact
        self.set_response_params(
            read_until_eof=True,
            auto_decompress=False,  # ``body`` does it
            max_line_size=MOST_HEADER_BYTES,
            max_field_size=MOST_HEADER_BYTES,
            max_headers=MOST_HEADERS,
        )
        self.transport.write(request)
        self._sent = True

    @property
    def left(self) -> bool:
        """Whether all of the request was handed to the system: before, nobody can answer it."""
        return self._sent and not self.writing_paused

    async def receive(self) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        """The reply's head, and its body as it comes; interim replies are skipped.

        Raises:
            aiohttp.ClientError, aiohttp.http.HttpProcessingError: there is none.
        """
        while True:
            message, content = await self.read()
            if not 100 <= message.code < 200 or message.code == 101:
                return message, content

    def data_received(self, data: bytes) -> None:
        """Takes what the connection has read."""
        for _ in range(HEADS):
            head, mark, rest = data.partition(HEAD_ENDS)
            if not (mark and rest) or self.exception() is not None:
                break
            super().data_received(head + mark)
            data = rest
        if self.exception() is None:
            super().data_received(data)
        body = self._payload
        if self.exception() is not None and body is not None and not body.is_eof():
            body.set_exception(aiohttp.ClientPayloadError("no HTTP any more"))


@dataclass(slots=True)
class Route:
    """The way to the host of a URL. ``trust`` is for https; what is of no use else."""

    url: str
    trust: ssl.SSLContext | None
    _known: list[AddrInfoType] = field(default_factory=list)
    _known_until: float = 0.0  # monotonic seconds
    _asking: "asyncio.Task[None] | None" = None
    answered: bool = False  # later connections follow on replies, so the server is keeping up
    _next: float = 0.0  # by the loop's clock: when the next connection may be opened

    async def open(self) -> OneReply:
        """A new connection to the first of the host's addresses that answers.

        Raises:
            NoAddress: there can be none at such a URL.
            NotConnected: none answers, or TLS fails.
        """
        host = parsed(self.url).raw_host or ""
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(host)
        if not self.answered:
            now = loop.time()
            self._next = max(now, self._next + APART_S)
            await asyncio.sleep(self._next - now)
        while True:
            try:
                _, reply = await loop.create_connection(
                    partial(OneReply, loop), sock=await _reached(addresses), **self._tls(host)
                )
                return reply
            except OSError as error:
                pop_addr_infos_interleave(addresses, 1)
                if not addresses:
                    raise NotConnected(_kind(error)) from error

    def _tls(self, host: str) -> dict[str, Any]:
        if self.trust is None:
            return {}
        name = host.rstrip(".")
        return {"ssl": self.trust, "server_hostname": name, "ssl_handshake_timeout": CONNECT_S}

    async def _addresses(self, host: str) -> list[AddrInfoType]:
        """Those of the host, each first in turn; the system is asked once for all who wait."""
        if time.monotonic() >= self._known_until:
            if self._asking is None:
                self._asking = asyncio.ensure_future(self._resolved(host))
                self._asking.add_done_callback(_seen)
            try:
                await asyncio.shield(self._asking)
            except OSError as error:
                raise NotConnected(_kind(error)) from error
            except UnicodeError as error:
                raise NoAddress from error
        self._known.append(self._known.pop(0))
        return list(self._known)

    async def _resolved(self, host: str) -> None:
        """Keeps what the system says, although perhaps nobody waits for it any more."""
        try:
            found: list[Any] = await asyncio.get_running_loop().getaddrinfo(
                host,
                parsed(self.url).port,
                type=socket.SOCK_STREAM,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_ADDRCONFIG,
            )
            self._known, self._known_until = found, time.monotonic() + KNOWN_S
        finally:
            self._asking = None


def _seen(asked: "asyncio.Task[None]") -> None:
    """Marks a failure as noticed: perhaps nobody waits for it any more."""
    if not asked.cancelled():
        asked.exception()


async def _reached(addresses: list[AddrInfoType]) -> socket.socket:
    """A socket that is connected to one of them; most hosts have one, which costs a third."""
    loop = asyncio.get_running_loop()
    if len(addresses) > 1:
        async with asyncio.timeout(CONNECT_S):
            return await start_connection(
                addresses, happy_eyeballs_delay=NEXT_AFTER_S, interleave=1, loop=loop
            )
    family, kind, protocol, _, address = addresses[0]
    handle, connected = socket.socket(family, kind, protocol), False
    try:
        handle.setblocking(False)
        # on this machine the second call finds it done: the loop need not wait for it
        if all(handle.connect_ex(address) not in CONNECTED for _ in range(2)):
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(handle, address)
        connected = True
    finally:
        if not connected:
            handle.close()
    return handle


def parsed(url: str) -> URL:
    """As the client reads it.

    Raises:
        NoAddress: there is no host in it that people recognise, or no port where one should be.
    """
    try:
        found = URL(url)
        if found.raw_host and found.port and not _is_disguised(found.raw_host):
            return found
    except ValueError as error:
        raise NoAddress from error
    raise NoAddress


def _is_disguised(host: str) -> bool:
    """Whether it is an IPv4 address in a form that people do not recognise: 127.1, 2130706433."""
    if NUMERIC.fullmatch(host) is None:
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def request_head(url: str, key: str) -> bytes:
    """A request's head up to the length of its body; without a key where that is empty.

    Raises:
        NoAddress: as ``parsed``.
    """
    to = parsed(url)
    lines = [
        f"POST {to.raw_path_qs} HTTP/1.1",
        f"Host: {to.host_port_subcomponent}",
        "Content-Type: application/json",
        "Accept: application/json",
        f"Accept-Encoding: {CODINGS}",
        f"User-Agent: {SERVER_SOFTWARE}",
        *([f"Authorization: Bearer {key}"] if key else []),
        "Connection: close",
        "Content-Length: ",
    ]
    return "\r\n".join(lines).encode()


def _kind(error: OSError) -> str:
    """What the ledger calls it."""
    if isinstance(error, socket.gaierror):
        return str(error.strerror or "no such host").lower()
    if isinstance(error, TimeoutError | ConnectionAbortedError) and error.errno is None:
        return "timeout"  # the second is asyncio's own for a handshake
    if isinstance(error, ssl.SSLError):
        return "no TLS handshake"
    return os.strerror(error.errno).lower() if error.errno else "no address answers"
