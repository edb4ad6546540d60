"""Ctrl-C, SIGTERM and a closed terminal in a training: the first waits for the end of the step."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger("distill")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """While the block runs, what it yields says whether somebody asked to stop.

    The same signal for the second time stops at once. Two kinds are no second time: torch's
    launcher sends SIGTERM after a Ctrl-C that has reached every process. What the process was
    told to ignore (nohup, or & in a script) stays ignored.

    Raises:
        KeyboardInterrupt: a signal came twice.
    """
    seen: set[int] = set()

    def hear(number: int, _: FrameType | None) -> None:
        if number in seen:
            raise KeyboardInterrupt
        if not seen:
            log.warning("train: stops after this step (again to stop at once)")
        seen.add(number)

    mine = threading.current_thread() is threading.main_thread()
    heard = [one for one in STOPS if mine and signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in heard}
    try:
        yield lambda: bool(seen)
    finally:
        for number, was in before.items():
            signal.signal(number, was)
