"""Threads that check programs, each with jails of its own, kept from one batch to the next.

A jail ends with the thread that started it, so the threads stay too. Judges nothing.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from distill.jail.probe import jail_or_refuse
from distill.jail.room import PLAIN, Room
from distill.jail.session import Jail
from distill.verify.isolation import Isolation

MOST = max(8, os.cpu_count() or 1)  # threads of all batches together


class Jails:
    """Of one thread: for programs, for tests that have to be run too, for compilers."""

    def __init__(self, isolation: Isolation) -> None:
        """Starts nothing yet."""
        self.isolation = isolation
        self._stack = ExitStack()
        self._open: dict[tuple[str, Room], Jail] = {}

    @property
    def program(self) -> Jail:
        """For what a model wrote."""
        return self._jail("program")

    @property
    def tester(self) -> Jail:
        """For what the reference says."""
        return self._jail("tester")

    def compiler(self, room: Room) -> Jail:
        """For what makes programs of sources, in a jail that holds it."""
        return self._jail("compiler", room)

    def runtime(self, room: Room) -> Jail:
        """For programs that are no Python."""
        return self._jail("program", room)

    def _jail(self, name: str, room: Room = PLAIN) -> Jail:
        if (name, room) not in self._open:
            how = self.isolation
            jail = Jail(
                once=how.paranoid,
                unsafe_no_sandbox=how.unsafe_no_sandbox,
                jailer=None if how.unsafe_no_sandbox else jail_or_refuse(),
                room=room,
            )
            self._open[name, room] = self._stack.enter_context(jail)
        return self._open[name, room]

    def close(self) -> None:
        """Ends all."""
        self._open.clear()
        self._stack.close()


class Crew:
    """The threads of this process."""

    def __init__(self) -> None:
        self.threads: ThreadPoolExecutor | None = None
        self.own = threading.local()  # of each thread: ``jails``, by isolation
        self.all: list[Jails] = []
        self.lock = threading.Lock()

    def each(
        self,
        work: Callable[[Jails, int], None],
        places: Sequence[int],
        *,
        workers: int,
        isolation: Isolation,
    ) -> None:
        """``work`` of every place, by up to ``workers`` threads at once."""
        waiting = deque(places)

        def drain() -> None:
            jails = self._jails(isolation)
            while waiting:
                try:
                    place = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                work(jails, place)

        with self.lock:
            if self.threads is None:
                self.threads = ThreadPoolExecutor(MOST, thread_name_prefix="distill-code")
        running = [self.threads.submit(drain) for _ in range(min(workers, len(places)))]
        try:
            for one in running:
                one.result()
        finally:
            waiting.clear()  # interrupted: nobody waits for the rest

    def _jails(self, isolation: Isolation) -> Jails:
        mine: dict[Isolation, Jails] = self.own.__dict__.setdefault("jails", {})
        if isolation not in mine:
            mine[isolation] = Jails(isolation)
            with self.lock:
                self.all.append(mine[isolation])
        return mine[isolation]

    def close(self) -> None:
        """Ends the threads and their jails; the next batch starts new ones."""
        with self.lock:
            threads, self.threads, jails, self.all = self.threads, None, self.all, []
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        for one in jails:
            one.close()
        self.own = threading.local()

    def forget(self) -> None:
        """In a forked child: the parent's threads and jails are not ours."""
        self.threads, self.all = None, []
        self.own, self.lock = threading.local(), threading.Lock()


CREW = Crew()
atexit.register(CREW.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CREW.forget)
