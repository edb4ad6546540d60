"""Hands out turns at one or more endpoints. Sends nothing.

A turn goes to the endpoints in proportion to their weights, among those that have room and are
worth asking (``throttle``, ``breaker``); whoever comes while there is none waits in line. An
endpoint that refuses every request is left out; when none is left, or none has answered for long,
the run ends.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from distill.errors import StoppedError
from distill.teachers.breaker import Breaker
from distill.teachers.client import Line, Transient
from distill.teachers.throttle import Throttle
from distill.teachers.wire import Reply

log = logging.getLogger("distill")
RATE_LIMITED = 429
LOST_DEADLINE = 0  # the status of what got no response
CRASHED = 500  # perhaps on this very row, as deadlines and malformed answers may be its own fault
# A server that asks for more patience than this is down for the day.
PATIENCE_S = 6 * 3600.0
# How long nobody answers before the run ends, to be gone on with later. Restarts of a vLLM server
# with a 70B model take five to ten minutes.
GIVE_UP_S = 900.0
# So many requests refused one by one and none answered between: the recipe or the key is wrong.
ALL_REFUSED = 20
FORBIDDEN = 403
SAID_S = 60.0  # a pause that is worth a word


@dataclass(slots=True)
class Post:
    """One endpoint and how it is doing."""

    line: Line
    throttle: Throttle
    breaker: Breaker = field(default_factory=Breaker)
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
        return self.line.endpoint.name

    def free(self, now: float) -> bool:
        """Whether a turn can be had here."""
        well = self.gone is None and self.breaker.lets_through(now)
        return well and self.throttle.room(self.under_way)


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to send one request to one endpoint."""

    post: Post
    sent_at: float  # monotonic seconds
    began: float  # Unix seconds
    probe: bool = False  # the one request that tells whether a broken endpoint is well again


