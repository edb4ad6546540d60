"""Threads that check answers, each with its own jails, kept from one batch to the next.

A jail ends with the thread that started it, so the threads stay too.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from distill.jail.jailer import Jailer, installed
from distill.jail.mounts import PLAIN, Mounts
from distill.jail.probe import jail_or_refuse
from distill.jail.service import Service
from distill.jail.session import Jail
from distill.verify.isolation import JAILED, Isolation

PROGRAMS = max(8, os.cpu_count() or 1)  # threads of all batches together
QUESTIONS = max(1, os.cpu_count() or 1)  # each holds a library, which takes 0.1 to 0.2 GB


def ready(isolation: Isolation = JAILED) -> None:
    """Refuses to go on without a safe jail, before anything is paid for or read.

    Raises:
        UserError: no jail is safe here, and ``--unsafe-no-sandbox`` was not given.
    """
    if not isolation.unsafe_no_sandbox:
        jail_or_refuse()


class Jails:
    """The jails of one thread: for programs, tests, compilers and scorers."""

    def __init__(self, isolation: Isolation) -> None:
        """Starts nothing yet."""
        self.isolation = isolation
        self._stack = ExitStack()
        self._open: dict[tuple[str, Mounts | Service], Jail] = {}

    @property
    def program(self) -> Jail:
        """For a program that a model wrote."""
        return self._jail("program")

    @property
    def tester(self) -> Jail:
        """For the tests of a reference."""
        return self._jail("tester")

    def compiler(self, mounts: Mounts) -> Jail:
        """For a compiler, which ``mounts`` holds."""
        return self._jail("compiler", mounts)

    def runtime(self, mounts: Mounts) -> Jail:
        """For programs that are not Python."""
        return self._jail("program", mounts)

    def service(self, service: Service) -> Jail:
        """For questions to a library, in a jail that has passed the attacks.

        Raises:
            UserError: that jail is not safe.
        """
        if ("service", service) not in self._open:
            self._open["service", service] = self._trusted(service)
        return self._open["service", service]

    def _trusted(self, service: Service) -> Jail:
        """Loads the library while another jail like this one is attacked."""
        if self.isolation.unsafe_no_sandbox:
            return self._new(None, service=service)
        first = next(iter(installed()), None)
        jail = None if first is None else self._new(first, service=service)
        if jail is not None:
            jail.boot()
        jailer = jail_or_refuse(service.mounts)
        return jail if jail and jailer == first else self._new(jailer, service=service)

    def _jail(self, name: str, mounts: Mounts = PLAIN) -> Jail:
        if (name, mounts) not in self._open:
            jailer = None if self.isolation.unsafe_no_sandbox else jail_or_refuse()
            self._open[name, mounts] = self._new(jailer, mounts=mounts)
        return self._open[name, mounts]

    def _new(
        self, jailer: Jailer | None, *, mounts: Mounts = PLAIN, service: Service | None = None
    ) -> Jail:
        how = self.isolation
        jail = Jail(
            once=how.paranoid,
            unsafe_no_sandbox=how.unsafe_no_sandbox,
            jailer=jailer,
            mounts=mounts,
            service=service,
        )
        return self._stack.enter_context(jail)

    def close(self) -> None:
        """Ends all jails."""
        self._open.clear()
        self._stack.close()


class JailThreads:
    """The threads of this process for one kind of work, at most ``most`` for all batches."""

    def __init__(self, most: int, name: str) -> None:
        self.most, self.name = most, name
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
        """Calls ``work`` for every place, in up to ``workers`` threads at once."""
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
                self.threads = ThreadPoolExecutor(self.most, thread_name_prefix=self.name)
        running = [self.threads.submit(drain) for _ in range(min(workers, len(places)))]
        try:
            for one in running:
                one.result()
        finally:
            waiting.clear()  # if interrupted, the rest is not needed

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


PROGRAM_THREADS = JailThreads(PROGRAMS, "distill-code")
SCORER_THREADS = JailThreads(QUESTIONS, "distill-scorers")
for each in (PROGRAM_THREADS, SCORER_THREADS):
    atexit.register(each.close)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=each.forget)
