"""The write-ahead log beside a SQLite file: which of its pages are whole.

SQLite reads such a log up to the first frame that is not whole and forgets the rest without a word,
committed or not. A frame's checksum goes on from that of the frame before it, as stored there; so
each can be checked although an earlier one is damaged.

Not every whole frame behind a broken one was lost. A process that is killed between writing a
commit and telling the others of it leaves frames that the next writer overwrites from their start:
where that one writes less, the old end stays behind the new one, whole but for its first frame. So
it does where a large transaction, killed in the act, had written some of its pages twice. Such a
rest is never followed by a frame that goes on from it; nor does the index beside the log, which all
that have the file open share, count it. The format is that of https://www.sqlite.org/walformat.html.
"""

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mode

HEADER, FRAME_HEADER = 32, 24  # bytes
LITTLE, BIG = b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"  # how it begins, by the order of words
PAGE_SIZE = 4096  # where no header says: SQLite's default, which ledgers are made with
# The head of the index (-shm), twice over, in the words of this machine: version, unused, changes,
# whether begun, order of the checksums, page size, frames, pages, checksum of the last frame.
INDEX = struct.Struct("=IIIBBHIIII")
INDEX_HEADER = 48  # bytes: that, the salts, and its own checksum


@dataclass(frozen=True, slots=True)
class Frame:
    """One version of one page."""

    page: int  # from 1
    at: int  # where its content is in the log
    size: int  # bytes
    commit: bool  # the last of a transaction
    whole: bool


def log_of(path: Path) -> Path:
    """Where the log of a database is, if it has one."""
    return path.with_name(f"{path.name}-wal")


def read(handle: int, at: int, size: int) -> bytes:
    """Exactly ``size`` bytes, or none: past the end, or the disk cannot read them."""
    try:
        found = os.pread(handle, size, at)
    except OSError:
        return b""
    return found if len(found) == size else b""


def merge(log: int, database: int) -> None:
    """Writes the whole pages of all commits in the open ``log`` into an open file.

    Raises:
        OSError: it cannot be written.
    """
    pending: list[Frame] = []
    for frame in _frames(log):
        if frame.whole:
            pending.append(frame)
        if frame.whole and frame.commit:
            for one in pending:
                os.pwrite(database, read(log, one.at, one.size), (one.page - 1) * one.size)
            pending.clear()


def is_damaged(path: Path) -> bool:
    """Whether the log of the database ``path`` holds commits that SQLite would forget.

    Damage to the last of all commits is told only where the index is there and counts it; else it
    looks like one that was never finished.
    """
    log = log_of(path)
    if not log.exists():
        return False
    handle = os.open(log, os.O_RDONLY)
    try:
        header = read(handle, 0, HEADER)
        known = _frames_counted(path, header[16:24])
        broken, ended = not _is_whole(header), False  # ended: by a commit, behind a broken frame
        for number, frame in enumerate(_frames(handle), 1):
            if frame.whole and ended:
                return True  # what goes on from a commit was begun when that was done
            broken = broken or not frame.whole
            ended = broken and frame.whole and frame.commit
            if ended and number <= known:
                return True
        return False
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the index beside a log says of it."""

    frames: int  # that are committed; it is written after they are on disk, so never too many
    page_size: int
    salts: bytes


def counted(handle: int) -> Counted | None:
    """What an open index (-shm) says; None while it says nothing, or is being changed."""
    both = read(handle, 0, 2 * INDEX_HEADER)
    first = both[:INDEX_HEADER]
    if not both or both[INDEX_HEADER:] != first:
        return None
    _, _, _, begun, _, size, frames, *_ = INDEX.unpack(first[: INDEX.size])
    stored = struct.pack(">II", *struct.unpack("=II", first[40:]))
    if begun != 1 or stored != _sum(bytes(8), first[:40], b""):
        return None
    return Counted(frames, 65536 if size == 1 else size, first[32:40])


def _frames_counted(path: Path, salts: bytes) -> int:
    """How many frames of the log with these salts are known to be committed."""
    try:
        handle = os.open(path.with_name(f"{path.name}-shm"), os.O_RDONLY)
    except OSError:
        return 0
    try:
        found = counted(handle)
        return found.frames if found is not None and found.salts == salts else 0
    finally:
        os.close(handle)


def _frames(handle: int) -> Iterator[Frame]:
    """All of the log as it was last begun, oldest first."""
    header = read(handle, 0, HEADER)
    before, salts, size = header[24:], header[16:24], int.from_bytes(header[8:12], "big")
    if not _is_whole(header):  # then most of the first three frames say whose log it is
        size = PAGE_SIZE
        starts = (HEADER + i * (FRAME_HEADER + size) + 8 for i in range(3))
        before, salts = bytes(8), mode(read(handle, start, 8) for start in starts)
        header = b""
    at = HEADER
    while frame := read(handle, at, FRAME_HEADER + size):
        head, stored = frame[:8], frame[16:24]
        whole = frame[8:16] == salts and stored == _sum(before, head + frame[24:], header)
        number, commit = struct.unpack(">II", head)
        yield Frame(number, at + FRAME_HEADER, size, commit > 0, whole)
        before, at = stored, at + len(frame)


def _is_whole(header: bytes) -> bool:
    return len(header) == HEADER and header[24:] == _sum(bytes(8), header[:24], header)


def _sum(before: bytes, data: bytes, header: bytes) -> bytes:
    """The format's checksum; the header says in which order the words are: its writer's own."""
    order = {BIG: "big", LITTLE: "little"}.get(header[:4], sys.byteorder)
    one, two = struct.unpack(">II", before)
    words = struct.unpack(f"{'>' if order == 'big' else '<'}{len(data) // 4}I", data)
    for x, y in zip(words[::2], words[1::2], strict=True):
        one = (one + x + two) & 0xFFFFFFFF
        two = (two + y + one) & 0xFFFFFFFF
    return struct.pack(">II", one, two)
