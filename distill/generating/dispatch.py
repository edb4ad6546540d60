"""Asks the teachers for every answer that a ledger still lacks.

One dispatcher takes what is wanted and starts a task for each; a task writes every try to the
ledger and goes on when it is durable.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

from distill.errors import DistillError, Interrupted
from distill.generating.attempt import PassContext, Written, answer
from distill.generating.budget import Budget
from distill.generating.interrupt import InterruptRelay, interrupting
from distill.generating.plan import Ask, RequestPlan
from distill.generating.queue import AskQueue, Ended
from distill.generating.silence import note, say_silent
from distill.ledger import DOUBTED, Ledger
from distill.ledger.commits import group_commits
from distill.teachers.client import client_of
from distill.teachers.endpoint import Endpoint
from distill.teachers.pool import Pool
from distill.terminal.progress import Progress

log = logging.getLogger("distill")
LOOK_EVERY_S = 0.5  # at what the live line shows; no request waits for it


@dataclass(slots=True)
class Outcome:
    """What one pass of asking brought."""

    answered: int = 0
    failed: int = 0  # refused for good, or a finish that is no success
    unanswered: int = 0  # out of tries; the next pass asks again
    stopped: DistillError | None = None  # why the pass ended early
    reasons: Counter[str] = field(default_factory=Counter)  # of what has no answer


async def ask_all(
    queue: AskQueue,
    plan: RequestPlan,
    endpoints: Sequence[Endpoint],
    ledger: Ledger,
    budget: Budget,
    shown: Progress,
    relay: InterruptRelay,
) -> Outcome:
    """Asks until nothing is left to ask or something ends the pass; every try is in the ledger."""
    async with AsyncExitStack() as open_ways:
        commits = await open_ways.enter_async_context(group_commits(ledger))
        pool, folder = Pool([client_of(one) for one in endpoints]), ledger.path.parent
        context = PassContext(plan=plan, pool=pool, commits=commits, budget=budget, folder=folder)
        work = _Pass(context=context, queue=queue, shown=shown)
        with interrupting(work, relay):
            await work.run()
    _keep_doubts(context, ledger)
    if pool.doubtful:
        ledger.reopen(pool.doubtful)
    if work.broken is not None:
        raise work.broken
    return work.outcome


def _keep_doubts(context: PassContext, ledger: Ledger) -> None:
    """How many answers came with a usage that was not believed, for ``status``."""
    if not context.doubted:
        return
    before = ledger.meta(DOUBTED)
    total = Counter(before if isinstance(before, dict) else {}) + context.doubted
    ledger.set_meta(DOUBTED, dict(total))
    for name, count in sorted(context.doubted.items()):
        log.warning("%s: the usage of %d answers was not believed", name, count)


@dataclass(slots=True, kw_only=True)
class _Pass:
    context: PassContext
    queue: AskQueue
    shown: Progress
    outcome: Outcome = field(default_factory=Outcome)
    broken: BaseException | None = None  # a broken disk or a bug
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Returns when every task has ended."""
        dispatch, watch = asyncio.create_task(self._dispatch()), asyncio.create_task(self._watch())
        await asyncio.wait({dispatch})
        if (error := dispatch.exception()) is not None:
            self.broken = error
            self.stop(None)
        while self.tasks:
            await asyncio.wait(self.tasks)
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        self._show(time.monotonic())

    async def _watch(self) -> None:
        """Keeps the live line true while nothing ends."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._show(now := time.monotonic())
            say_silent(self.context.pool, now)
            self.shown.tick()

    def _show(self, now: float) -> None:
        self.shown.note = self._note(now)

    async def _dispatch(self) -> None:
        room = asyncio.Semaphore(self.context.pool.concurrency)
        while True:
            await room.acquire()
            ask = await self.queue.take()
            if ask is None:
                return
            task = asyncio.create_task(self._one(ask, room))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _one(self, ask: Ask, room: asyncio.Semaphore) -> None:
        how = Ended(state="retry")
        try:
            how = await answer(self.context, ask, self._count)
            if how.state == "retry":
                self.outcome.unanswered += 1
                self.outcome.reasons[how.why] += 1
        except DistillError as error:
            self.stop(error)
        except asyncio.CancelledError:
            pass  # by ``stop`` or ``cancel``: what was under way is in the ledger
        except Exception as error:  # border: a broken disk or a bug ends the pass, not one task
            self.broken = self.broken or error
            self.stop(None)
        finally:
            room.release()
            self.queue.ended(ask, how)
            self.shown.advance(self.queue.problems_ended - self.shown.done)

    def stop(self, reason: DistillError | None) -> None:
        """No new requests; those under way finish, those that wait between tries are let go."""
        self.queue.close()
        self.outcome.stopped = self.outcome.stopped or reason
        self.context.stopped = self.outcome.stopped or Interrupted("ended by an error")
        for task in self.tasks:
            if task not in self.context.sending and task is not asyncio.current_task():
                task.cancel()

    def cancel(self) -> None:
        """Waits for nothing any more."""
        for task in self.tasks:
            task.cancel()

    def _count(self, written: Written) -> None:
        if written.attempt.state == "done":
            self.outcome.answered += 1
        else:
            self.outcome.failed += 1
        self.shown.tokens += written.attempt.completion_tokens or 0

    def _note(self, now: float) -> str:
        parts = note(self.context.pool, now)
        lost = self.outcome.failed + self.outcome.unanswered
        if lost:
            parts.insert(0, f"{lost} without an answer")
        if any(state.client.endpoint.price for state in self.context.pool.states):
            parts.append(f"${self.context.budget.spent_usd:,.4f}")
        return ", ".join(parts)
