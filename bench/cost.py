"""What asking cost: the order for one measured process, and what comes back from it.

Only what the process itself counts; wall time and CPU time, never one in place of the other.
"""

import resource
import time
from dataclasses import dataclass
from typing import Literal, Self

Side = Literal["bare", "sdk", "distill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One measured process: which side asks how many questions of whom."""

    side: Side
    url: str  # ends in /v1
    count: int  # questions 0 … count-1; question ``count`` is asked before the measuring begins
    concurrency: int
    folder: str  # for distill: holds warm/ and asked/ with a recipe each


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """CPU time (user and system, threads and ended children) and wall time of one stretch."""

    cpu_s: float
    wall_s: float

    @classmethod
    def so_far(cls) -> Self:
        """Since this process began (CPU) and since some fixed moment (wall)."""
        whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        used = [resource.getrusage(who) for who in whose]
        return cls(cpu_s=sum(u.ru_utime + u.ru_stime for u in used), wall_s=time.perf_counter())

    def since(self, before: "Spent") -> "Spent":
        """What was spent between two moments."""
        return Spent(cpu_s=self.cpu_s - before.cpu_s, wall_s=self.wall_s - before.wall_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one job cost."""

    count: int
    start_cpu_s: float  # of the process, its imports and a first request
    asking: Spent  # from the first request until the last answer is kept
    whole: Spent  # for distill also reading the problems and writing traces/
    peak_mb: float
    disk_bytes: int = 0  # of distill's ledger

    def asking_us(self) -> float:
        """CPU microseconds a request, asking alone."""
        return self.asking.cpu_s / self.count * 1e6

    def whole_us(self) -> float:
        """CPU microseconds a request, the whole command but for its start."""
        return self.whole.cpu_s / self.count * 1e6

    def per_s(self) -> float:
        """Requests per second of wall time, asking alone."""
        return self.count / self.asking.wall_s
