"""One wanted answer: asked for until it is there, every try budgeted and written down."""

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from distill.errors import DistillError, StoppedError, UserError
from distill.generating.budget import Budget
from distill.generating.plan import Ask, RequestPlan
from distill.generating.queue import CUT, Ended
from distill.generating.usage import Believed, Sent, believed, sent
from distill.ledger import Attempt, State
from distill.ledger.commits import Commits
from distill.rows import Problem
from distill.teachers.client import RowRefused, Transient, send
from distill.teachers.continuing import joined, said_anew, turn_to_continue
from distill.teachers.finish import FINISHED
from distill.teachers.pool import Pool, Slot
from distill.teachers.retry import until_answered
from distill.teachers.wire import Reply
from distill.verify import Item, grade_all
from distill.verify.kinds import KINDS

log = logging.getLogger("distill")
# How often one answer is bought that comes and cannot be read. The first may be a broken wire, the
# second is how this server answers. What came is kept.
BOUGHT_UNREAD = 2
# Bytes of disk for each request under way: the longest real trace measured is 0.6 MB, and it is
# written twice (write-ahead log, then the ledger itself).
ROOM = 2 * 2**20
LOOK_EVERY_S = 0.25  # at the disk: less than a full ROOM a request can arrive in between
# 403 is about the key, or about this one prompt where a router moderates: once others were answered
# it is the prompt.
FORBIDDEN = 403


@dataclass(slots=True, kw_only=True)
class PassContext:
    """What every request of a pass needs."""

    plan: RequestPlan
    pool: Pool
    commits: Commits
    budget: Budget
    folder: Path
    sending: set[asyncio.Task[Any] | None] = field(default_factory=set)
    stopped: DistillError | None = None
    looked_at: float = -1.0  # the disk; monotonic seconds
    doubted: Counter[str] = field(default_factory=Counter)  # answers by endpoint: see ``usage``


@dataclass(frozen=True, slots=True)
class Written:
    """A try as it is in the ledger."""

    attempt: Attempt
    number: int
    bodies: tuple[bytes, ...]  # of the whole answer


async def answer(context: PassContext, ask: Ask, done: Callable[[Written], None]) -> Ended:
    """How asking ended; ``done`` is called with the last try before this returns.

    Raises:
        StoppedError, BudgetReached, UserError: end the pass.
        sqlite3.Error: it could not be written down.
    """
    last: list[Written] = []
    unread = 0  # that were bought and cannot be read

    async def once() -> None:
        nonlocal unread
        try:
            last[:] = [await _try(context, ask, unread)]
        except Transient as error:
            unread += error.holds
            raise

    try:
        await until_answered(once)
    except Transient as error:
        return Ended(state="retry", why=str(error))
    (written,) = last
    done(written)
    attempt = written.attempt
    return Ended(
        state=attempt.state,
        number=written.number,
        finish=attempt.finish,
        verdict=attempt.verdict,
        bodies=written.bodies if attempt.finish == CUT else (),
    )


async def _try(context: PassContext, ask: Ask, unread: int) -> Written:
    """One try: a slot, the money, sending, writing down, settling.

    ``unread``: so many answers to it came and could not be read.

    Raises:
        Transient: to be tried again.
    """
    slot, ready = await context.pool.slot(), False
    try:
        if context.stopped is not None:
            raise context.stopped
        _refuse_full_disk(context)
        body, limits = _request(context, ask, slot)
        await context.budget.reserve(limits.worst_usd)
        _refuse_lost_ledger(context, limits.worst_usd)
        slot, ready = replace(slot, sent_at=time.monotonic(), began=time.time()), True
    finally:
        if not ready:
            context.pool.give_back(slot)
    context.sending.add(asyncio.current_task())
    paid = limits.worst_usd  # until we know better: a cancelled request may have been billed
    try:
        attempt, error = await _sent(context, ask, slot, body, limits, unread)
        paid = attempt.worst_usd if attempt.cost_usd is None else attempt.cost_usd
        number = await context.commits.write(attempt)
    finally:
        context.sending.discard(asyncio.current_task())
        context.budget.settle(limits.worst_usd, paid)
    if error is not None:
        raise context.stopped or error
    whole = (*ask.cut, attempt.body) if attempt.body is not None else ask.cut
    return Written(attempt, number, whole)


def _request(context: PassContext, ask: Ask, slot: Slot) -> tuple[dict[str, Any], Sent]:
    """The body, and what it can cost."""
    endpoint = slot.state.client.endpoint
    messages = context.plan.render(ask.problem)
    body = context.plan.body(ask, messages, endpoint)
    if ask.cut and endpoint.continues is not None:
        last, switches = turn_to_continue(ask.cut, endpoint.continues)
        body = {**body, **switches, "messages": [*body["messages"], last]}
    switches = {**endpoint.extra_body, **context.plan.sampling.extra_body}
    return body, sent(
        endpoint.price,
        body["messages"],
        ask.max_tokens,
        switches=orjson.dumps(switches).decode() if switches else "",
    )


def _refuse_lost_ledger(context: PassContext, reserved_usd: float) -> None:
    """Stops where an answer could not be kept; the last thing before a request is sent."""
    try:
        context.commits.check()
    except UserError:
        context.budget.settle(reserved_usd, 0.0)
        raise


