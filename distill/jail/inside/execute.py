"""Inside the jail, in its own process: executes one source and reports how that ended.

Everything here runs beside hostile code, which can change it. Outside, nothing from here is trusted
but "this is what it returned". The parent process (``supervise``) watches this one.
"""

import builtins
import os
import resource
import struct
import sys
from functools import partial

from distill.jail.inside import build
from distill.jail.inside.codec import CodecError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

# Address space of one process, bytes. Threads reserve 70 to 140 MB each without using it; what all
# processes use is limited by leftovers.MAX_RESIDENT_BYTES.
ADDRESS_SPACE_BYTES = 2 << 30
PROCESSES = 16  # and threads in the jail, process 1 included
FILE_BYTES = 16 << 20  # of one file; half of what the folder holds
OPEN_FILES = 64
STACK_BYTES = 64 << 20
# Of a core dump. With 0 the kernel would still start the program that dumps may be piped to
# (core(5)); with 1 it does not, and no dump is that small.
CORE_BYTES = 1
MAX_NAME = 200  # characters of an exception's type name
MAX_TEXT = 2000  # characters of an error
_SIZE = struct.Struct("<I")


class Pipes:
    """The child's ends: frames to the host go up, frames from it come down."""

    def __init__(self, *, up: int, down: int) -> None:
        self.up = up
        self.down = down
        self._owner = os.getpid()

    def send(self, value: object) -> None:
        """Send one frame up; a process that the candidate forked ends instead."""
        if os.getpid() != self._owner:
            os._exit(0)
        body = encode(value)
        data = memoryview(_SIZE.pack(len(body)) + body)
        while data:
            data = data[os.write(self.up, data) :]

    def receive(self) -> "Any":
        """The next frame from above; ends the process if there is none."""
        (size,) = _SIZE.unpack(read_exactly(self.down, _SIZE.size))
        return decode(read_exactly(self.down, size))


def read_exactly(fd: int, n: int) -> bytes:
    """``n`` bytes; ends the process if there are fewer."""
    data = bytearray()
    while len(data) < n:
        more = os.read(fd, min(n - len(data), 1 << 20))
        if not more:
            os._exit(0)
        data += more
    return bytes(data)


def limit(*, cpu_s: int, processes: bool) -> None:
    """Set the limits of this process and its children, for good."""
    limits = [
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_CORE, CORE_BYTES),
    ]
    if processes:  # without a user namespace this would count all of the user's processes
        limits.append((resource.RLIMIT_NPROC, PROCESSES))
    build.lower(limits, cpu_s=cpu_s)


def attempt(function: "Callable[[], Any]") -> "tuple[Any, BaseException | None]":
    """What the function returned, or what it raised: a candidate may raise anything."""
    try:
        return function(), None
    except BaseException as error:
        return None, error


def name_of(error: BaseException) -> str:
    """The name of its type, read past anything that the type overrides."""
    return str(type.__dict__["__name__"].__get__(type(error)))[:MAX_NAME]


def say(error: BaseException) -> str:
    """``Type: text`` of an error, whose ``__str__`` is the candidate's and may raise."""
    text, failed = attempt(lambda: str.__str__(str(error)))
    return f"{name_of(error)}: {'' if failed else text}"[:MAX_TEXT]


