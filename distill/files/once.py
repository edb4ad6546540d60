"""Makes a folder once for all processes and starts that need it; half of one is never used."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from distill.errors import UserError
from distill.files.write import sync

MADE = re.compile(r"[0-9a-f]{16}|\.[0-9a-f]{16}\.part")
Read = TypeVar("Read")


def made_once(
    parent: Path,
    name: str,
    *,
    make: Callable[[Path], object],
    read: Callable[[Path], Read | None],
) -> Read:
    """What ``read`` gives of the folder ``parent/name``; if it gives None, ``make`` fills it first.

    Of several processes one makes it and the others wait. Before that, other folders that were
    made in ``parent`` are removed, and what a killed process left. ``name``: 16 hex digits.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    place, part = parent / name, parent / f".{name}.part"
    try:
        with _alone(parent.parent):
            found = read(place) if place.is_dir() else None
            if found is None:
                for other in parent.glob("*") if parent.is_dir() else ():
                    if MADE.fullmatch(other.name):
                        shutil.rmtree(other)
                _make(part, make)
                part.rename(place)
                sync(parent)
                found = read(place)
    except OSError as error:
        msg = f"{parent}: cannot be written to: {error.strerror}; choose another -o"
        raise UserError(msg) from None
    if found is None:
        msg = f"{place}: is damaged right after it was written; next: check the disk"
        raise UserError(msg)
    return found


def _make(part: Path, make: Callable[[Path], object]) -> None:
    part.mkdir(parents=True)
    done = False
    try:
        make(part)
        for file in part.rglob("*"):
            sync(file)
        done = True
    finally:
        if not done:  # also after Ctrl-C: a folder of many gigabytes must not stay
            shutil.rmtree(part, ignore_errors=True)
            with suppress(OSError):  # not empty
                part.parent.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits for the other processes; the kernel lets go however a process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)  # a folder can be locked as a file can
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
