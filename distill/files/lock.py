"""Locks a folder for one writer. Does not guard against hosts that share a network drive."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill.errors import UserError


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Holds ``folder`` for this process; the kernel releases it however the process ends.

    Raises:
        UserError: another live process holds it; the text names its process id.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        msg = f"{folder}: cannot be written to: {error.strerror}; choose another -o"
        raise UserError(msg) from None
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = ""
        with suppress(OSError):
            owner = os.read(handle, 20).decode("ascii", "replace").strip()
        who = f"process {owner}" if owner else "an unknown process"
        msg = f"{folder}: in use by another run ({who}); wait for it or stop it"
        raise UserError(msg) from None
    os.truncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
