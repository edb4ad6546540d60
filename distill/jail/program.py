"""What goes into a jail and what comes out."""

from dataclasses import dataclass
from typing import Literal

# jail_failed: our fault, to be tried again, never a verdict. died: killed by a signal, or exited
# early (os._exit) or, if it is not Python, with an exit code other than 0. flooded: more output or
# files than the jail allows.
Status = Literal["ended", "raised", "timeout", "memory", "died", "flooded", "jail_failed"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function that the source defines ("solve", or "Solution().solve")."""

    function: str
    arguments: bytes  # codec.encode((list of positional, dict of named))


@dataclass(frozen=True, slots=True)
class Program:
    """Source, and either calls of its functions or the input that it reads as a script.

    With calls, the source is executed once as a module (its ``__name__`` is not ``__main__``), and
    each call gets freshly decoded arguments; what it prints is discarded. With ``stdin``, the
    source runs as a script, and its standard output is the result.
    """

    source: str
    calls: tuple[Call, ...] = ()
    stdin: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """The encoded value that a call returned, or the type name of what it raised. Untrusted."""

    value: bytes | None
    raised: str | None = None  # at most 200 characters


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and its results so far. All but the status is untrusted."""

    status: Status
    returned: tuple[Returned, ...] = ()
    stdout: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Replied:
    """A service's encoded replies to questions, in order, until it ended. Untrusted."""

    ran: Ran
    replies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """A source, and the compiler that turns it into a program."""

    source: str
    file: str  # the name under which the compiler reads it
    made: str  # the file it writes, or a folder, which is returned as a zip archive
    command: tuple[str, ...]  # with absolute paths


@dataclass(frozen=True, slots=True)
class Built:
    """What a compiler made; empty if ``code`` is not 0. Untrusted."""

    ran: Ran
    code: int = -1
    said: str = ""
    file: bytes = b""


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that is not Python, and its input; its standard output is the result."""

    command: tuple[str, ...]  # finds the file at build.PROGRAM
    file: bytes
    stdin: str
