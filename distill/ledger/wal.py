"""The write-ahead log beside a SQLite file: which of its pages are whole. Applies nothing.

SQLite reads such a log up to the first frame that is not whole and forgets the rest without a word,
committed or not. A frame's checksum goes on from that of the frame before it, as stored there; so
each can be checked although an earlier one is damaged.
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


@dataclass(frozen=True, slots=True)
class Frame:
    """One version of one page."""

    page: int
    at: int  # where its content is in the log
    commit: bool  # the last of a transaction
    whole: bool


def log_of(path: Path) -> Path:
    """Where the log of a database is, if it has one."""
    return path.with_name(f"{path.name}-wal")


def page_size(header: bytes) -> int | None:
    """What a log's header says; None if it is damaged."""
    return known_size(int.from_bytes(header[8:12], "big")) if _is_whole(header) else None


def known_size(size: int) -> int | None:
    """``size`` if it is one that pages can have."""
    return size if 512 <= size <= 65536 and size.bit_count() == 1 else None


def read(handle: int, at: int, size: int) -> bytes:
    """Exactly ``size`` bytes, or none: past the end, or the disk cannot read them."""
    try:
        found = os.pread(handle, size, at)
    except OSError:
        return b""
    return found if len(found) == size else b""


def newest(handle: int, size: int) -> dict[int, int]:
    """Page → where its newest whole version is, of all that was committed."""
    found: dict[int, int] = {}
    pending: dict[int, int] = {}
    for frame in _frames(handle, size):
        if frame.whole:
            pending[frame.page] = frame.at
        if frame.whole and frame.commit:
            found |= pending
            pending.clear()
    return found


def is_damaged(path: Path) -> bool:
    """Whether the log of the database ``path`` holds commits that SQLite would forget."""
    log = log_of(path)
    if not log.exists():
        return False
    handle = os.open(log, os.O_RDONLY)
    try:
        header = read(handle, 0, HEADER)
        broken = not _is_whole(header)
        for frame in _frames(handle, page_size(header) or PAGE_SIZE):
            if broken and frame.whole and frame.commit:
                return True
            broken = broken or not frame.whole
        return False
    finally:
        os.close(handle)


def _frames(handle: int, size: int) -> Iterator[Frame]:
    """All of the log as it was last begun, oldest first."""
    header = read(handle, 0, HEADER)
    before, salts = header[24:], header[16:24]
    if not _is_whole(header):  # then most of the first three frames say whose log it is
        starts = (HEADER + i * (FRAME_HEADER + size) + 8 for i in range(3))
        before, salts = bytes(8), mode(read(handle, start, 8) for start in starts)
    at = HEADER
    while frame := read(handle, at, FRAME_HEADER + size):
        head, stored = frame[:8], frame[16:24]
        whole = frame[8:16] == salts and stored == _sum(before, head + frame[24:], header)
        number, commit = struct.unpack(">II", head)
        yield Frame(number, at + FRAME_HEADER, commit > 0, whole)
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