def load(source: str, name: str, given: "dict[str, Any]") -> "dict[str, Any]":
    """Execute the source as a module of that name; returns its namespace."""
    module = type(sys)(name)
    module.__dict__.update(given)
    sys.modules[name] = module
    exec(compile(source, "<solution>", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def call(namespace: "dict[str, Any]", function: str, arguments: bytes) -> bytes:
    """The encoded value of one call; ``function`` is like ``solve`` or ``Solution().solve``."""
    decoded: Any = decode(arguments)
    args, kwargs = decoded
    return encode(eval(function, namespace)(*args, **kwargs))


def outcome(namespace: "dict[str, Any]", function: str, arguments: bytes) -> "tuple[Any, Any]":
    """``(value, None)`` or ``(None, name of what was raised)``."""
    value, error = attempt(lambda: call(namespace, function, arguments))
    return value, error and name_of(error)


def status_of(error: "BaseException | None") -> "tuple[str, str]":
    """Status and error text of a whole program."""
    if error is None:
        return "ended", ""
    return "memory" if isinstance(error, MemoryError) else "raised", say(error)


def run_calls(pipes: Pipes, source: str, calls: "list[tuple[str, bytes]]") -> "tuple[str, str]":
    """Load once and make all calls; one frame each, so that results before a timeout are known."""
    namespace, error = attempt(lambda: load(source, "solution", {}))
    if error is not None:
        return status_of(error)
    for function, arguments in calls:
        value, raised = outcome(namespace, function, arguments)
        pipes.send(("returned", value, raised))
        if raised == "MemoryError":
            return "memory", raised
    return "ended", ""


def run_script(pipes: Pipes, source: str, _: object) -> "tuple[str, str]":
    """Run it as ``python solution.py`` would: exit codes, waiting for threads, atexit."""
    _, error = attempt(lambda: load(source, "__main__", {}))
    attempt(_finish)
    if isinstance(error, SystemExit) and error.code in (None, 0):
        error = None
    return status_of(error)


def _finish() -> None:
    import atexit

    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()


def run_asking(pipes: Pipes, source: str, names: "list[str]") -> "tuple[str, str]":
    """A tester: each name is a function that lives outside."""
    given = {name: _stub(pipes, name) for name in names}
    _, error = attempt(lambda: load(source, "tester", given))
    return status_of(error)


def _stub(pipes: Pipes, name: str) -> "Callable[..., object]":
    def stub(*args: object, **kwargs: object) -> object:
        pipes.send(("ask", name, encode((list(args), kwargs))))
        value, raised = pipes.receive()
        if raised is None:
            return decode(value)
        kind = getattr(builtins, raised, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            raise attempt(lambda: kind(raised))[0] or RuntimeError(raised)
        raise RuntimeError(raised)

    stub.__name__ = name
    return stub


def run_answering(pipes: Pipes, source: str, _: object) -> "tuple[str, str]":
    """A candidate that is called from outside until it is ended."""
    namespace, error = attempt(lambda: load(source, "solution", {}))
    if error is not None:
        return status_of(error)
    pipes.send(("loaded",))
    while True:
        number, function, arguments = pipes.receive()
        pipes.send(("answer", number, *outcome(namespace, function, arguments)))


def run_replies(pipes: Pipes, _: str, questions: "list[bytes]") -> "tuple[str, str]":
    """Put questions to the service that process 1 has loaded; one frame each, until one fails."""
    for question in questions:
        reply, error = attempt(partial(_reply, question))
        if error is not None:
            return status_of(error)
        pipes.send(("reply", reply))
    return "ended", ""


def _reply(question: bytes) -> bytes:
    return encode(SERVICE[0](decode(question)))


def run_build(pipes: Pipes, source: str, names: "list[str]") -> "tuple[str, str]":
    """Run a compiler on the source, which is not executed."""
    pipes.send(("built", *build.compiled(names, source)))
    return "ended", ""


KINDS: "dict[str, Callable[[Pipes, str, Any], tuple[str, str]]]" = {
    "calls": run_calls,
    "script": run_script,
    "ask": run_asking,
    "talk": run_answering,
    "build": run_build,
    "reply": run_replies,
}
SERVICE: "list[Callable[[object], object]]" = []  # what answers questions, if there is a service


def prepare() -> None:
    """Give the process the names that a script expects, and remove ours."""
    for name in [name for name in sys.modules if name.split(".")[0] == "distill"]:
        del sys.modules[name]
    sys.argv = ["solution.py"]
    resource.setrlimit = partial(_lowered, resource.setrlimit)
    import _sitebuiltins

    for name in ("exit", "quit"):  # python -S leaves them out
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D"))


def _lowered(setrlimit: "Callable[..., None]", which: int, limits: "tuple[int, int]", /) -> None:
    """Set a limit if it is allowed here: contest programs ask for more stack than there is."""
    resource.getrlimit(which)  # raises for one that does not exist
    try:
        setrlimit(which, limits)
    except (ValueError, OSError):
        return


def child(pipes: Pipes, kind: str, source: str, payload: object) -> "NoReturn":
    """Run, report how it ended, and exit without running anything else."""
    if kind != "reply":
        prepare()
    ended, error = attempt(lambda: KINDS[kind](pipes, source, payload))
    if error is not None:  # ours or the codec's: a frame too large
        ended = ("flooded" if isinstance(error, CodecError) else "raised", say(error))
    pipes.send(("end", *ended))
    os._exit(0)
