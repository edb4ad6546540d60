"""Chooses how many threads compute on a CPU: as many as there are cores that others leave free.

Threads of one computation wait for each other many times a millisecond. If one of them shares its
core with another process, all of them run at the pace of its turns, so a thread too many is worse
than one too few. Measured on two cores of which another process took one: two threads that spin
while they wait wrote 16 tokens/s, two that sleep 30, one 30.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.5  # how long to watch the cores: 50 ticks of /proc/stat
LOOKS = 3  # before a core counts as taken
# Times that a waiting thread looks again before it sleeps; libgomp's own default is 300,000. 300 is
# some microseconds: enough for threads that end together, too little to matter where one is late.
# Tokens per second of CPU beside a load of 10: 0.8 with the default, 2.6 with 1,000, 2.9 with 300.
SPINS = 300
SAID = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """How many threads to compute with, and why."""

    count: int
    why: str  # half a sentence

    def __str__(self) -> str:
        return f"{self.count} thread{'s' if self.count > 1 else ''}, {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the cores that this process may use had done at one moment, in seconds."""

    at: float
    busy: float  # core-seconds of all processes, and of other machines on the same cores
    own: float  # core-seconds of this process


def choose(*, cores: int, taken: float, quota: float | None = None) -> Threads:
    """One thread for each core that is free; at least one.

    Args:
        cores: that this process may use.
        taken: how many of them others keep busy, 0 to ``cores``.
        quota: core-seconds a second that its control group may use; None: no limit.
    """
    count = round(cores - taken)
    why = f"because other processes keep {taken:.1f} of {cores} cores busy"
    if count >= cores:
        count, why = cores, f"one for each of {cores} cores" if cores > 1 else "the only core"
    if quota is not None and quota < count:
        count, why = int(quota), f"because the control group allows {quota:g} cores"
    return Threads(count=max(1, count), why=why)


def chosen(asked: int | None, *, key: str, env: Mapping[str, str] = os.environ) -> Threads:
    """What the recipe asks for, else what the environment does, else what is free right now.

    Looks up to LOOKS times, because what is busy for a moment (a page that opens) must not leave a
    core unused for hours; on an idle machine once.

    Args:
        asked: the recipe's value; None: not set.
        key: its name, e.g. ``serve.threads``.
        env: ``OMP_NUM_THREADS`` is read from it.
    """
    if (found := fixed(asked, key=key, env=env)) is not None:
        return found
    looks: list[Threads] = []
    while len(looks) < LOOKS and (not looks or looks[-1].count < len(_cores())):
        before = moment()
        time.sleep(LOOK_S)
        looks.append(free(before, moment()))
    return max(looks, key=lambda look: look.count)


def fixed(asked: int | None, *, key: str, env: Mapping[str, str] = os.environ) -> Threads | None:
    """The threads that somebody asked for; None if nobody did."""
    if asked is not None:
        return Threads(count=asked, why=f"as {key} says")
    said = env.get(SAID, "").partition(",")[0].strip()
    if said.isdecimal() and int(said):
        return Threads(count=int(said), why=f"as {SAID} says")
    return None


def free(before: Moment, after: Moment) -> Threads:
    """As many threads as there were free cores between two moments."""
    passed = max(after.at - before.at, 1e-3)
    others = (after.busy - before.busy) - (after.own - before.own)
    cores = len(_cores())
    taken = min(max(others / passed, 0.0), float(cores))
    return choose(cores=cores, taken=taken, quota=quota())


def moment() -> Moment:
    """Now. Where there is no /proc (macOS), nobody else is ever busy."""
    return Moment(at=time.monotonic(), busy=_busy(), own=time.process_time())


def patient(env: Mapping[str, str]) -> dict[str, str]:
    """What makes OpenMP's threads sleep while they wait, for a new process; not if ``env`` decides.

    libgomp reads the one, Intel's OpenMP the other.
    """
    if any(name in env for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")):
        return {}
    return {"GOMP_SPINCOUNT": str(SPINS), "KMP_BLOCKTIME": "0"}


def quota(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Cores that this process's control groups allow (a container's limit); None: no limit."""
    limits = [limit for folder in _groups(root, own) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _busy() -> float:
    """Core-seconds that our cores were not idle (proc(5): user, nice, system, irqs, steal)."""
    mine, ticks = {f"cpu{core}" for core in _cores()}, 0
    for line in _lines(Path("/proc/stat")):
        name, *times = line.split()
        if name in mine:
            ticks += sum(map(int, (*times[0:3], *times[5:8])))
    return ticks / os.sysconf("SC_CLK_TCK")


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The group of this process and those above it; a container sees its own as the root."""
    for line in _lines(own):
        _, kinds, path = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):  # version 1, another controller
            continue
        top = root / "cpu" if kinds else root
        group = top / path.lstrip("/")
        yield from (group, *(above for above in group.parents if above.is_relative_to(top)))


def _limit(group: Path) -> float | None:
    """Quota over period: cgroup v2's cpu.max, or the two files of version 1."""
    said = " ".join(_lines(group / "cpu.max")).split()
    said = said or _lines(group / "cpu.cfs_quota_us") + _lines(group / "cpu.cfs_period_us")
    if len(said) != 2 or said[0] in ("max", "-1"):
        return None
    return int(said[0]) / int(said[1])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
