"""Rows of a SQLite file read page by page: what a damaged file still holds. Follows no tree.

A row is on one leaf (or inner index) page and, where it is long, on a chain of overflow pages; so a
bad page costs the rows on it and no others, wherever it stood in the tree. The format is that of
https://www.sqlite.org/fileformat2.html. What rows mean is not known here, nor whether they are
right beyond their own lengths.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from distill.ledger import wal

Value = int | float | str | bytes | None
MAGIC = b"SQLite format 3\0"
INNER_INDEX, LEAF_INDEX, LEAF_TABLE = 0x02, 0x0A, 0x0D  # page types that hold rows
INT_BYTES = (0, 1, 2, 3, 4, 6, 8)  # by serial type
MAX_VARINT = 9  # bytes
MOST_BYTES = 2**27  # of a row: an answer is at most 64 MB, and kept compressed


class Damaged(ValueError):
    """What was read cannot be a row."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row or index entry; ``rowid`` is None in an index (a table WITHOUT ROWID is one)."""

    rowid: int | None
    values: tuple[Value, ...]


def records(path: Path) -> Iterator[Record]:
    """Every row that can still be read, in no order; pages on the list of free ones are left out.

    The write-ahead log beside ``path`` is read with it. Nothing is written.
    """
    log = wal.log_of(path)
    with ExitStack() as files:
        main = files.enter_context(path.open("rb")).fileno()
        logged = files.enter_context(log.open("rb")).fileno() if log.exists() else None
        pages = _Pages(main, logged)
        free = pages.free()
        for number in range(1, pages.count + 1):
            if number not in free:
                yield from _rows(pages, number)


@dataclass(slots=True)
class _Pages:
    """The newest version of every page."""

    main: int  # file descriptors
    log: int | None
    size: int = wal.PAGE_SIZE
    usable: int = wal.PAGE_SIZE  # bytes of a page that hold content
    count: int = 0
    newer: dict[int, int] = field(default_factory=dict)  # page → where it is in the log

    def __post_init__(self) -> None:
        first = wal.read(self.main, 0, 100)
        if first.startswith(MAGIC) and (
            size := wal.known_size(int.from_bytes(first[16:18], "big"))
        ):
            self.size = size
        elif self.log is not None:
            self.size = wal.page_size(wal.read(self.log, 0, wal.HEADER)) or self.size
        if self.log is not None:
            self.newer = wal.newest(self.log, self.size)
        self.count = max(os.fstat(self.main).st_size // self.size, *self.newer, 0)
        first = self.page(1)
        self.usable = self.size - (first[20] if first.startswith(MAGIC) else 0)

    def page(self, number: int) -> bytes:
        """All of a page; empty if it cannot be read."""
        if number in self.newer:
            return wal.read(self.log or 0, self.newer[number], self.size)
        return wal.read(self.main, (number - 1) * self.size, self.size) if number > 0 else b""

    def free(self) -> set[int]:
        """Pages that hold old rows only; none where the list of them is not as long as it says."""
        first = self.page(1)
        trunk, count = struct.unpack_from(">II", first, 32) if first.startswith(MAGIC) else (0, 0)
        found: set[int] = set()
        while trunk not in found and (page := self.page(trunk)):
            found.add(trunk)
            trunk, leaves = struct.unpack_from(">II", page)
            found.update(struct.unpack_from(f">{min(leaves, self.usable // 4 - 2)}I", page, 8))
        return found if len(found) == count else set()


def _rows(pages: _Pages, number: int) -> Iterator[Record]:
    page = pages.page(number)
    start = 100 if number == 1 else 0
    kind = page[start] if page else 0
    if kind not in (INNER_INDEX, LEAF_INDEX, LEAF_TABLE):
        return
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + (12 if kind == INNER_INDEX else 8)
    for at in range(first, min(first + 2 * cells, pages.usable - 1), 2):
        with suppress(Damaged):
            yield _row(pages, page, int.from_bytes(page[at : at + 2], "big"), kind)


def _row(pages: _Pages, page: bytes, at: int, kind: int) -> Record:
    rowid = None
    length, at = _varint(page, at + (4 if kind == INNER_INDEX else 0))
    if length > MOST_BYTES:
        raise Damaged
    most = (pages.usable - 12) * 64 // 255 - 23
    if kind == LEAF_TABLE:
        rowid, at = _varint(page, at)
        most = pages.usable - 35
    least = (pages.usable - 12) * 32 // 255 - 23
    here = length
    if length > most:
        here = least + (length - least) % (pages.usable - 4)
        here = here if here <= most else least
    payload = page[at : at + here]
    if here < length:
        rest = int.from_bytes(page[at + here : at + here + 4], "big")
        payload += _overflow(pages, rest, length - here)
    if len(payload) != length:
        raise Damaged
    return Record(rowid, tuple(_values(payload)))


def _overflow(pages: _Pages, number: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0:
        page = pages.page(number)
        if not page or len(parts) > pages.count:
            raise Damaged
        parts.append(page[4 : min(4 + length, pages.usable)])
        number = int.from_bytes(page[:4], "big")
        length -= len(parts[-1])
    return b"".join(parts)


def _values(payload: bytes) -> Iterator[Value]:
    end, at = _varint(payload, 0)
    body = end
    while at < end:
        serial, at = _varint(payload, at)
        size = INT_BYTES[serial] if serial < 7 else 8 if serial == 7 else max(0, serial - 12) // 2
        if serial in (10, 11) or body + size > len(payload):
            raise Damaged
        yield _value(serial, payload[body : body + size])
        body += size
    if body != len(payload) or at != end:
        raise Damaged


def _value(serial: int, data: bytes) -> Value:
    if serial == 0:
        return None
    if serial == 7:
        return float(struct.unpack(">d", data)[0])
    if serial in (8, 9):
        return serial - 8
    if serial < 7:
        return int.from_bytes(data, "big", signed=True)
    if serial % 2 == 0:
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Damaged from None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends); values over 63 bits, which are negative, are no length or number."""
    value = 0
    for size, byte in enumerate(data[at : at + MAX_VARINT - 1], 1):
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + size
    raise Damaged
