"""Runs one function over a stream of tables, in order: in this process or in several. No more."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice

import polars as pl

Work = Callable[[pl.DataFrame], pl.DataFrame]
AHEAD = 2  # tables in flight for each worker: enough to keep it busy, few enough to bound memory


def map_tables(
    work: Work, tables: Iterable[pl.DataFrame], *, workers: int
) -> Iterator[pl.DataFrame]:
    """``work`` of every table, in the order given; ``work`` must be picklable and pure.

    One table, or one worker, stays in this process: starting others takes about a second.
    """
    stream = iter(tables)
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
