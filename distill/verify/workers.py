"""Processes that answer questions and can be killed: started fresh, kept, replaced, never forked.

A question that takes longer than LIMIT_S costs its worker. Knows nothing of mathematics.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LIMIT_S = 2.0  # wall-clock seconds of one question
# And of one that had to wait for its worker to start, with that wait; but it gets half its time.
WHOLE_S = 2.4
SLOW_S = 0.4  # once one takes this long, the worker that may replace its own is started
START_S = 60.0  # to import what it needs, on a machine that is busy
RECYCLE = 5_000  # questions, after which a worker is replaced: sympy's and the parser's caches grow
TRIES = 2  # of a question whose worker died under it

Job = Mapping[str, Any]
# timeout: killed at LIMIT_S; died: its worker ended under it, twice; missing: nothing to import.
Failed = Literal["timeout", "died", "missing"]
Answer = dict[str, Any] | Failed
# The path is handed over: a program's own may have been changed since it was started.
BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from distill.verify.inside import serve; serve(sys.argv[2])"
)
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "TMPDIR", "SYSTEMROOT")


class Missing(Exception):
    """The worker has nothing to import."""


class Worker:
    """One process; not shared between threads."""

    def __init__(self, kind: str) -> None:
        """Starts it; it is not ready yet."""
        paths = json.dumps([str(Path(path).absolute()) for path in sys.path])
        # no key of a teacher reaches a process that parses what a model wrote
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, paths, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=Path(os.sep).absolute(),
            env={**env, "PYTHONHASHSEED": "0"},
            start_new_session=True,  # Ctrl-C is for the host
        )
        self.asked = 0
        self.ready = False

    def fileno(self) -> int:
        """Where its answers can be read."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def wait_ready(self) -> bool:
        """Whether it has started.

        Raises:
            Missing: it has nothing to import.
        """
        if self.ready:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            found = self.receive() if selector.select(START_S) else None
        if found and "missing" in found:
            raise Missing(found["missing"])
        self.ready = found is not None
        return self.ready

    def send(self, job: Job) -> bool:
        """Whether the question could be handed over."""
        assert self.process.stdin is not None
        self.asked += 1
        left = memoryview(json.dumps(job).encode() + b"\n")
        try:
            while left:
                left = left[self.process.stdin.write(left) or 0 :]
        except OSError:
            return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """What it says next; None if it has ended."""
        data = b""
        while not data.endswith(b"\n"):
            part = os.read(self.fileno(), 65_536)
            if not part:
                return None
            data += part
        found: dict[str, Any] = json.loads(data)
        return found

    def close(self) -> None:
        """Kills it and waits for its end: no zombie stays."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


@dataclass(slots=True)
class Crew:
    """The workers of one batch and its questions."""

    kind: str
    jobs: Sequence[Job]
    idle: list[Worker]
    answers: list[Answer]
    waiting: deque[int]
    spare: Worker | None = None
    busy: dict[Worker, tuple[int, float]] = field(default_factory=dict)  # (question, since)
    tries: dict[int, int] = field(default_factory=dict)

    def replace(self, worker: Worker) -> None:
        """Puts another in its place, which has been starting for a while if it was slow."""
        worker.close()
        fresh, self.spare = self.spare or Worker(self.kind), None
        self.idle.append(fresh)


class Pool:
    """The workers of one kind, shared by all threads of this process."""

    def __init__(self, kind: str, *, most: int | None = None) -> None:
        """Starts nothing yet; ``most`` workers at once, as many as there are cores unless said."""
        self.kind = kind
        self.most = most or max(1, os.cpu_count() or 1)
        self.idle: list[Worker] = []
        self.lent = 0
        self.changed = threading.Condition()

    def answer(self, jobs: Sequence[Job], *, workers: int = 1) -> list[Answer]:
        """An answer or failure for each question, in order, by up to ``workers`` at once."""
        if not jobs:
            return []
        with self._lent(min(workers, len(jobs))) as idle:
            answers: list[Answer] = ["died"] * len(jobs)
            crew = Crew(self.kind, jobs, idle, answers, deque(range(len(jobs))))
            try:
                _work(crew)
            except Missing:
                return ["missing"] * len(jobs)
            finally:
                for worker in crew.busy:  # interrupted: what it would say next is of no question
                    worker.close()
                if crew.spare is not None:
                    idle.append(crew.spare)
            return crew.answers

    @contextmanager
    def _lent(self, wanted: int) -> Iterator[list[Worker]]:
        with self.changed:
            self.changed.wait_for(lambda: self.lent < self.most)
            count = max(1, min(wanted, self.most - self.lent))
            self.lent += count
            mine = [self.idle.pop() for _ in range(min(count, len(self.idle)))]
        mine += [Worker(self.kind) for _ in range(count - len(mine))]
        try:
            yield mine
        finally:
            with self.changed:
                self.lent -= count
                for worker in mine:
                    if len(self.idle) < self.most and worker.process.poll() is None:
                        self.idle.append(worker)
                    else:
                        worker.close()
                self.changed.notify_all()

    def close(self) -> None:
        """Ends those that have nothing to do."""
        with self.changed:
            while self.idle:
                self.idle.pop().close()

    def forget(self) -> None:
        """In a forked child: the parent's workers are not ours."""
        self.idle, self.lent, self.changed = [], 0, threading.Condition()


