"""Asks a teacher for every answer that a ledger still lacks. Does not export or judge them.

Workers share one stream of open requests; each writes every try to the ledger and goes on when it
is durable. The first Ctrl-C stops new requests and lets those under way finish, the second does
not wait for them.
"""

import asyncio
import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.budget import Budget, cost_usd, worst_usd
from distill.commits import Commits, group_commits
from distill.errors import DistillError, Interrupted, StoppedError, UserError
from distill.ledger import Ask, Attempt, Ledger, State
from distill.plan import Plan
from distill.progress import Progress
from distill.teachers.client import RowRefused, Transient, connect, send
from distill.teachers.endpoint import Endpoint
from distill.teachers.retry import tries
from distill.teachers.wire import FINISHED, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("distill")
# Bytes of disk for each request under way: the longest real trace measured is 0.6 MB, and it is
# written twice (write-ahead log, then the ledger itself).
ROOM = 2 * 2**20
# 403 is about the key, or about this one prompt where a router moderates: once others were answered
# it is the prompt.
FORBIDDEN = 403


class Bell:
    """Ctrl-C for a pass that runs in a thread, where signals do not come."""

    def __init__(self) -> None:
        self._ring: Callable[[], object] = lambda: None

    def hang(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """From now on a ring calls ``call`` in ``loop``."""
        self._ring = lambda: loop.call_soon_threadsafe(call)

    def ring(self) -> None:
        """The first ring stops new requests, the second stops at once."""
        self._ring()


@dataclass(slots=True)
class Outcome:
    """What one pass of asking brought."""

    answered: int = 0
    failed: int = 0  # refused for good, or a finish that is no success
    unanswered: int = 0  # out of tries; the next pass asks again
    stopped: DistillError | None = None  # why the pass ended early
    models: set[str] = field(default_factory=set)


async def ask_all(
    asks: Iterator[Ask],
    plan: Plan,
    endpoint: Endpoint,
    ledger: Ledger,
    budget: Budget,
    shown: Progress,
    bell: Bell,
) -> Outcome:
    """Asks until ``asks`` is empty or something ends the pass; every try is in the ledger."""
    outcome = Outcome()
    async with connect(endpoint) as client, group_commits(ledger) as commits:
        work = _Work(
            asks=asks,
            plan=plan,
            endpoint=endpoint,
            client=client,
            commits=commits,
            budget=budget,
            outcome=outcome,
            shown=shown,
            bell=bell,
            folder=ledger.path.parent,
        )
        work.workers += [asyncio.create_task(_worker(work)) for _ in range(endpoint.concurrency)]
        with _signals(work):
            results = await asyncio.gather(*work.workers, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
    return outcome


@dataclass(slots=True, kw_only=True)
class _Work:
    asks: Iterator[Ask]
    plan: Plan
    endpoint: Endpoint
    client: "AsyncOpenAI"
    commits: Commits
    budget: Budget
    outcome: Outcome
    shown: Progress
    bell: Bell
    folder: Path
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    sending: set[asyncio.Task[None] | None] = field(default_factory=set)

    def stop(self, reason: DistillError | None) -> None:
        """No new requests; those under way finish, workers that wait between tries are let go."""
        self.asks = iter(())
        self.outcome.stopped = self.outcome.stopped or reason
        for worker in self.workers:
            if worker not in self.sending and worker is not asyncio.current_task():
                worker.cancel()


class _signals:
    """SIGINT and SIGTERM: the first drains, the second cancels. Elsewhere there is the bell."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._count = 0
        mine = threading.current_thread() is threading.main_thread()
        self._numbers = (signal.SIGINT, signal.SIGTERM) if mine else ()
        work.bell.hang(self._loop, self._on_signal)

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
            for worker in self._work.workers:
                worker.cancel()


async def _worker(work: _Work) -> None:
    while (ask := next(work.asks, None)) is not None:
        try:
            await _one(work, ask)
        except DistillError as error:
            work.stop(error)
        except Exception:  # border: a broken disk or a bug ends the pass, not just one worker
            work.stop(None)
            raise


async def _one(work: _Work, ask: Ask) -> None:
    messages = work.plan.render(ask.question)
    body = work.plan.body(ask, messages, work.endpoint.model)
    worst = worst_usd(work.endpoint.price, messages, work.plan.sampling.max_tokens)
    try:
        async for attempt in tries():
            with attempt:
                await _try(work, ask, body, worst)
    except Transient as error:
        work.outcome.unanswered += 1
        work.shown.advance(note=_note(work))
        log.debug("%s sample %d: no answer: %s", ask.id, ask.sample, error)


async def _try(work: _Work, ask: Ask, body: dict[str, Any], worst: float) -> None:
    """One try: reserve, send, write down, settle.

    Raises:
        Transient: to be tried again (``stamina`` waits).
        StoppedError, BudgetReached: end the pass.
    """
    if work.outcome.stopped is not None:
        raise work.outcome.stopped
    _refuse_full_disk(work)
    await work.budget.reserve(worst)
    work.sending.add(asyncio.current_task())
    paid = worst  # until we know better: a cancelled request may have been billed
    try:
        attempt, error = await _sent(work, ask, body, worst)
        paid = attempt.worst_usd if attempt.cost_usd is None else attempt.cost_usd
        await work.commits.write(attempt)
    finally:
        work.sending.discard(asyncio.current_task())
        work.budget.settle(worst, paid)
    if error is not None:
        raise error
    _count(work, attempt)


def _refuse_full_disk(work: _Work) -> None:
    """Stops before an answer is paid for that could not be written down.

    Raises:
        UserError: too little room for what is under way.
    """
    needed = work.endpoint.concurrency * ROOM
    free = shutil.disk_usage(work.folder).free
    if free < needed:
        msg = (
            f"{work.folder}: {free / 2**20:,.0f} MB of disk left, {needed / 2**20:,.0f} MB wanted "
            f"for {work.endpoint.concurrency} requests at once; make room, then the same command"
        )
        raise UserError(msg)


async def _sent(
    work: _Work, ask: Ask, body: dict[str, Any], worst: float
) -> tuple[Attempt, Exception | None]:
    """How sending it ended, and the error that is to be raised once this is written down."""
    began, clock = time.time(), time.monotonic()

    def ended(state: State, **values: Any) -> Attempt:
        return Attempt(
            key=work.plan.key(ask),
            plan=work.plan.digest,
            id=ask.id,
            sample=ask.sample,
            state=state,
            started=began,
            took_s=time.monotonic() - clock,
            max_tokens=work.plan.sampling.max_tokens,
            **values,
        )

    try:
        reply, raw = await send(work.client, body, timeout_s=work.endpoint.timeout_s)
    except Transient as error:
        said: dict[str, Any] = {"status": error.status, "error": str(error), "body": error.body}
        return ended("retry", worst_usd=worst if error.billed else 0.0, **said), error
    except RowRefused as error:
        return ended("failed", status=error.status, error=str(error)), None
    except StoppedError as error:
        if error.status == FORBIDDEN and work.outcome.answered:
            return ended("failed", status=error.status, error=str(error)), None
        return ended("retry", status=error.status, error=str(error)), error
    except asyncio.CancelledError:
        work.commits.hand_in(ended("retry", status=0, error="cancelled", worst_usd=worst))
        raise
    state: State = "done" if reply.finish_reason in FINISHED else "quarantined"
    return ended(state, **_answer(reply, raw, work.endpoint, worst)), None


def _answer(reply: Reply, raw: bytes, endpoint: Endpoint, worst: float) -> dict[str, Any]:
    known = reply.finish_reason in FINISHED
    return {
        "status": 200,
        "error": None if known else f"finish_reason {reply.finish_reason!r} is no success",
        "finish": reply.finish_reason,
        "model": reply.model,
        "prompt_tokens": reply.prompt_tokens,
        "cached_tokens": reply.cached_tokens,
        "reasoning_tokens": reply.reasoning_tokens,
        "completion_tokens": reply.completion_tokens,
        "cost_usd": cost_usd(endpoint.price, reply),
        "worst_usd": worst,
        "body": raw,
    }


def _count(work: _Work, attempt: Attempt) -> None:
    if attempt.state == "done":
        work.outcome.answered += 1
    else:
        work.outcome.failed += 1
    if attempt.model and attempt.model not in work.outcome.models:
        if work.outcome.models:
            before = ", ".join(sorted(work.outcome.models))
            log.warning("the teacher now calls itself %s; it was %s", attempt.model, before)
        work.outcome.models.add(attempt.model)
    work.shown.advance(tokens=attempt.completion_tokens or 0, note=_note(work))


def _note(work: _Work) -> str:
    lost = work.outcome.failed + work.outcome.unanswered
    parts = [f"{lost} without an answer"] if lost else []
    if work.endpoint.price is not None:
        parts.append(f"${work.budget.spent_usd:,.4f}")
    return ", ".join(parts)