def _refuse_full_disk(context: PassContext) -> None:
    """Stops before an answer is paid for that could not be written down.

    Raises:
        UserError: too little room for what is under way.
    """
    now = time.monotonic()
    if now - context.looked_at < LOOK_EVERY_S:
        return
    context.looked_at = now
    at_once = context.pool.concurrency
    needed, free = at_once * ROOM, shutil.disk_usage(context.folder).free
    if free < needed:
        msg = (
            f"{context.folder}: {free / 2**20:,.0f} MB of disk left, "
            f"{needed / 2**20:,.0f} MB wanted for {at_once} requests at once; make room, then the "
            "same command"
        )
        raise UserError(msg)


async def _sent(
    context: PassContext, ask: Ask, slot: Slot, body: dict[str, Any], limits: Sent, unread: int
) -> tuple[Attempt, Exception | None]:
    """How sending it ended, and the error that is to be raised once this is written down."""
    ended, worst = partial(_ended, context, ask, slot), limits.worst_usd
    try:
        reply, raw = await send(slot.state.client, body, rest=bool(ask.cut))
    except Transient as error:
        context.pool.failed(slot, error, row=(ask.problem.id, ask.sample))
        cost = worst if error.billed else 0.0
        if error.holds and unread + 1 >= BOUGHT_UNREAD:
            return ended("quarantined", error, worst_usd=cost, body=error.body), None
        return ended("retry", error, worst_usd=cost, body=error.body), error
    except RowRefused as error:
        return _refused(context, ask, slot, ended, error)
    except StoppedError as error:
        if error.status == FORBIDDEN and slot.state.answered:
            return _refused(context, ask, slot, ended, error)
        others = context.pool.drop(slot, error)
        retry = Transient(str(error), status=error.status, billed=False)
        return ended("retry", error), retry if others else error
    except asyncio.CancelledError:
        context.pool.give_back(slot)
        cut_off = Transient("cancelled", status=0, billed=True)
        context.commits.hand_in(ended("retry", cut_off, worst_usd=worst))
        raise
    found = believed(reply, said_anew(ask.cut, reply), limits, began=slot.began, ended=time.time())
    context.pool.answered(slot, found.reply)
    _say_doubts(context, slot, found)
    attempt = _answered(ended, found, raw)
    checked = None
    try:
        checked = await _checked(context.plan, ask, attempt, reply)
        return checked, None
    finally:
        if checked is None:  # it is paid for, and can be checked later
            context.commits.hand_in(attempt)


def _refused(
    context: PassContext,
    ask: Ask,
    slot: Slot,
    ended: Callable[..., Attempt],
    error: RowRefused | StoppedError,
) -> tuple[Attempt, Exception | None]:
    """This request is refused; for good, unless another endpoint may see it otherwise."""
    elsewhere = context.pool.others(slot)
    stop = context.pool.refused_row(
        slot, key=context.plan.key(ask), status=error.status, reason=str(error)
    )
    if not elsewhere:
        return ended("failed", error), stop
    again = Transient(str(error), status=error.status, billed=False)
    return ended("retry", error), stop or again


def _ended(
    context: PassContext,
    ask: Ask,
    slot: Slot,
    state: State,
    refusal: Transient | RowRefused | StoppedError | None = None,
    **values: Any,
) -> Attempt:
    said: dict[str, Any] = {"status": 200}
    if refusal is not None:
        said = {"status": refusal.status, "error": str(refusal)}
    return Attempt(
        key=context.plan.key(ask),
        plan=context.plan.digest,
        id=ask.problem.id,
        sample=ask.sample,
        state=state,
        started=slot.began,
        took_s=time.monotonic() - slot.sent_at,
        max_tokens=ask.cut_at or ask.max_tokens,
        endpoint=slot.state.name,
        after=ask.after,
        repair=ask.repair,
        **{**said, **values},
    )


def _say_doubts(context: PassContext, slot: Slot, found: Believed) -> None:
    """Once for each endpoint; how often is said at the end."""
    if not found.doubts:
        return
    name = slot.state.name
    context.doubted[name] += 1
    if context.doubted[name] == 1:
        why = "; ".join(found.doubts)
        log.warning("%s: usage not believed: %s; the most that is possible counts", name, why)


def _answered(ended: Callable[..., Attempt], found: Believed, raw: bytes) -> Attempt:
    reply = found.reply
    known = reply.finish_reason in FINISHED
    return ended(
        "done" if known else "quarantined",
        error=None if known else f"finish_reason {reply.finish_reason!r} is no success",
        finish=reply.finish_reason,
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        completion_tokens=reply.completion_tokens,
        cost_usd=found.cost_usd,
        worst_usd=found.most_usd,
        body=raw,
    )


async def _checked(plan: RequestPlan, ask: Ask, attempt: Attempt, reply: Reply) -> Attempt:
    """With its verdict, where answers are checked as they come; the loop is not held up by it."""
    if plan.until is None or attempt.state != "done" or attempt.body is None:
        return attempt
    whole = joined((*ask.cut, attempt.body)) if ask.cut else reply
    return replace(attempt, verdict=await asyncio.to_thread(verdict, ask.problem, whole, plan))


def verdict(problem: Problem, reply: Reply, plan: RequestPlan) -> str:
    """The check's label for an answer; "cut" for one that is not whole, whatever it says so far."""
    if reply.finish_reason == CUT:
        return "cut"
    if problem.verify not in (*KINDS, *(check.kind for check in plan.checks)):
        return "unverifiable"  # data, not a mistake in a recipe
    item = Item(problem.gold, reply.response, problem.verify)
    return grade_all([item], isolation=plan.isolation, checks=plan.checks)[0].label
