"""What this machine has for a training: its device, free memory, and what was held of it."""

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from distill.training.speed import Device, cpu_flops, tflops

CPU = "this CPU"


def device_here(*, gpu: bool, half: bool) -> Device:
    """What each of the processes that train here has.

    Args:
        gpu: whether it trains on a GPU.
        half: computes in bfloat16, else float32.
    """
    count = processes()
    if not gpu:  # processes share the memory and the cores
        memory, flops = free_memory() + _resident(), cpu_flops(half=half)
        return Device(gpu=False, memory=memory / count, flops=flops / count, count=count, name=CPU)
    import torch

    card = torch.cuda.get_device_properties(int(os.environ.get("LOCAL_RANK", 0)))
    flops = tflops(card.name) * 1e12
    return Device(gpu=True, memory=card.total_memory, flops=flops, count=count, name=card.name)


def processes() -> int:
    """How many train together, this one included."""
    return int(os.environ.get("WORLD_SIZE", 1))  # set by torch's launcher


def first_process() -> bool:
    """Whether this process writes and speaks, of those that train together."""
    return os.environ.get("RANK", "0") == "0"  # set by torch's launcher


def held_here(*, gpu: bool) -> float:
    """The most memory that this process has held, bytes: of its GPU, or resident."""
    if gpu:
        import torch

        return float(torch.cuda.max_memory_allocated())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most) if sys.platform == "darwin" else most * 1024.0


def free_memory(
    root: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
    memory: Path = Path("/proc/meminfo"),
) -> float:
    """Bytes that this process may still take: what is free, and what its limits allow."""
    found = [_kib(memory, "MemAvailable:"), *_limits(root, own), _address_space()]
    least = min((one for one in found if one is not None), default=None)
    if least is None:  # not Linux
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return max(least, 0.0)


def _resident() -> float:
    pages = _words(Path("/proc/self/statm"))
    return float(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0.0


def _address_space() -> float | None:
    """What ``ulimit -v`` leaves; more than that of memory cannot be had either."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _words(Path("/proc/self/statm"))
    if most == resource.RLIM_INFINITY or not pages:
        return None
    return most - float(pages[0]) * os.sysconf("SC_PAGE_SIZE")


def _limits(root: Path, own: Path) -> Iterator[float]:
    """What each control group above this process leaves free; version 2, then version 1."""
    for line in own.read_text(encoding="ascii").splitlines() if own.is_file() else ():
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "memory" if kinds else root
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        most, taken = names if kinds else ("memory.max", "memory.current")
        group = top / path.lstrip("/")
        for folder in (group, *(one for one in group.parents if one.is_relative_to(top))):
            limit, used = _words(folder / most), _words(folder / taken)
            if limit and used and limit[0].isdecimal():
                yield float(limit[0]) - float(used[0])


def _kib(path: Path, name: str) -> float | None:
    words = _words(path)
    return float(words[words.index(name) + 1]) * 1024 if name in words else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
