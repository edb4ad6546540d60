"""Servers below HTTP: what they say is bytes, and so may break every rule of it."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

Meet = Callable[[socket.socket], None]


@contextmanager
def listening(meet: Meet) -> Iterator[str]:
    """A port where ``meet`` is called with each connection, in a thread; gives HOST:PORT."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, ValueError):
                meet(self.request)

    class Threads(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Threads(("127.0.0.1", 0), Handler) as threads:
        thread = threading.Thread(target=threads.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{threads.server_address[1]}"
        threads.shutdown()
        thread.join(10)


def read_body(stream: BinaryIO) -> bytes | None:
    """The body of the next request; None where there is none, or not all of it."""
    length = 0
    while line := stream.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = stream.read(length)
    return body if len(body) == length > 0 else None


@dataclass
class RawServer:
    """Writes whatever bytes it is told to; n counts requests."""

    speak: Callable[[int], Iterable[bytes]]
    url: str = ""
    asked: int = 0
    sent: int = 0  # bytes that were taken off our hands
    lock: threading.Lock = field(default_factory=threading.Lock)

    def meet(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            if read_body(stream) is None:
                return
            with self.lock:
                self.asked += 1
                mine = self.asked
            for part in self.speak(mine):
                connection.sendall(part)
                self.sent += len(part)


@contextmanager
def raw_server(speak: Callable[[int], Iterable[bytes]]) -> Iterator[RawServer]:
    """A server that reads one request of each connection, says its bytes, and hangs up."""
    server = RawServer(speak)
    with listening(server.meet) as there:
        server.url = f"http://{there}/v1"
        yield server


def http(
    body: bytes,
    *headers: str,
    status: str = "200 OK",
    length: int | None = None,
    stays: bool = False,
) -> bytes:
    """A whole answer. ``length``: what its Content-Length says, if not the truth; ``stays``: the
    connection is left open."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    lines += [f"Content-Length: {len(body) if length is None else length}"]
    lines += [] if stays else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body