def _work(crew: Crew) -> None:
    with selectors.DefaultSelector() as selector:
        while crew.waiting or crew.busy:
            while crew.waiting and crew.idle:
                _start(crew, selector)
            for key, _ in selector.select(_patience(crew)):
                _finish(crew, selector, key.fileobj)  # type: ignore[arg-type]
            _watch(crew, selector)


def _start(crew: Crew, selector: selectors.BaseSelector) -> None:
    worker, number = crew.idle.pop(), crew.waiting.popleft()
    asked = time.monotonic()
    try:
        ready = worker.wait_ready()
    except Missing:
        worker.close()
        raise
    if not ready or not worker.send(crew.jobs[number]):
        _died(crew, worker, number)
        return
    now = time.monotonic()  # as if it had been sent earlier, if the wait was long
    since = max(min(now, asked + WHOLE_S - LIMIT_S), now - LIMIT_S / 2)
    crew.busy[worker] = (number, since)
    selector.register(worker, selectors.EVENT_READ)


def _patience(crew: Crew) -> float:
    """Seconds until the next worker is slow, or too slow."""
    limit = SLOW_S if crew.spare is None else LIMIT_S
    oldest = min((since for _, since in crew.busy.values()), default=time.monotonic())
    return max(0.01, min(limit, LIMIT_S) - (time.monotonic() - oldest))


def _finish(crew: Crew, selector: selectors.BaseSelector, worker: Worker) -> None:
    number, _ = crew.busy.pop(worker)
    selector.unregister(worker)
    found = worker.receive()
    if found is None:
        _died(crew, worker, number)
        return
    crew.answers[number] = found
    if worker.asked >= RECYCLE or found.get("why") == "memory":
        crew.replace(worker)
    else:
        crew.idle.append(worker)


def _died(crew: Crew, worker: Worker, number: int) -> None:
    crew.replace(worker)
    crew.tries[number] = crew.tries.get(number, 0) + 1
    if crew.tries[number] < TRIES:
        crew.waiting.append(number)


def _watch(crew: Crew, selector: selectors.BaseSelector) -> None:
    """Kills what is over its time, and starts a spare for what may be soon."""
    now = time.monotonic()
    for worker, (number, since) in list(crew.busy.items()):
        if now - since >= LIMIT_S:
            del crew.busy[worker]
            selector.unregister(worker)
            crew.answers[number] = "timeout"
            crew.replace(worker)
        elif now - since >= SLOW_S and crew.spare is None:
            crew.spare = Worker(crew.kind)


POOLS: Mapping[str, Pool] = {kind: Pool(kind) for kind in ("math", "gym")}


def close_all() -> None:
    """Ends every worker that has nothing to do; the next question starts one again."""
    for pool in POOLS.values():
        pool.close()


def _forget_all() -> None:
    for pool in POOLS.values():
        pool.forget()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
