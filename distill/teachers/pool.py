"""Hands out slots at one or more endpoints: leave to send one request to one of them.

A slot goes to the endpoints in proportion to their weights, among those that have room and are
worth asking (``throttle``, ``breaker``); a request that finds none waits its turn. An endpoint that
refuses every request is left out; when none is left, or none has answered for long, the run ends.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from distill.errors import StoppedError
from distill.teachers.breaker import Breaker
from distill.teachers.client import Client, Transient
from distill.teachers.health import RATE_LIMITED, Health
from distill.teachers.throttle import Throttle
from distill.teachers.wire import Reply

log = logging.getLogger("distill")
LOST_DEADLINE = 0  # the status of what got no response
# Perhaps on this very row: deadlines and malformed answers, too, may be its own fault.
ANSWERED, CRASHED = 200, 500
# A server that asks for more patience than this is down for the day.
PATIENCE_S = 6 * 3600.0
# After so long without any answer the run ends; the same command continues it. Restarts of a vLLM
# server with a 70B model take five to ten minutes.
GIVE_UP_S = 900.0
# So many requests refused one by one and none answered between: the recipe or the key is wrong.
ALL_REFUSED = 20
FORBIDDEN = 403
SAID_S = 60.0  # a longer pause is logged


@dataclass(slots=True)
class EndpointState:
    """One endpoint and how it is doing."""

    client: Client
    throttle: Throttle
    breaker: Breaker = field(default_factory=Breaker)
    health: Health = field(default_factory=Health)
    under_way: int = 0
    answered: int = 0
    refusals: list[str] = field(default_factory=list)  # their words, since an answer
    forbidden: list[tuple[str, float]] = field(default_factory=list)  # (key, when it was refused)
    last_answer: float = 0.0
    asked_to_wait: float = 0.0  # until when; the endpoint's own words
    gone: StoppedError | None = None  # why it is asked no more
    models: set[str] = field(default_factory=set)
    due: float = 0.0  # smooth weighted round-robin: the highest is next

    @property
    def name(self) -> str:
        """Address and model."""
        return self.client.endpoint.name

    def free(self, now: float) -> bool:
        """Whether a slot can be had here."""
        well = self.gone is None and self.breaker.lets_through(now)
        return well and self.throttle.room(self.under_way)


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to send one request to one endpoint."""

    state: EndpointState
    sent_at: float  # monotonic seconds
    began: float  # Unix seconds
    probe: bool = False  # the one request that tells whether a broken endpoint is well again


