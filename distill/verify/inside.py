"""The inside of a worker: its limits, and the loop that answers. Decides nothing itself."""

import gc
import json
import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from distill.verify import scorers, symbolic
from distill.verify.symbolic import Reply

MEMORY_BYTES = 2**30  # address space of a worker; sympy and the parser take about 0.3 GB of it
CPU_S = 6  # seconds of one question, if the host is gone and cannot kill


def serve(kind: str) -> None:
    """Answers one line of JSON with another until the host closes its end."""
    replies = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # what a library prints is no reply
    logging.disable(logging.CRITICAL)
    _limit_memory(kind)
    gc.disable()  # of what is imported nothing becomes garbage, and to look for it takes 5 %
    try:
        answer = _solver(kind)
    except ImportError as error:
        _say(replies, {"missing": str(error)})
        return
    gc.freeze()
    gc.enable()
    _say(replies, {"ready": True})
    for line in sys.stdin:
        _limit_cpu()
        try:
            reply = answer(json.loads(line))
        except MemoryError:
            _say(replies, {"why": "memory"})
            return  # what it has allocated goes with it
        _say(replies, reply)


def _say(replies: TextIO, reply: Reply) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _solver(kind: str) -> Callable[[Mapping[str, Any]], Reply]:
    return scorers.load() if kind == "gym" else symbolic.load()


def _limit_memory(kind: str) -> None:
    size = MEMORY_BYTES if kind == "math" else 2 * MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_cpu() -> None:
    """The kernel ends a worker whose host died in the middle of a question."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
