"""What goes into the jail and what comes out. Does not run anything."""

from dataclasses import dataclass
from typing import Literal

# jail_failed: ours, to be tried again, never a verdict. died: killed by a signal, left without a
# word (os._exit) or, if it is no Python, with another exit code than 0. flooded: more output, or
# more files, than the jail holds.
Status = Literal["ended", "raised", "timeout", "memory", "died", "flooded", "jail_failed"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function that the source defines ("solve", or "Solution().solve")."""

    function: str
    arguments: bytes  # codec.encode((list of positional, dict of named))


@dataclass(frozen=True, slots=True)
class Program:
    """Source, and either calls of its functions or the input that it reads as a script.

    With calls, the source is executed once as a module (its ``__name__`` is not ``__main__``) and
    each call gets its arguments decoded anew; what it prints is thrown away. With ``stdin``, the
    source runs as a script, and its standard output is the result.
    """

    source: str
    calls: tuple[Call, ...] = ()
    stdin: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What one call gave: a value, encoded, or the type name of what it raised. Both untrusted."""

    value: bytes | None
    raised: str | None = None  # at most 200 characters


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it gave up to then. All but the status is untrusted."""

    status: Status
    returned: tuple[Returned, ...] = ()
    stdout: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Replied:
    """What a service said to questions, each encoded, in order, up to its end. Untrusted."""

    ran: Ran
    replies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """A source, and the compiler that makes a program of it."""

    source: str
    file: str  # the name under which the compiler reads it
    made: str  # and under which it writes: a file, or a folder, which comes out as a zip archive
    command: tuple[str, ...]  # with absolute paths


@dataclass(frozen=True, slots=True)
class Built:
    """What a compiler made: nothing, if ``code`` is not 0. Untrusted."""

    ran: Ran
    code: int = -1
    said: str = ""
    file: bytes = b""


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that is no Python source, and its input; its standard output is the result."""

    command: tuple[str, ...]  # which finds the file at build.PROGRAM
    file: bytes
    stdin: str
