"""Notices that the files of an open ledger are not those under their names, or not as we left them.

SQLite goes on writing into a file that was deleted, renamed or replaced, and says nothing; nor does
it tell what another program writes into a file from what it wrote itself. Noticed are: by name, a
file that is gone or another one (also behind a link); by size and time of change (over a network by
size alone), one that another program wrote into while we did not; after each transaction, a log
whose beginning or last frame is not what was written there. Not noticed is what happens to the
ledger while its own log is being copied into it, and a change that puts size and time back.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distill.ledger import wal
from distill.ledger.mounts import has_own_times

Mark = tuple[int, ...]  # device and number, size, and time of the last change in ns
MOST_RESETS = 16  # of a log within one transaction; each adds one to its first salt


@dataclass(frozen=True, slots=True)
class Fault:
    """What has become of a ledger's file."""

    file: Path
    what: str
    whole: bool  # all that was written can still be read by a process that has it open


class Watch:
    """Looks after the files of one ledger, from when it was opened until it is closed."""

    def __init__(self, path: Path) -> None:
        """``path`` was just opened by SQLite, and written or read.

        Raises:
            OSError: a file is gone already.
        """
        self._given, real = path, path.resolve()
        self._index = real.with_name(f"{real.name}-shm")
        self._files = (real, wal.log_of(real))
        self._names = tuple(map(str, self._files))
        # Held until SQLite has closed its own: closing one drops the locks of the whole process.
        self._log_handle = os.open(self._files[1], os.O_RDONLY)
        self._index_handle = os.open(self._index, os.O_RDONLY)
        seen = os.lstat(self._files[1])
        held = os.fstat(self._log_handle)
        # Some file systems number a file anew each time; there a name is all that can be asked for.
        self._numbered = (seen.st_dev, seen.st_ino) == (held.st_dev, held.st_ino)
        self._timed = has_own_times(real)
        self._known = {file: self._number(os.lstat(file)) for file in (*self._files, self._index)}
        self._linked = real != path.absolute()
        self._fault: Fault | None = None
        self._turn = 0  # odd while we write
        self._marks = self._now()
        self.frames, self._head, self._last = 0, b"", b""
        self._follow()

    def close(self) -> None:
        """Only after SQLite has closed the ledger."""
        os.close(self._log_handle)
        os.close(self._index_handle)

    def fault(self) -> Fault | None:
        """What is wrong, if anything; once it is, it stays so. From any thread."""
        turn, marks = self._turn, self._marks
        if self._fault is not None or (not self._linked and turn % 2 == 0 and self._now() == marks):
            return self._fault
        return self._looked(turn, marks)

    def _looked(self, turn: int, marks: tuple[Mark, ...]) -> Fault | None:
        """The same, file by file: to see what it is, or whether it is only that we write."""
        for file in self._files:
            if self._look_at(file) is None:
                return self._fault
        if self._linked:
            self._look_at(self._given, follow=True)
        now = self._now()
        if turn % 2 == 0 and turn == self._turn and now != marks:
            self._changed(self._files[0 if now[:1] != marks[:1] else 1])
        return self._fault

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While we write: whatever changes meanwhile is ours. Looks before and afterwards."""
        self.fault()
        self._turn += 1
        try:
            yield
        finally:
            self._marks = self._now()
            self._turn += 1

    def look(self, *, copied: bool = False) -> None:
        """Within ``writing``, after a transaction or after the log was ``copied`` to the ledger."""
        found = [self._look_at(file) for file in (*self._files, self._index)]
        if None in found:
            return
        if not copied and self._now()[0] != self._marks[0]:
            self._changed(self._files[0])
        if not self._follow():
            self._changed(self._files[1])

    def _look_at(self, file: Path, *, follow: bool = False) -> os.stat_result | None:
        """None if it is not what it was; then that is the fault."""
        try:
            found = file.stat() if follow else os.lstat(file)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            self._fault = Fault(file, "is gone" if gone else f"is lost ({error.strerror})", True)
            return None
        if self._number(found) != self._known[self._files[0] if follow else file]:
            self._fault = Fault(file, "is another file now", True)
            return None
        return found

    def _changed(self, file: Path) -> None:
        self._fault = self._fault or Fault(file, "was changed by another program", False)

    def _number(self, found: os.stat_result) -> tuple[int, ...]:
        number = (found.st_dev, found.st_ino) if self._numbered else ()
        return (stat.S_IFMT(found.st_mode), *number)

    def _now(self) -> tuple[Mark, ...]:
        """How the files are; it costs 3 us, and is asked before each request."""
        try:
            main, log = os.lstat(self._names[0]), os.lstat(self._names[1])
        except OSError:
            return ()
        if self._numbered and self._timed:
            return (
                (main.st_dev, main.st_ino, main.st_size, main.st_mtime_ns),
                (log.st_dev, log.st_ino, log.st_size, log.st_mtime_ns),
            )
        return tuple(self._mark(found) for found in (main, log))

    def _mark(self, found: os.stat_result) -> Mark:
        number = (found.st_dev, found.st_ino) if self._numbered else ()
        return (*number, found.st_size, *([found.st_mtime_ns] if self._timed else []))

    def _follow(self) -> bool:
        """Whether the log begins and ends as it was written; goes on to its new end."""
        counted = wal.counted(self._index_handle)
        head = wal.read(self._log_handle, 0, wal.HEADER)
        if counted is None or not counted.frames:
            self.frames = 0
            return True  # nothing is in it that counts
        if head != self._head and not self._is_next(head):
            return False
        same = head == self._head and self.frames > 0
        if same and self._frame(self.frames, counted) != self._last:
            return False
        last = self._frame(counted.frames, counted)
        self._head, self._last, self.frames = head, last, counted.frames
        return head[16:24] == counted.salts == last[8:16]

    def _frame(self, number: int, counted: wal.Counted) -> bytes:
        """The head of a frame, counted from 1."""
        at = wal.HEADER + (number - 1) * (wal.FRAME_HEADER + counted.page_size)
        return wal.read(self._log_handle, at, wal.FRAME_HEADER)

    def _is_next(self, head: bytes) -> bool:
        """Whether a log may begin so that began otherwise."""
        if not self._head:
            return len(head) == wal.HEADER
        before, now = (int.from_bytes(one[16:20], "big") for one in (self._head, head))
        return len(head) == wal.HEADER and 0 < (now - before) % 2**32 <= MOST_RESETS