class Pool:
    """All endpoints of a run; used by one event loop."""

    def __init__(self, clients: Sequence[Client]) -> None:
        now = time.monotonic()
        self.states = [
            EndpointState(one, Throttle(one.endpoint.concurrency), last_answer=now)
            for one in clients
        ]
        self.last_error = ""
        self._waiting: deque[asyncio.Future[Slot]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def doubtful(self) -> list[str]:
        """Keys of rows that were forbidden by an endpoint that then forbade everything."""
        gone = [state for state in self.states if state.gone and state.gone.status == FORBIDDEN]
        return [key for state in gone for key, _ in state.forbidden]

    @property
    def concurrency(self) -> int:
        """The most requests in flight."""
        return sum(state.client.endpoint.concurrency for state in self.states)

    async def slot(self) -> Slot:
        """A slot at some endpoint; ``give_back`` or one of the outcomes must follow.

        Raises:
            StoppedError: every endpoint refuses, or none has answered for 15 minutes.
        """
        now = time.monotonic()
        if (error := self._hopeless(now)) is not None:
            raise error
        if not self._waiting and (slot := self._next(now)) is not None:
            return slot
        mine: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._serve()
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self.give_back(mine.result())
            raise

    def give_back(self, slot: Slot) -> None:
        """The slot was not used, or what happened says nothing about the endpoint."""
        slot.state.breaker.let_go(probe=slot.probe)
        self._left(slot)

    def answered(self, slot: Slot, reply: Reply) -> None:
        """The endpoint gave an answer."""
        state, now = slot.state, time.monotonic()
        state.answered += 1
        state.refusals.clear()
        # An answer to what was sent before a refusal came says nothing of the key since.
        state.forbidden = [(key, at) for key, at in state.forbidden if at > slot.sent_at]
        state.last_answer = now
        state.breaker.answered()
        state.health.answered()
        state.throttle.answered(
            sent_at=slot.sent_at,
            now=now,
            tokens=reply.completion_tokens,
            deadline_s=state.client.endpoint.timeout_s,
        )
        self._name_model(state, reply.model)
        self._left(slot)

    def refused_row(self, slot: Slot, *, key: str, status: int, reason: str) -> StoppedError | None:
        """The endpoint refuses this one request. One that refuses all alike is left out.

        An error if none is left then.
        """
        state = slot.state
        state.last_answer = time.monotonic()
        state.refusals.append(reason)
        if status == FORBIDDEN:
            state.forbidden.append((key, state.last_answer))
        state.breaker.answered()
        state.health.answered()
        if state.gone is not None or not self._refuses_all(state):
            self._left(slot)
            return None
        text = (
            f"the teacher refused {len(state.refusals)} requests in a row: {reason}; fix the "
            "recipe or the key; --force asks for what was refused again"
        )
        error = StoppedError(text, status=status)
        return None if self.drop(slot, error) else error

    def others(self, slot: Slot) -> bool:
        """Whether another endpoint may answer what this one, which never did, refuses."""
        return not slot.state.answered and any(
            state.gone is None for state in self.states if state is not slot.state
        )

    @staticmethod
    def _refuses_all(state: EndpointState) -> bool:
        """So many in a row: before any answer in whatever words, later in the very same."""
        words = set(state.refusals[-ALL_REFUSED:])
        return len(state.refusals) >= ALL_REFUSED and (not state.answered or len(words) == 1)

    def failed(self, slot: Slot, error: Transient, *, row: Hashable) -> None:
        """No answer this time to ``row``."""
        state, now = slot.state, time.monotonic()
        self.last_error = str(error)
        reached = error.billed or error.status != LOST_DEADLINE
        state.health.failed(str(error), status=error.status, reached=reached, now=now)
        if error.status == RATE_LIMITED or (error.status == LOST_DEADLINE and error.billed):
            state.throttle.overloaded(sent_at=slot.sent_at, now=now)
        own = error.billed or error.status in (ANSWERED, CRASHED)
        state.breaker.failed(now=now, probe=slot.probe, row=row if own else None)
        if error.retry_after_s is not None:
            self._pause(state, now, error.retry_after_s)
        self._left(slot)

    def _pause(self, state: EndpointState, now: float, wait_s: float) -> None:
        """As the endpoint asks, but for no more than PATIENCE_S without an answer."""
        until = min(now + wait_s, max(now, state.last_answer + PATIENCE_S))
        if until - now > SAID_S and until > state.asked_to_wait:
            log.warning("%s asks to be left alone for %.0f s", state.name, until - now)
        state.breaker.pause(until)
        state.asked_to_wait = max(state.asked_to_wait, until)

    def drop(self, slot: Slot, error: StoppedError) -> bool:
        """The endpoint refuses everybody: it is asked no more. Whether others are left."""
        if slot.state.gone is None:
            slot.state.gone = error
            if any(state.gone is None for state in self.states):
                log.warning("%s is left out: %s", slot.state.name, error)
        self._left(slot)
        return any(state.gone is None for state in self.states)

    def _left(self, slot: Slot) -> None:
        slot.state.under_way -= 1
        self._serve()

    def _name_model(self, state: EndpointState, model: str | None) -> None:
        if model and model not in state.models:
            if state.models:
                before = ", ".join(sorted(state.models))
                log.warning("%s: calls itself %s now; it was %s", state.name, model, before)
            state.models.add(model)

    def _next(self, now: float) -> Slot | None:
        free = [state for state in self.states if state.free(now)]
        if not free:
            return None
        for state in free:
            state.due += state.client.endpoint.weight
        chosen = max(free, key=lambda state: state.due)
        chosen.due -= sum(state.client.endpoint.weight for state in free)
        chosen.under_way += 1
        return Slot(chosen, now, time.time(), chosen.breaker.sent())

    def _serve(self) -> None:
        """Gives free slots to the requests that wait."""
        now = time.monotonic()
        while self._waiting:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
            elif (slot := self._next(now)) is not None:
                self._waiting.popleft().set_result(slot)
            else:
                break
        if self._waiting and (error := self._hopeless(now)) is not None:
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_exception(error)
            self._waiting.clear()
        if self._waiting:
            self._wake_later(now)

    def _hopeless(self, now: float) -> StoppedError | None:
        if any(state.gone is None and not state.breaker.broken for state in self.states):
            return None
        left = [state for state in self.states if state.gone is None]
        if not left:
            return self.states[-1].gone
        if now < self._give_up_at(left):
            return None
        silent_s = now - max(state.last_answer for state in left)
        text = (
            f"no answer for {silent_s / 60:.0f} minutes, the last try said: {self.last_error}; "
            "the same command goes on from here"
        )
        return StoppedError(text, status=0)

    @staticmethod
    def _give_up_at(left: Sequence[EndpointState]) -> float:
        """When the run gives up; an endpoint that asked for a pause is not dead."""
        return max(max(state.last_answer, state.asked_to_wait) for state in left) + GIVE_UP_S

    def _wake_later(self, now: float) -> None:
        left = [state for state in self.states if state.gone is None]
        moments = [*(state.breaker.opens_at for state in left), self._give_up_at(left)]
        soon = min((at for at in moments if at > now), default=now + GIVE_UP_S)
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(soon - now + 0.001, self._serve)
