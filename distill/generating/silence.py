"""What is said while answers do not come: tries again, rate limits, and that nobody answers.

Waits for nothing and ends nothing: a server that is starting up may take minutes.
"""

import logging

from distill.teachers import pool
from distill.teachers.pool import EndpointState, Pool
from distill.terminal.progress import clock

log = logging.getLogger("distill")
SAY_AFTER_S = 10.0  # without an answer: longer than a connection takes, sooner than people give up
SHOW_AFTER_S = 2.0  # in the live line: a failure at a run's very end is no silence
SHOWN_CHARS = 80  # of a reason, in the live line
WAIT_SHOWN_S = 1.0  # a shorter pause is not shown


def note(asked: Pool, now: float) -> list[str]:
    """The parts of a live line; none where all is well."""
    left = [state for state in asked.states if state.gone is None]
    parts = []
    if tried := sum(state.health.failures for state in asked.states):
        limited = sum(state.health.limited for state in asked.states)
        parts.append(f"{tried:,} tried again" + (f" ({limited:,} × 429)" if limited else ""))
    silent = [silent_s(state, now) for state in left]
    known = [seconds for seconds in silent if seconds is not None]
    if known and len(known) == len(left) and min(known) >= SHOW_AFTER_S:
        last = max(left, key=lambda state: state.health.since or 0.0).health.last
        parts.append(f"nobody answers for {clock(min(known))}: {last:.{SHOWN_CHARS}}")
        waits_s = min(state.asked_to_wait for state in left) - now
        if waits_s > WAIT_SHOWN_S:
            parts.append(f"asked to wait {clock(waits_s)}")
    return parts


def silent_s(state: EndpointState, now: float) -> float | None:
    """For how long nothing has come from an endpoint that is known to fail; None where it may.

    A request that is under way at one that can be reached may be a long answer.
    """
    health = state.health
    if health.since is None:
        return None
    failing = health.unreached or state.breaker.broken or not state.under_way
    return now - health.since if failing else None


def say_silent(asked: Pool, now: float) -> None:
    """Warns of each endpoint that has been silent for SAY_AFTER_S, once until it answers."""
    left = [state for state in asked.states if state.gone is None]
    for state in left:
        seconds = silent_s(state, now)
        if state.health.told or seconds is None or seconds < SAY_AFTER_S:
            continue
        state.health.told = True
        others = any(silent_s(other, now) is None for other in left)
        log.warning("%s", _text(state, seconds, others=others))


def _text(state: EndpointState, seconds: float, *, others: bool) -> str:
    health, base = state.health, state.client.endpoint.base_url
    text = f"{base}: no answer for {seconds:.0f} s: {health.last}"
    if health.unreached:
        text += "; check that the server runs, and host and port in base_url"
    if others:
        return f"{text}; the other teachers are asked meanwhile"
    return f"{text}; still trying, for at most {pool.GIVE_UP_S / 60:.0f} minutes without an answer"
