"""Asks a teacher for every answer that a ledger still lacks. Does not export or judge them.

Workers share one stream of open requests; each writes every try to the ledger and goes on when it
is durable. The first Ctrl-C stops new requests and lets those under way finish, the second does
not wait for them.
"""

import asyncio
import hashlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from distill.budget import Budget, cost_usd, worst_usd
from distill.commits import Commits, group_commits
from distill.errors import DistillError, Interrupted
from distill.files.done import fingerprint
from distill.ledger import Ask, Attempt, Ledger
from distill.progress import Progress
from distill.recipes.prompts import Sampling
from distill.rows import Message
from distill.teachers.client import RowRefused, Transient, connect, send
from distill.teachers.endpoint import Endpoint
from distill.teachers.retry import tries
from distill.teachers.wire import FINISHED, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("distill")
# Part of every request's key: a change to what a request means asks anew instead of mixing.
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Whom is asked, and how: with a question and a sample number it makes a request."""

    who: str  # "https://api.x.com model", or "serve llama.cpp model"; part of a request's key
    render: Callable[[str], tuple[Message, ...]]
    template: str  # the template's text
    sampling: Sampling
    samples: int

    def values(self) -> dict[str, Any]:
        """What changes the answers: JSON values, without samples and max_tokens.

        More samples or a larger limit keep the answers there are.
        """
        sampling = self.sampling.model_dump(exclude={"max_tokens"})
        return {"who": self.who, "template": self.template, "sampling": sampling}

    @cached_property
    def digest(self) -> str:
        """16 hex digits over ``values``."""
        return fingerprint(plan=self.values())

    def key(self, ask: Ask) -> str:
        """The sha256 of the canonical request."""
        parts = [SCHEMA_VERSION, self.digest, ask.id, ask.question, ask.sample]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()

    def body(self, ask: Ask, messages: tuple[Message, ...], model: str) -> dict[str, Any]:
        """The keyword arguments of the chat request; the same for every try."""
        sampling = self.sampling.model_dump(exclude_none=True)
        if self.sampling.seed is not None:
            sampling["seed"] = _seed(self.sampling.seed, ask)
        if not sampling["extra_body"]:
            del sampling["extra_body"]
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return {"model": model, "messages": turns, **sampling}


def _seed(seed: int, ask: Ask) -> int:
    """31 bits of its own for every answer: one seed for all would draw the same luck for all."""
    text = f"{seed}\0{ask.id}\0{ask.sample}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big") >> 1


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
    workers: list[asyncio.Task[None]] = field(default_factory=list)
    sending: set[asyncio.Task[None] | None] = field(default_factory=set)

    def stop(self, reason: DistillError) -> None:
        """No new requests; those under way finish, workers that wait between tries are let go."""
        self.asks = iter(())
        self.outcome.stopped = self.outcome.stopped or reason
        for worker in self.workers:
            if worker not in self.sending and worker is not asyncio.current_task():
                worker.cancel()


class _signals:
    """SIGINT and SIGTERM: the first drains, the second cancels. Only the main thread gets them."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._count = 0
        mine = threading.current_thread() is threading.main_thread()
        self._numbers = (signal.SIGINT, signal.SIGTERM) if mine else ()

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
        except Exception:
            work.asks = iter(
                ()
            )  # border: a broken disk or a bug ends the pass, not just one worker
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
    work.budget.reserve(worst)
    work.sending.add(asyncio.current_task())
    began, clock = time.time(), time.monotonic()
    paid = worst  # until an answer says otherwise: a cancelled request may have been billed

    def ended(**values: Any) -> Attempt:
        return Attempt(
            key=work.plan.key(ask),
            plan=work.plan.digest,
            id=ask.id,
            sample=ask.sample,
            started=began,
            took_s=time.monotonic() - clock,
            max_tokens=work.plan.sampling.max_tokens,
            **values,
        )

    try:
        reply, raw = await send(work.client, body, timeout_s=work.endpoint.timeout_s)
        attempt = ended(**_answer(reply, raw, work.endpoint, worst))
        paid = worst if attempt.cost_usd is None else attempt.cost_usd
        await work.commits.write(attempt)
        _count(work, reply, attempt)
    except Transient as error:
        paid = worst if error.billed else 0.0
        values: dict[str, Any] = {"status": error.status, "error": str(error), "body": error.body}
        await work.commits.write(ended(state="retry", worst_usd=paid, **values))
        raise
    except RowRefused as error:
        paid = 0.0
        await work.commits.write(ended(state="failed", status=error.status, error=str(error)))
        work.outcome.failed += 1
        work.shown.advance(note=_note(work))
    except DistillError as error:
        paid = 0.0
        await work.commits.write(ended(state="retry", status=0, error=str(error)))
        raise
    except asyncio.CancelledError:
        work.commits.hand_in(ended(state="retry", status=0, error="cancelled", worst_usd=worst))
        raise
    finally:
        work.sending.discard(asyncio.current_task())
        work.budget.settle(worst, paid)


def _answer(reply: Reply, raw: bytes, endpoint: Endpoint, worst: float) -> dict[str, Any]:
    done = reply.finish_reason in FINISHED
    return {
        "state": "done" if done else "quarantined",
        "status": 200,
        "error": None if done else f"finish_reason {reply.finish_reason!r} is no success",
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


def _count(work: _Work, reply: Reply, attempt: Attempt) -> None:
    if attempt.state == "done":
        work.outcome.answered += 1
    else:
        work.outcome.failed += 1
    if reply.model and reply.model not in work.outcome.models:
        if work.outcome.models:
            before = ", ".join(sorted(work.outcome.models))
            log.warning("the teacher now calls itself %s; it was %s", reply.model, before)
        work.outcome.models.add(reply.model)
    work.shown.advance(tokens=reply.completion_tokens or 0, note=_note(work))


def _note(work: _Work) -> str:
    lost = work.outcome.failed + work.outcome.unanswered
    parts = [f"{lost} without an answer"] if lost else []
    if work.endpoint.price is not None:
        parts.append(f"${work.budget.spent_usd:,.4f}")
    return ", ".join(parts)
