"""A very cheap teacher for benchmarks of clients:  python -m bench.stub_teacher --port PORT

Answers any POST with one chat completion of ``--kb`` kilobytes. GET /config?latency=SECONDS, /reset
and /stats set and read what it counts, by the ``#ID=<digits>#`` that stands in each request. It
must be cheaper than any client, or it is what gets measured: so HTTP is parsed by hand, and the
answer is made once. On loopback only.
"""

import argparse
import asyncio
import json
import re
from dataclasses import dataclass, field

ID = re.compile(rb"#ID=(\d+)#")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LATENCY = re.compile(rb"[?&]latency=([\d.]+)")
PARAGRAPH = (
    "Okay, let me see: $x^2 - 5x + 6 = 0$. I factor it, and (x - 2)(x - 3) = 0.\n"
    'Wait, let me check: 2 + 3 = 5 and 2 \\cdot 3 = 6. "Yes", so x ∈ {2, 3}.\n\n'
)


@dataclass(slots=True)
class Counts:
    """What clients did since the last /reset."""

    total: int = 0
    ok: int = 0
    inflight: int = 0
    max_inflight: int = 0
    resent_after_200: int = 0  # asked again although it had been answered
    done: set[bytes] = field(default_factory=set)

    def stats(self) -> dict[str, int]:
        whole = {name: getattr(self, name) for name in self.__slots__ if name != "done"}
        return {**whole, "unique_done": len(self.done)}


@dataclass(slots=True)
class Server:
    """What all connections share."""

    reply: bytes
    latency_s: float = 0.0
    counts: Counts = field(default_factory=Counts)


def completion(kilobytes: int) -> bytes:
    """The body of every answer: three quarters of it are reasoning."""
    size = kilobytes * 1024
    text = PARAGRAPH * (size // len(PARAGRAPH) + 1)
    message = {
        "role": "assistant",
        "content": text[: size // 5] + "\n\\boxed{5}",
        "reasoning_content": text[: size * 3 // 4],
    }
    usage = {"prompt_tokens": 64, "completion_tokens": size // 4, "total_tokens": 64 + size // 4}
    whole = {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 1,
        "model": "stub",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": usage,
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One client's, kept open."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            found = LENGTH.search(head)
            last = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < last:
                return
            body = bytes(self.buffer[end + 4 : last])
            del self.buffer[:last]
            if head.startswith(b"POST"):
                self._asked(body)
            else:
                self._told(head)

    def _asked(self, body: bytes) -> None:
        counts, found = self.server.counts, ID.search(body)
        name = found[1] if found else b""
        counts.total += 1
        counts.inflight += 1
        counts.max_inflight = max(counts.max_inflight, counts.inflight)
        counts.resent_after_200 += name in counts.done
        if self.server.latency_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.server.latency_s, self._answer, name, counts)
        else:
            self._answer(name, counts)

    def _answer(self, name: bytes, counts: Counts) -> None:
        counts.inflight -= 1
        if not self.transport.is_closing():
            self.transport.write(self.server.reply)
            counts.ok += 1
            counts.done.add(name)

    def _told(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/reset"):
            self.server.counts = Counts()
        if found := LATENCY.search(path):
            self.server.latency_s = float(found[1])
        self.transport.write(http(json.dumps(self.server.counts.stats()).encode()))


async def serve(port: int, kilobytes: int, lives_s: float) -> None:
    server = Server(http(completion(kilobytes)))
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096)
    print("stub on", flush=True)
    await asyncio.sleep(lives_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kb", type=int, default=8)
    parser.add_argument("--max-s", type=float, default=14_400)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.kb, given.max_s))


if __name__ == "__main__":
    main()
