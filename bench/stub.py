"""Starts the stub teacher and reads its counters. The server itself is a file given by path.

Its counters say what every client did, so no figure rests on what a client says of itself.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.machine import on_core

LIVES_S = 14_400  # it ends by itself should the benchmark be killed


@dataclass(frozen=True, slots=True)
class Stub:
    """A running stub teacher."""

    address: str  # http://127.0.0.1:PORT

    @property
    def url(self) -> str:
        """What a recipe calls ``base_url``."""
        return f"{self.address}/v1"

    def stats(self) -> dict[str, Any]:
        """Its counters: total, ok, unique_done, resent_after_200, max_inflight, …"""
        return self._get("stats")

    def reset(self, *, latency_s: float = 0.0) -> None:
        """Counts from zero, and answers after ``latency_s`` from now on."""
        self._get(f"config?latency={latency_s}")
        self._get("reset")

    def _get(self, path: str) -> dict[str, Any]:
        with urlopen(f"{self.address}/{path}", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def running(path: Path, *, answer_kb: int) -> Iterator[Stub]:
    """A stub teacher on a free loopback port and a core of its own, while the block runs."""
    port = _free_port()
    command = [sys.executable, str(path), "--port", str(port), "--kb", str(answer_kb)]
    with on_core(0):
        server = subprocess.Popen(
            [*command, "--max-s", str(LIVES_S)], stdout=subprocess.PIPE, text=True
        )
    try:
        assert server.stdout is not None
        if "stub on" not in server.stdout.readline():
            msg = f"{path}: did not start"
            raise SystemExit(msg)
        yield Stub(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.communicate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
