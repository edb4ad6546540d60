"""Keeps torch to the cores that are free, when a training starts and between its steps."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distill.local_models.threads import LOOK_S, chosen, fixed, free, moment

log = logging.getLogger("distill")
Between = Callable[[], None]  # called between two steps


@contextmanager
def on_free_cores(asked: int | None) -> Iterator[Between]:
    """Sets torch's threads while the block runs; what it yields sets them anew.

    Fewer at once, because a thread too many is what costs most; more after two looks, so that a
    pause of another process is no reason.

    Args:
        asked: the recipe's ``threads``; None: those that are free.
    """
    import torch

    was = torch.get_num_threads()
    found = chosen(asked, key="threads")
    log.info("trains with %s", found)
    torch.set_num_threads(found.count)
    last, before = found, moment()

    def look() -> None:
        nonlocal last, before
        after = moment()
        if after.at - before.at < LOOK_S:
            return
        now = free(before, after)
        fewest = min(now, last, key=lambda look: look.count)
        before, last = after, now
        if fewest.count != torch.get_num_threads():
            log.info("trains with %s", fewest)
            torch.set_num_threads(fewest.count)

    try:
        yield _nothing if fixed(asked, key="threads") else look
    finally:
        torch.set_num_threads(was)


def _nothing() -> None:
    """Between the steps of a training whose threads are fixed."""
