"""Ctrl-C and SIGTERM: the first lets requests under way finish, the second waits for nothing."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from distill.errors import DistillError, Interrupted

log = logging.getLogger("distill")
T = TypeVar("T")


class Work(Protocol):
    """What can be interrupted."""

    def stop(self, reason: DistillError | None) -> None:
        """Begins nothing new and lets what is under way finish."""

    def cancel(self) -> None:
        """Waits for nothing any more."""


class InterruptRelay:
    """Passes Ctrl-C on to a loop in another thread, where signals do not arrive."""

    def __init__(self) -> None:
        self._fire: Callable[[], object] = lambda: None

    def connect(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """From now on ``fire`` calls ``call`` in ``loop``."""
        self._fire = lambda: loop.call_soon_threadsafe(call)

    def fire(self) -> None:
        """Does what a signal would do."""
        self._fire()


class interrupting:
    """While the block runs, signals and the relay stop ``work``: the first gently."""

    def __init__(self, work: Work, relay: InterruptRelay) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._count = 0
        mine = threading.current_thread() is threading.main_thread()
        self._numbers = (signal.SIGINT, signal.SIGTERM) if mine else ()
        relay.connect(self._loop, self._on_signal)

    def __enter__(self) -> None:
        for number in self._numbers:
            self._loop.add_signal_handler(number, self._on_signal)

    def __exit__(self, *_: object) -> None:
        for number in self._numbers:
            self._loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self._count += 1
        self._work.stop(Interrupted("interrupted; the same command goes on from here"))
        if self._count == 1:
            log.warning("stopping: waiting for the requests under way (again to stop at once)")
        else:
            self._work.cancel()


def run_to_end(work: Coroutine[Any, Any, T], relay: InterruptRelay) -> T:
    """The result of ``work``, also where a loop runs already, as in a notebook."""
    if not _in_a_loop():
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(asyncio.run, work)
        while True:
            try:
                return result.result()
            except KeyboardInterrupt:
                relay.fire()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
