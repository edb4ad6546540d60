"""What can go wrong, one type for each thing the user can do about it. Does not print or exit.

    DistillError            everything below
    ├── UserError           the user must change something                (exit 2)
    ├── StoppedError        the teacher refuses everybody: key, balance   (exit 2)
    ├── BudgetReached       the cap is spent; raise it to go on           (exit 3)
    └── Interrupted         Ctrl-C or SIGTERM; the same command goes on   (exit 130)

A bad *row* is never an exception outside the function that met it: it is recorded with a reason.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum

from distill.terminal.plain import plain


class Exit(IntEnum):
    """Exit status of every command.

    Attributes:
        DONE: 0.
        ROWS_FAILED: 1, finished, but some rows failed for good.
        USER: 2, the user must change something.
        BUDGET: 3, the budget is reached.
        INTERRUPTED: 130, which is 128 + SIGINT, the shell's own convention.
    """

    DONE = 0
    ROWS_FAILED = 1
    USER = 2
    BUDGET = 3
    INTERRUPTED = 130


class DistillError(Exception):
    """The base of what distill raises on purpose; its text is one line for a person."""

    exit = Exit.USER

    def __str__(self) -> str:
        return plain(super().__str__())  # it may repeat what a server, a row or a file says


class UserError(DistillError):
    """A file, key or value that the user must change. Nothing was written, or it can be resumed."""


class StoppedError(DistillError):
    """The endpoint refuses every request alike (401, 402, 403, 404): asking on would be noise."""

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(text)
        self.status = status  # HTTP


class BudgetReached(DistillError):
    """The spending cap leaves no room for one more worst-case request."""

    exit = Exit.BUDGET


class Interrupted(DistillError):
    """Stopped from outside; the same command resumes."""

    exit = Exit.INTERRUPTED


def first_line(error: BaseException) -> str:
    r"""The first line of an error's text; the name of its type where it has none.

    >>> first_line(ValueError("\n no such column: x\n\nResolved plan until failure: …"))
    'no such column: x'
    >>> first_line(MemoryError())
    'MemoryError'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint for a mistyped name: ``did you mean 'x'?``, else the list of what is allowed.

    >>> nearest("temperatur", ["temperature", "top_p"])
    "did you mean 'temperature'?"
    >>> nearest("zzz", ["b", "a"])
    'one of: a, b'
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "one of: " + ", ".join(names)


def missing_extra(*, module: str, extra: str) -> UserError:
    """The error for an optional package that is not installed."""
    return UserError(
        f"the package {module!r} is needed for this and is not installed; "
        f"next: pip install -e '.[{extra}]' in distill's checkout"
    )
