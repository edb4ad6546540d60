"""Watches the memory of a process and of all that it starts. Linux only."""

import threading
import time
from contextlib import suppress
from pathlib import Path


class Tree(threading.Thread):
    """Watches the memory of a process and all below it until it is gone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.pss_mb, self.rss_mb = pid, 0.0, 0.0

    def run(self) -> None:
        while Path(f"/proc/{self.pid}/stat").exists():
            found = [_memory(pid) for pid in _below(self.pid)]
            self.pss_mb = max(self.pss_mb, sum(pss for pss, _ in found))
            self.rss_mb = max([self.rss_mb, *(rss for _, rss in found)])
            time.sleep(0.5)


def _below(pid: int) -> list[int]:
    """A process and its descendants."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                left += map(int, task.read_text().split())
    return found


def _memory(pid: int) -> tuple[float, float]:
    """(PSS, RSS) in MB; nothing of a process that has just ended."""
    sizes = {"Pss:": 0.0, "Rss:": 0.0}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, *rest = line.split()
            if name in sizes:
                sizes[name] = int(rest[0]) / 1024
    return sizes["Pss:"], sizes["Rss:"]
