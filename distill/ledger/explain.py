"""What an error of SQLite means for the user, in one line."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from distill.errors import UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# SQLite says the second of a disk that fills up while it enlarges its shared memory.
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
# It is another program's turn, or the file may not be opened: neither is damage.
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
SHUT = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
PLAIN = 0xFF  # the bits of an extended error code that are the plain one


@contextmanager
def translate_sqlite_errors(path: Path) -> Iterator[None]:
    """What goes wrong with the ledger ``path``, or with the disk that it is on, and what to do.

    Raises:
        UserError: the disk is full, the ledger cannot be opened or is damaged. Other errors are
            passed on.
    """
    try:
        yield
    except (sqlite3.DatabaseError, zstandard.ZstdError) as error:
        if _code(error) in FULL:
            raise _no_room(path.parent, error) from None
        if (shut := not_opened(path, error)) is not None:
            raise shut from None
        repair = f"distill status --repair {path.parent}"
        msg = f"{path}: damaged: {error}; next: {repair}"
        raise UserError(msg) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise _no_room(path.parent, error) from None


def not_opened(path: Path, error: Exception) -> UserError | None:
    """The error to raise where SQLite could not get at the file; None where that is not it."""
    if _code(error) in HELD:
        what, next_step = "another program has it open", "close that, then the same command"
    elif _code(error) in SHUT or isinstance(error, OSError):
        what, next_step = "cannot be opened", "let yourself read and write it and its folder"
    else:
        return None
    return UserError(f"{path}: {what}: {error}; nothing is lost; next: {next_step}")


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & PLAIN


def _no_room(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder}: cannot be written: {error}; what was written is safe; next: make room, then "
        "the same command goes on from here"
    )
