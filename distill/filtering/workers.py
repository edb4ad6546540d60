"""Runs one function over a stream of values, in order: here, in processes, or on Ray.

The values travel between processes, so they should be small: a file and a range of rows, not the
rows. Only a few are in flight at a time.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal, TypeVar

from distill.errors import DistillError, UserError, missing_extra
from distill.terminal.screen import guarded

Engine = Literal["local", "ray"]
T = TypeVar("T")
R = TypeVar("R")
LOOK_S = 0.5  # how often a worker checks that its parent is alive
AHEAD = 2  # values in flight for each worker: enough to keep it busy


@dataclass(frozen=True, slots=True)
class Workers:
    """How many workers there are, and where."""

    count: int = 1
    engine: Engine = "local"

    def map(self, work: Callable[[T], R], values: Iterable[T]) -> Iterator[R]:
        """``work`` of every value, in the order given; ``work`` must be picklable.

        On the local engine a single value, or one worker, stays in this process: starting others
        takes about a second.

        Raises:
            UserError: Ray is asked for and not installed, or a worker died.
        """
        run = _on_ray if self.engine == "ray" else _in_processes
        return run(work, iter(values), self.count)


def _in_processes(work: Callable[[T], R], stream: Iterator[T], workers: int) -> Iterator[R]:
    first = list(islice(stream, 2))
    if workers <= 1 or len(first) < 2:
        yield from map(work, chain(first, stream))
        return
    # spawn: polars' threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with (
        _threads_shared_by(workers),
        ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start, initargs=(os.getpid(), work)
        ) as pool,
    ):
        waiting: deque[Future[R]] = deque()
        try:
            for value in chain(first, stream):
                waiting.append(pool.submit(_next, value))
                if len(waiting) >= workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            msg = (
                "a worker process was killed, perhaps for lack of memory; the same command goes on "
                "from here, with fewer --workers if it happens again"
            )
            raise UserError(msg) from None
        finally:
            pool.shutdown(cancel_futures=True)


_MINE: list[Callable[[Any], Any]] = []  # a worker's work: sent once, because it may be large


def _start(parent: int, work: Callable[[Any], Any]) -> None:
    """Makes this process a worker, which ends when its parent ends, even if that is killed.

    Ctrl-C reaches every process of a terminal; the parent alone decides what to do.
    """
    _MINE.append(work)
    guarded()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _next(value: Any) -> Any:
    return _MINE[0](value)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


@contextmanager
def _threads_shared_by(workers: int) -> Iterator[None]:
    """Each worker's polars and torch start no more threads than its share of the cores."""
    names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    share = str(max(1, (os.cpu_count() or 1) // workers))
    os.environ.update(dict.fromkeys(names, share) | before)
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name)
        os.environ.update(before)


def _on_ray(work: Callable[[T], R], stream: Iterator[T], workers: int) -> Iterator[R]:
    """The same over Ray tasks: on the cluster that RAY_ADDRESS names, else one started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at import; nothing is reported
    try:
        import ray
        from ray.job_config import JobConfig
    except ImportError:
        raise missing_extra(module="ray", extra="ray") from None
    mine = not ray.is_initialized()
    if mine:
        # so Ray's workers do not import from the folder in which the command was started
        elsewhere = JobConfig(_client_job=True)
        ray.init(log_to_driver=False, job_config=elsewhere, **_local_cluster(workers))
    try:
        task = ray.remote(_work_on)
        shipped = ray.put(work)
        waiting: deque[Any] = deque()
        for value in stream:
            waiting.append(task.remote(shipped, value))
            if len(waiting) >= workers * AHEAD:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DistillError):  # one line for a person, without Ray's traceback
            raise error.cause from None
        raise
    finally:
        if mine:
            ray.shutdown()


def _local_cluster(workers: int) -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {}
    return {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def _work_on(work: Callable[[T], R], value: T) -> R:
    """One unit of work; a plain function, so that Ray can ship it."""
    return work(value)