class Pool:
    """All endpoints of a run; used by one event loop."""

    def __init__(self, lines: Sequence[Line]) -> None:
        now = time.monotonic()
        self.posts = [
            Post(line, Throttle(line.endpoint.concurrency), last_answer=now) for line in lines
        ]
        self.last_error = ""
        self._waiting: deque[asyncio.Future[Turn]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def doubtful(self) -> list[str]:
        """Keys of rows that were forbidden by an endpoint that then forbade everything."""
        gone = [post for post in self.posts if post.gone and post.gone.status == FORBIDDEN]
        return [key for post in gone for key, _ in post.forbidden]

    @property
    def concurrency(self) -> int:
        """The most requests in flight."""
        return sum(post.line.endpoint.concurrency for post in self.posts)

    async def turn(self) -> Turn:
        """A turn at some endpoint; ``give_back`` or one of the outcomes must follow.

        Raises:
            StoppedError: every endpoint refuses, or none has answered for 15 minutes.
        """
        now = time.monotonic()
        if (error := self._hopeless(now)) is not None:
            raise error
        if not self._waiting and (turn := self._next(now)) is not None:
            return turn
        mine: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._serve()
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self.give_back(mine.result())
            raise

    def give_back(self, turn: Turn) -> None:
        """The turn was not used, or ended without telling anything about the endpoint."""
        turn.post.breaker.let_go(probe=turn.probe)
        self._left(turn)

    def answered(self, turn: Turn, reply: Reply) -> None:
        """The endpoint gave an answer."""
        post, now = turn.post, time.monotonic()
        post.answered += 1
        post.refusals.clear()
        # An answer to what was sent before a refusal came says nothing of the key since.
        post.forbidden = [(key, at) for key, at in post.forbidden if at > turn.sent_at]
        post.last_answer = now
        post.breaker.answered()
        post.throttle.answered(
            sent_at=turn.sent_at,
            now=now,
            tokens=reply.completion_tokens,
            deadline_s=post.line.endpoint.timeout_s,
        )
        self._name_model(post, reply.model)
        self._left(turn)

    def refused_row(self, turn: Turn, *, key: str, status: int, reason: str) -> StoppedError | None:
        """The endpoint refuses this one request. One that refuses all alike is left out.

        An error if none is left then.
        """
        post = turn.post
        post.last_answer = time.monotonic()
        post.refusals.append(reason)
        if status == FORBIDDEN:
            post.forbidden.append((key, post.last_answer))
        post.breaker.answered()
        if post.gone is not None or not self._refuses_all(post):
            self._left(turn)
            return None
        text = (
            f"the teacher refused {len(post.refusals)} requests in a row: {reason}; mend the "
            "recipe or the key; --force asks for what was refused again"
        )
        error = StoppedError(text, status=status)
        return None if self.drop(turn, error) else error

    def others(self, turn: Turn) -> bool:
        """Whether another endpoint may answer what this one, which never did, refuses."""
        return not turn.post.answered and any(
            post.gone is None for post in self.posts if post is not turn.post
        )

    @staticmethod
    def _refuses_all(post: Post) -> bool:
        """So many in a row: before any answer in whatever words, later in the very same."""
        words = set(post.refusals[-ALL_REFUSED:])
        return len(post.refusals) >= ALL_REFUSED and (not post.answered or len(words) == 1)

    def failed(self, turn: Turn, error: Transient, *, row: Hashable) -> None:
        """No answer this time to ``row``."""
        post, now = turn.post, time.monotonic()
        self.last_error = str(error)
        if error.status == RATE_LIMITED or (error.status == LOST_DEADLINE and error.billed):
            post.throttle.overloaded(sent_at=turn.sent_at, now=now)
        own = error.billed or error.status == CRASHED
        post.breaker.failed(now=now, probe=turn.probe, row=row if own else None)
        if error.retry_after_s is not None:
            self._pause(post, now, error.retry_after_s)
        self._left(turn)

    def _pause(self, post: Post, now: float, wait_s: float) -> None:
        """As the endpoint asks, but for no more than PATIENCE_S without an answer."""
        until = min(now + wait_s, max(now, post.last_answer + PATIENCE_S))
        if until - now > SAID_S and until > post.asked_to_wait:
            log.warning("%s asks to be left alone for %.0f s", post.name, until - now)
        post.breaker.pause(until)
        post.asked_to_wait = max(post.asked_to_wait, until)

    def drop(self, turn: Turn, error: StoppedError) -> bool:
        """The endpoint refuses everybody: it is asked no more. Whether others are left."""
        if turn.post.gone is None:
            turn.post.gone = error
            if any(post.gone is None for post in self.posts):
                log.warning("%s is left out: %s", turn.post.name, error)
        self._left(turn)
        return any(post.gone is None for post in self.posts)

    def _left(self, turn: Turn) -> None:
        turn.post.under_way -= 1
        self._serve()

    def _name_model(self, post: Post, model: str | None) -> None:
        if model and model not in post.models:
            if post.models:
                before = ", ".join(sorted(post.models))
                log.warning("%s: calls itself %s now; it was %s", post.name, model, before)
            post.models.add(model)

    def _next(self, now: float) -> Turn | None:
        free = [post for post in self.posts if post.free(now)]
        if not free:
            return None
        for post in free:
            post.due += post.line.endpoint.weight
        chosen = max(free, key=lambda post: post.due)
        chosen.due -= sum(post.line.endpoint.weight for post in free)
        chosen.under_way += 1
        return Turn(chosen, now, time.time(), chosen.breaker.sent())

    def _serve(self) -> None:
        """Gives turns to those who wait, as far as there are any."""
        now = time.monotonic()
        while self._waiting:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
            elif (turn := self._next(now)) is not None:
                self._waiting.popleft().set_result(turn)
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
        left = [post for post in self.posts if post.gone is None]
        if not left:
            return self.posts[-1].gone
        if now < self._give_up_at(left) or not all(post.breaker.broken for post in left):
            return None
        silent_s = now - max(post.last_answer for post in left)
        text = (
            f"no answer for {silent_s / 60:.0f} minutes, the last try said: {self.last_error}; "
            "the same command goes on from here"
        )
        return StoppedError(text, status=0)

    @staticmethod
    def _give_up_at(left: Sequence[Post]) -> float:
        """When nobody has answered for long; an endpoint that asked for a pause is not dead."""
        return max(max(post.last_answer, post.asked_to_wait) for post in left) + GIVE_UP_S

    def _wake_later(self, now: float) -> None:
        left = [post for post in self.posts if post.gone is None]
        moments = [*(post.breaker.opens_at for post in left), self._give_up_at(left)]
        soon = min((at for at in moments if at > now), default=now + GIVE_UP_S)
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(soon - now + 0.001, self._serve)
