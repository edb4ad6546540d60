"""Runs one function over a stream of tables, in order: here, in several processes, or on Ray.

Knows nothing of what the function does. Few tables are under way at a time, so memory is bounded.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import Any, Literal

import polars as pl

from distill.errors import missing_extra

Engine = Literal["local", "ray"]
Work = Callable[[pl.DataFrame], pl.DataFrame]
AHEAD = 2  # tables in flight for each worker: enough to keep it busy


def map_tables(
    work: Work, tables: Iterable[pl.DataFrame], *, workers: int, engine: Engine = "local"
) -> Iterator[pl.DataFrame]:
    """``work`` of every table, in the order given; ``work`` must be picklable and pure.

    On the local engine one table, or one worker, stays in this process: starting others takes about
    a second.

    Raises:
        UserError: Ray is asked for and not installed.
    """
    if engine == "ray":
        return _on_ray(work, iter(tables), workers)
    return _in_processes(work, iter(tables), workers)


def _in_processes(
    work: Work, stream: Iterator[pl.DataFrame], workers: int
) -> Iterator[pl.DataFrame]:
    first = list(islice(stream, 2))
    if workers <= 1 or len(first) < 2:
        yield from map(work, chain(first, stream))
        return
    # spawn: polars' threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[pl.DataFrame]] = deque()
        for table in chain(first, stream):
            waiting.append(pool.submit(work, table))
            if len(waiting) >= workers * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _on_ray(work: Work, stream: Iterator[pl.DataFrame], workers: int) -> Iterator[pl.DataFrame]:
    """The same over Ray tasks: on the cluster that RAY_ADDRESS names, else one started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at import; nothing is reported
    try:
        import ray
    except ImportError:
        raise missing_extra(module="ray", extra="ray") from None
    mine = not ray.is_initialized()
    if mine:
        ray.init(log_to_driver=False, **_local_cluster(workers))
    try:
        task = ray.remote(work_on)
        waiting: deque[Any] = deque()
        for table in stream:
            waiting.append(task.remote(work, table))
            if len(waiting) >= workers * AHEAD:
                yield ray.get(waiting.popleft())
        while waiting:
            yield ray.get(waiting.popleft())
    finally:
        if mine:
            ray.shutdown()


def _local_cluster(workers: int) -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {}
    return {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def work_on(work: Work, table: pl.DataFrame) -> pl.DataFrame:
    """One unit of work; a plain function, so that any engine can ship it."""
    return work(table)
