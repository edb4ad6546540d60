"""Reads files of one folder and nothing outside it: no links out, no pipes, no devices.

A folder may come from a stranger: a name in it can be a link to a private key, to /proc, or to
nothing. A file is checked once; reading it later gives those very bytes, or an error.
"""

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from distill.errors import UserError

MOST_BYTES = 64 << 20  # of a file that is read as a whole: reports and configs have kilobytes
# Without O_NONBLOCK, opening a pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_COPY = "next: push a copy of the folder (cp -rL) if it is yours to publish"


class ChangedError(OSError):
    """A file has changed since it was checked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A regular file of a folder, as it was when it was checked."""

    path: Path  # as the user would name it
    real: Path  # the same without links
    mark: tuple[int, ...]  # device, inode, bytes, times of the last change of data and of inode

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.mark[2]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the user named; it may itself be a link."""

    path: Path

    def names(self, under: str = "") -> list[str]:
        """The names in it or in a folder of it, sorted; empty if there is no such folder.

        Raises:
            UserError: it leads out of the folder.
        """
        place = self.path / under
        if not place.is_dir():
            return []
        self._inside(place)
        return sorted(entry.name for entry in place.iterdir())

    def see(self, name: str) -> Seen:
        """A file of it, by its relative path.

        Raises:
            UserError: there is none, it leads out of the folder or to a hidden file, is not a
                regular file, or has a second name.
        """
        path = self.path / name
        real = self._inside(path)
        hidden = any(part.startswith(".") for part in real.relative_to(self._root()).parts[:-1])
        if path.is_symlink() and (hidden or real.name.startswith(".")):
            msg = f"{path}: a link to a hidden file, so nothing was sent; {_COPY}"
            raise UserError(msg)
        try:
            handle = _opened(self._root(), real)
        except OSError as error:
            msg = f"{path}: {error.strerror or 'cannot be read'}"
            raise UserError(msg) from None
        try:
            found = os.fstat(handle)
        finally:
            os.close(handle)
        if found.st_nlink > 1:
            msg = f"{path}: has a second name elsewhere (a hard link), so nothing was sent; {_COPY}"
            raise UserError(msg)
        return Seen(path, real, _mark(found))

    def open(self, seen: Seen) -> IO[bytes]:
        """The file that was seen, for reading.

        Raises:
            ChangedError: it is another file by now, or its content has changed.
        """
        try:
            handle = _opened(self._root(), seen.real)
        except OSError:
            handle = -1
        if handle >= 0 and _mark(os.fstat(handle)) == seen.mark:
            return os.fdopen(handle, "rb")
        if handle >= 0:
            os.close(handle)
        msg = f"{seen.path}: changed meanwhile; next: run the same command again"
        raise ChangedError(msg)

    def steady(self, seen: Seen) -> io.BufferedReader:
        """The same as a stream, which keeps no file open and checks it before each block."""
        return io.BufferedReader(_Steady(self, seen), 1 << 20)

    def read(self, seen: Seen) -> bytes:
        """All of a small file.

        Raises:
            UserError: it is larger than MOST_BYTES.
            ChangedError: as in ``open``.
        """
        if seen.size > MOST_BYTES:
            msg = f"{seen.path}: {seen.size:,} bytes, more than {MOST_BYTES >> 20} MB"
            raise UserError(msg)
        with self.open(seen) as stream:
            return stream.read()

    def _root(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _inside(self, path: Path) -> Path:
        """Its path with links resolved, which must be below the folder."""
        try:
            real = Path(os.path.realpath(path, strict=True))
        except OSError as error:
            what = "a link that leads nowhere" if path.is_symlink() else error.strerror
            msg = f"{path}: {what}, so nothing was sent"
            raise UserError(msg) from None
        if not real.is_relative_to(self._root()):
            msg = f"{path}: a link out of {self.path}, so nothing was sent; {_COPY}"
            raise UserError(msg)
        return real


class _Steady(io.RawIOBase):
    """A seen file, block by block."""

    def __init__(self, folder: Folder, seen: Seen) -> None:
        self._folder, self._seen, self._at = folder, seen, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._seen.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._folder.open(self._seen) as stream:
            data = os.pread(stream.fileno(), len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _opened(root: Path, real: Path) -> int:
    """A handle of a regular file below ``root``; no part of its path may be a link."""
    at = os.open(root, _FOLDER)
    try:
        *folders, name = real.relative_to(root).parts
        for part in folders:
            inner = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = inner
        # checked first, because opening a device can already have an effect
        if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(0, "not a regular file, so nothing was sent")
        handle = os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "not a regular file, so nothing was sent")
    return handle


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
