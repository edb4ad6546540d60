"""The one retry policy: which failures are tried again, and after how long.

Endpoint-wide back-off lives in ``breaker`` and ``pool``.
"""

from collections.abc import Awaitable, Callable

from distill.teachers.client import Transient

ATTEMPTS = 8  # with the waits below: two minutes of failures of one row before it is given up
WAIT_FIRST_S = 1.0
WAIT_MAX_S = 60.0
JITTER_S = 1.0  # so that a burst of refused requests does not come back as a burst
RATE_LIMITED = 429


async def until_answered(once: Callable[[], Awaitable[None]]) -> None:
    """Calls ``once`` until it does not raise Transient.

    Raises:
        Transient: the last of ATTEMPTS; rate limits do not count, they say nothing about the row.
    """
    try:
        await once()
    except Transient as error:
        await _again(once, error)


async def _again(once: Callable[[], Awaitable[None]], first: Transient) -> None:
    """The tries after the first, which most requests never need: stamina costs them nothing."""
    import stamina
    import stamina.instrumentation

    # stamina's default hook logs repr(exception), which in HTTP libraries can hold the key
    stamina.instrumentation.set_on_retry_hooks([])
    known: Transient | None = first
    async for attempt in stamina.retry_context(
        on=_policy(),
        attempts=None,
        timeout=None,
        wait_initial=WAIT_FIRST_S,
        wait_max=WAIT_MAX_S,
        wait_jitter=JITTER_S,
    ):
        with attempt:
            if known is not None:
                error, known = known, None
                raise error
            await once()


def _policy() -> Callable[[Exception], bool | float]:
    """Whether one request is tried again, and after how long if not by the usual waits."""
    failures = 0

    def wait(error: Exception) -> bool | float:
        nonlocal failures
        if not isinstance(error, Transient):
            return False
        failures += error.status != RATE_LIMITED
        if failures >= ATTEMPTS:
            return False
        # Where the server said how long, the pool leaves its endpoint alone: no wait of our own.
        return 0.0 if error.retry_after_s else True

    return wait
