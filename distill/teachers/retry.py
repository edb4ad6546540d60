"""The one retry policy: which failures are tried again, and after how long."""

from collections.abc import AsyncIterator
from typing import Any

import stamina
import stamina.instrumentation

from distill.teachers.client import Transient

ATTEMPTS = 8  # with the waits below: two minutes of a dead endpoint before a row is given up
WAIT_FIRST_S = 1.0
WAIT_MAX_S = 60.0
JITTER_S = 1.0  # so that a burst of refused requests does not come back as a burst
# A server that asks for more patience than this is down for the day.
PATIENCE_S = 6 * 3600.0


def tries() -> AsyncIterator[Any]:
    """Attempt contexts for one request: left normally it is done, by Transient it is repeated."""
    # stamina's default hook logs repr(exception), which in HTTP libraries can hold the key
    stamina.instrumentation.set_on_retry_hooks([])
    return stamina.retry_context(
        on=_wait,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=WAIT_FIRST_S,
        wait_max=WAIT_MAX_S,
        wait_jitter=JITTER_S,
    )


def _wait(error: Exception) -> bool | float:
    if not isinstance(error, Transient):
        return False
    if error.retry_after_s is None:
        return True
    return min(error.retry_after_s, PATIENCE_S)
