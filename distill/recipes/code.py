"""Python beside a recipe: read once, if the user allows it, and run from what was read.

The file runs as the user, without a jail, so its author decides what happens. That is why a recipe
alone can never make it run; the user has to give ``--allow-code``.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Final

from distill.errors import DistillError, UserError, first_line
from distill.recipes.places import Kind, Origin, missing, place

PYTHON: Final = Kind(wanted="a .py file", suffixes=(".py",))
# FILE.py, or FILE.py:FUNCTION; no control characters: rows store it without the folder.
CHECK: Final = re.compile(
    r"(?P<file>[^:\x00-\x1f\x7f]+\.py)(?::(?P<function>[a-z_][a-z_0-9]*))?", re.IGNORECASE
)
FUNCTION: Final = "grade"  # of a check that names none
SAID: Final = 200  # characters of an error raised by the code


class CodeError(UserError):
    """The user's code failed: the text names file, line and error."""

    where = ""  # file and line


@dataclass(frozen=True, slots=True)
class Code:
    """A Python file as it was read; picklable, so that workers need not find the file."""

    name: str  # of the file, without its folder
    path: str  # where it was read from, for errors
    source: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """16 hex digits of the sha256 of its bytes."""
        return hashlib.sha256(self.source).hexdigest()[:16]

    def module(self) -> ModuleType:
        """The module, which is run once in a process.

        Raises:
            CodeError: it fails.
        """
        return _run(self)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Turns whatever the code raises in the block into an error with file and line.

        Raises:
            CodeError: it raised something, or tried to exit.
        """
        from polars.exceptions import PanicException  # not an Exception

        try:
            yield
        except DistillError:  # from one of our functions that it called
            raise
        # border: the user's code may raise anything
        except (Exception, SystemExit, PanicException) as error:
            where = self._where(error)
            failed = CodeError(f"{where}: {type(error).__name__}: {first_line(error):.{SAID}}")
            failed.where = where  # not an argument, because then it could not be pickled
            raise failed from error

    def _where(self, error: BaseException) -> str:
        """File and line of the last of the code's own frames in the traceback."""
        frames = walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == self.path]
        if isinstance(error, SyntaxError) and error.filename == self.path and error.lineno:
            lines.append(error.lineno)
        return f"{self.path}:{lines[-1]}" if lines else self.path


@cache
def _run(code: Code) -> ModuleType:
    # dataclasses look up their module; no other file can have this name
    module = ModuleType(f"distill_own_{code.digest}")
    sys.modules[module.__name__] = module
    with code.blamed():
        exec(compile(code.source, code.path, "exec", dont_inherit=True), vars(module))
    return module


def read_code(text: str, key: str, origin: Origin, *, allowed: bool) -> Code:
    """The file that a recipe names at ``key``.

    Raises:
        UserError: it is missing or the recipe may not read it, or the user did not allow it to run.
    """
    found = place(text, key, origin, PYTHON)
    if found is None:
        raise missing(text, key, origin)
    if not allowed:
        msg = (
            f"{origin.path}: {key}: {found} is Python that would run as you, without a jail; next: "
            "read it, then allow it by --allow-code"
        )
        raise UserError(msg)
    return Code(found.name, str(found), _bytes(found))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise UserError(msg) from None


def check_parts(check: str) -> tuple[str, str] | None:
    """File and function of one of the user's own checks; None for any other check.

    >>> check_parts("mine/my_check.py"), check_parts("math")
    (('mine/my_check.py', 'grade'), None)
    """
    found = CHECK.fullmatch(check)
    return None if found is None else (found["file"], found["function"] or FUNCTION)


def kind_of(check: str) -> str:
    """A recipe's check as rows store it: without a folder, with the function's name.

    >>> kind_of("mine/my_check.py"), kind_of("my_check.py:mark"), kind_of("math")
    ('my_check.py:grade', 'my_check.py:mark', 'math')
    """
    parts = check_parts(check)
    return check if parts is None else f"{Path(parts[0]).name}:{parts[1]}"


def refuse_repeated(names: Sequence[str], key: str, origin: Origin) -> None:
    """Raises UserError if two files have the same name, because results are stored by it."""
    for name in names:
        if names.count(name) > 1:
            msg = f"{origin.path}: {key}: {name!r} appears twice; rename one of them"
            raise UserError(msg)
