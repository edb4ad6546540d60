"""Runs programs in one jail, one after the other.

The jail is replaced after anything unusual (a program that had to be ended, left a file, or broke
the protocol), and after ``MAX_RUNS`` programs in any case.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from distill.errors import UserError
from distill.jail.conversation import Conversation
from distill.jail.exchange import Exchange, Frame, Malformed, returned
from distill.jail.jailer import HINT, Jailer, installed
from distill.jail.mounts import PLAIN, Mounts
from distill.jail.process import JailFailed, Process
from distill.jail.program import Binary, Build, Built, Program, Ran, Replied, Returned
from distill.jail.service import Missing, Service

MAX_RUNS = 200
# Questions after which a service is loaded again: that takes a second, and no question leaves
# anything behind in it.
MAX_REPLIES = 5_000


class Jail:
    """Runs programs one at a time; for several at once, one jail for each thread or process.

    ``once`` starts a jail for every program. ``unsafe_no_sandbox`` means no jail at all: the same
    runner and limits, but with the user's files, network and processes in reach. ``jailer`` makes
    the jail (default: the first that is installed); ``mounts`` is what it sees of the host. A
    ``service`` has its own mounts, is loaded before the first question, and only answers questions.

    Raises:
        UserError: nothing is installed that makes jails.
    """

    def __init__(
        self,
        *,
        once: bool = False,
        unsafe_no_sandbox: bool = False,
        jailer: Jailer | None = None,
        mounts: Mounts = PLAIN,
        service: Service | None = None,
    ) -> None:
        self._once = once
        self._unsafe = unsafe_no_sandbox
        self._jailer = jailer or next(iter(installed()), None)
        self._service = service
        self._mounts = mounts if service is None else service.mounts
        self._process: Process | None = None
        self._ending: list[Process] = []
        if self._jailer is None and not unsafe_no_sandbox:
            text = f"neither bubblewrap nor nsjail is installed; {HINT}"
            raise UserError(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._end()

    def run(self, program: Program, *, timeout_s: float) -> Ran:
        """Run one program for at most ``timeout_s`` of wall clock.

        Never raises, whatever the program does.
        """
        names = [call.function for call in program.calls]
        data = [call.arguments for call in program.calls]
        kind = "calls"
        if program.stdin is not None:
            kind, names, data = "script", [], [program.stdin.encode("utf-8", "surrogatepass")]
        given: list[Returned] = []

        def take(_: Exchange, frame: Frame) -> bool:
            match frame:
                case ("returned", value, raised) if kind == "calls" and len(given) < len(names):
                    given.append(returned(value, raised))
                    return True
            return False

        ran = self._drive((kind, program.source, names, data), take, timeout_s=timeout_s)
        if ran.status == "ended" and kind == "calls" and len(given) < len(names):
            ran = Ran("died", error="it left before the last call")
        return replace(ran, returned=tuple(given))

    def build(self, build: Build, *, timeout_s: float) -> Built:
        """Run one compiler; ``ran`` is how that ended, ``code`` whether it compiled."""
        made: list[tuple[int, str, bytes]] = []

        def take(_: Exchange, frame: Frame) -> bool:
            match frame:
                case ("built", int(code), str(said), bytes(file)) if not made:
                    made.append((code, said, file))
                    return True
            return False

        names = [build.file, build.made, *build.command]
        ran = self._drive(("build", build.source, names, ()), take, timeout_s=timeout_s)
        return Built(ran, *made[0]) if made else Built(ran)

    def boot(self) -> None:
        """Start it, to be ready when needed; the first question reports a failure."""
        if self._process is None:
            with suppress(JailFailed):
                self._start()

    def wait(self) -> None:
        """Wait until it takes a question, which then reports a failure.

        Raises:
            Missing: the service has nothing to import.
        """
        with suppress(JailFailed):
            self._ready()

    def reply(self, questions: Sequence[bytes], *, timeout_s: float) -> Replied:
        """Put questions, each a ``codec.encode``, to the service: all in one process, in order.

        A question may affect the ones after it, but no others.

        Raises:
            Missing: the service has nothing to import.
        """
        given: list[bytes] = []

        def take(_: Exchange, frame: Frame) -> bool:
            match frame:
                case ("reply", bytes(value)) if len(given) < len(questions):
                    given.append(value)
                    return True
            return False

        ran = self._drive(("reply", "", (), questions), take, timeout_s=timeout_s)
        if ran.status == "ended" and len(given) < len(questions):
            ran = Ran("died", error="it left before the last reply")
        return Replied(ran, tuple(given))

    def execute(self, binary: Binary, *, timeout_s: float) -> Ran:
        """Run one program that is not Python; ``error`` is the end of its standard error."""
        data = [binary.stdin.encode("utf-8", "surrogatepass"), binary.file]
        program = ("run", "", binary.command, data)
        return self._drive(program, lambda *_: False, timeout_s=timeout_s)

    def ask(
        self,
        tester: str,
        *,
        names: Sequence[str],
        answer: Callable[[str, bytes], Returned],
        timeout_s: float,
    ) -> Ran:
        """Run a tester, whose calls of ``names`` are answered here by ``answer(name, arguments)``.

        What an answer raised is raised in the tester as the built-in exception of that name, or as
        RuntimeError. Arguments and values are encoded; what cannot travel arrives as ``Opaque``.
        """

        def take(exchange: Exchange, frame: Frame) -> bool:
            match frame:
                case ("ask", str(name), bytes(arguments)) if name in names:
                    given = answer(name, arguments)
                    exchange.tell((given.value, given.raised))
                    return True
            return False

        return self._drive(("ask", tester, names, ()), take, timeout_s=timeout_s)

    @contextmanager
    def talk(self, source: str, *, timeout_s: float) -> Iterator[Conversation]:
        """Load a candidate once, to call it many times, for ``timeout_s`` in all."""
        try:
            exchange = self._exchange(timeout_s)
        except JailFailed as error:
            self._end()
            yield Conversation(None, Ran("jail_failed", error=str(error)))
            return
        try:
            conversation = Conversation(exchange)
            conversation.load(source)
            yield conversation
        finally:
            exchange.guarded(exchange.hang_up)
            self._settle(exchange)

    def _drive(
        self,
        program: tuple[str, str, Sequence[str], Sequence[bytes]],
        take: Callable[[Exchange, Frame], bool],
        *,
        timeout_s: float,
    ) -> Ran:
        """Send a program and ``take`` its frames until it ends, or ``take`` refuses one."""
        try:
            exchange = self._exchange(timeout_s)
        except JailFailed as error:
            self._end()
            return Ran("jail_failed", error=str(error))

        def all_frames() -> None:
            exchange.start(*program)
            while (frame := exchange.next()) is not None:
                if not take(exchange, frame):
                    text = "an unexpected frame"
                    raise Malformed(text)

        try:
            exchange.guarded(all_frames)
        finally:  # Ctrl-C too
            self._settle(exchange)
        status, text = exchange.ended()
        if exchange.stderr:
            text = f"{text}: {exchange.stderr.decode('utf-8', 'replace')}"
        return Ran(status, stdout=exchange.stdout.decode("utf-8", "replace"), error=text)

    def _exchange(self, timeout_s: float) -> Exchange:
        process = self._ready()
        process.runs += 1
        return Exchange(process, timeout_s=timeout_s, blames_candidate=self._unsafe)

    def _ready(self) -> Process:
        """The jail's process, ready for a program."""
        if self._process is not None and not self._process.alive:
            self._end()
        if self._process is None:
            self._start()
        assert self._process is not None
        try:
            self._process.ready()
        except Missing:
            self._end()
            raise
        return self._process

    def _settle(self, exchange: Exchange) -> None:
        """Keep the jail if that is safe; otherwise start another, to be ready when needed."""
        if self._service is None:
            usual, most = exchange.clean and exchange.ended()[0] in ("ended", "raised"), MAX_RUNS
        else:  # it takes a second to load, and what a question did ended with its process
            exchange.guarded(exchange.hang_up)
            usual, most = exchange.swept, MAX_REPLIES
        if usual and not self._once and self._process and self._process.runs < most:
            return
        self._end()
        with suppress(JailFailed):  # the next program reports it
            self._start()  # boots while the next program is fetched

    def _start(self) -> None:
        jailer = None if self._unsafe else self._jailer
        preload = not self._once and self._service is None
        self._process = Process(
            preload=preload, jailer=jailer, mounts=self._mounts, service=self._service
        )

    def _end(self) -> None:
        """End the jail; only ``close`` waits the 10 ms that the kernel takes to remove it."""
        for process in self._ending:
            process.close()
        self._ending.clear()
        if self._process is not None:
            self._process.end()
            self._ending.append(self._process)
            self._process = None
