"""The machine under a benchmark: what it is, its cores, a process's memory. Measures no client.

Written for Linux; elsewhere nothing is pinned and peaks come from ``getrusage``.
"""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("distill-factory", "aiohttp", "orjson", "openai", "polars", "zstandard", "uvloop")
FILES = 20_000  # open files wanted: a connection each, at the largest concurrency twice over


def header(work: Path) -> str:
    """What every figure below it depends on, as lines of text."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    lines = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, {_cpu_model()}, {platform.system()}, load {load}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "commit": _commit(),
        "runs on": f"{_filesystem(work)} (commits are fsynced there)",
        "pinned": "stub on one core, clients on another" if _pinned() else "no",
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def raise_file_limit() -> None:
    """Lets this process and its children open enough sockets for the largest concurrency."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextmanager
def on_core(which: int) -> Iterator[None]:
    """Processes started in the block stay on one core: 0 is the stub's, 1 the clients'."""
    if not _pinned():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def peak_mb(pid: int | str = "self") -> float | None:
    """The most memory (MB) that a running process has held; None where that cannot be read.

    Not ``ru_maxrss``, which starts at the size of the process that spawned it.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def peak_mb_of(usage: resource.struct_rusage) -> float:
    """The most memory (MB) of a process that has ended; kilobytes on Linux, bytes on macOS."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def _pinned() -> bool:
    return hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) >= 2


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    with suppress(OSError):
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return said.stdout.strip() or "unknown"
    return "unknown"


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds ``folder``: on tmpfs a commit would cost nothing."""
    found, where = "unknown", folder.resolve().as_posix()
    with suppress(OSError):
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        for _, point, kind, *_ in sorted(mounts, key=lambda mount: len(mount[1])):
            if f"{where}/".startswith(f"{point.rstrip('/')}/"):
                found = kind
    return found
