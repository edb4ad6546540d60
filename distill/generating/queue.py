"""Which answer to ask for next.

Open problems come from the ledger, in order. Under a stopping rule no more answers to a problem are
asked for at once than it still lacks. An answer that was cut is asked for once more, as the plan
says.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from distill.generating.plan import Ask, RequestPlan
from distill.ledger import Open, State
from distill.rows import Problem

CUT = "length"  # the finish reason of an answer that reached its limit
RIGHT = "correct"  # the label of an answer that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How asking for one answer ended; ``state`` is "retry" where this pass got none."""

    state: State
    number: int = 0  # of the try, in the ledger
    finish: str | None = None
    verdict: str | None = None
    bodies: tuple[bytes, ...] = ()  # the raw responses, where the answer was cut
    why: str = ""  # what the last try said, where there is no answer


@dataclass(slots=True)
class _Live:
    """A problem that is being asked."""

    problem: Problem
    left: deque[Ask]  # may still be asked: second tries first
    right: int
    under_way: int = 0
    closed: bool = False  # refused for good


@dataclass(slots=True)
class AskQueue:
    """The stream of asks; ``take`` and ``ended`` are called by the same thread."""

    problems: Iterator[Open]
    plan: RequestPlan
    bodies: Callable[[int], tuple[bytes, ...]]  # of a try in the ledger
    problems_ended: int = 0
    _ready: deque[Ask] = field(default_factory=deque)
    _live: dict[str, _Live] = field(default_factory=dict)
    _change: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> Ask | None:
        """The next ask; waits while asks under way may bring more; None: there will be none."""
        while not self._ready:
            if (opened := next(self.problems, None)) is not None:
                self._open(opened)
            elif not self._live:
                return None
            else:
                self._change.clear()
                await self._change.wait()
        return self._ready.popleft()

    def close(self) -> None:
        """No more asks, for whatever reason."""
        self.problems = iter(())
        self._ready.clear()
        self._live.clear()
        self._change.set()

    def ended(self, ask: Ask, how: Ended) -> None:
        """Must be called once for every ask that was taken."""
        live = self._live.get(ask.problem.id)
        if live is None:  # closed
            return
        live.under_way -= 1
        live.right += how.verdict == RIGHT
        if how.state == "failed" and self.plan.until is not None and not ask.repair:
            self._refuse(live)
        again = self._repair(ask, how)
        if again is not None and not self._enough(live):
            live.under_way += 1
            self._ready.appendleft(again)
        self._fill(live)
        self._change.set()

    def _open(self, opened: Open) -> None:
        problem, limit = opened.problem, self.plan.sampling.max_tokens
        live = _Live(problem=problem, left=deque(), right=0)
        there: set[int] = set()  # samples that have an answer or get a second try at it
        for asked in opened.asked:
            live.right += asked.verdict == RIGHT
            if asked.final:
                there.add(asked.sample)
            elif asked.finish == CUT and asked.max_tokens >= limit:
                there.add(asked.sample)
                known = Ended(state="done", number=asked.attempt, finish=CUT)
                ask = Ask(problem=problem, sample=asked.sample, max_tokens=asked.max_tokens)
                again = self._repair(ask, known)
                live.left.extend([] if again is None else [again])
        live.left.extend(
            Ask(problem=problem, sample=sample, max_tokens=limit)
            for sample in range(self.plan.samples)
            if sample not in there
        )
        self._live[problem.id] = live
        self._fill(live)

    def _refuse(self, live: _Live) -> None:
        """The problem itself was refused: nothing more of it is sent."""
        live.closed = True
        kept = [ask for ask in self._ready if ask.problem.id != live.problem.id]
        live.under_way -= len(self._ready) - len(kept)
        self._ready = deque(kept)

    def _repair(self, ask: Ask, how: Ended) -> Ask | None:
        """The second try at a cut answer: the rest of it, or all of it under a larger limit."""
        truncated = self.plan.truncated
        if truncated is None or how.finish != CUT or how.state != "done" or ask.repair:
            return None
        if truncated.continue_tokens is None:
            larger = self.plan.most_tokens
            if ask.max_tokens >= larger:
                return None
            return Ask(problem=ask.problem, sample=ask.sample, max_tokens=larger, repair=True)
        return Ask(
            problem=ask.problem,
            sample=ask.sample,
            max_tokens=truncated.continue_tokens,
            repair=True,
            after=how.number,
            cut=how.bodies or self.bodies(how.number),
            cut_at=ask.max_tokens,
        )

    def _enough(self, live: _Live) -> bool:
        until = self.plan.until
        return until is not None and (live.closed or live.right >= until.correct)

    def _fill(self, live: _Live) -> None:
        """Makes asks of what the problem still lacks; drops it when it lacks nothing."""
        until = self.plan.until
        wanted = len(live.left)
        if until is not None:
            wanted = 0 if live.closed else until.correct - live.right - live.under_way
        while live.left and wanted > 0:
            self._ready.append(live.left.popleft())
            live.under_way += 1
            wanted -= 1
        if not live.under_way:
            del self._live[live.problem.id]
            self.problems_ended += 1
