"""Reads a damaged ledger row by row and skips what SQLite cannot read."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from distill.ledger import wal
from distill.ledger.schema import ADDED

Row = tuple[Any, ...]
CHUNK = 4096  # bytes of a page; where the disk cannot read them they become zeros
HEADER = 100  # bytes at the beginning of the file
# Where they say how many pages there are, and that there is a log.
PAGES_AT, LOGGED_AT = 28, 18
KINDS: dict[str, type] = {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}
# To change where a table begins, again and again.
PATCHED = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA writable_schema = ON;"
# A damaged name in SQLite's own message is no text.
BROKEN = (sqlite3.DatabaseError, UnicodeDecodeError)
LEAF = 0x0D  # the first byte of a page that holds rows of a table with numbers


def copy(old: Path, new: Path) -> None:
    """Makes ``new`` the file ``old`` with what was committed to its write-ahead log.

    Raises:
        OSError: it cannot be written.
    """
    log = wal.log_of(old)
    with old.open("rb") as source, new.open("wb") as target:
        for at in range(0, os.fstat(source.fileno()).st_size, CHUNK):
            target.write(wal.read(source.fileno(), at, CHUNK) or bytes(CHUNK))
        target.flush()
        if log.exists():
            with log.open("rb") as logged:
                wal.merge(logged.fileno(), target.fileno())


def open_copy(path: Path) -> sqlite3.Connection:
    """Opens a file made by ``copy``, and changes its header so that SQLite takes it as it is."""
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), bytes(4), PAGES_AT)  # as many as there are
        os.pwrite(file.fileno(), b"\1\1", LOGGED_AT)  # its log is in it already
    return sqlite3.connect(path, isolation_level=None)


def columns(db: sqlite3.Connection, table: str) -> dict[str, type]:
    """Name → type of a table's columns, its key first; empty if there is no such table.

    Raises:
        sqlite3.DatabaseError, UnicodeDecodeError: the schema cannot be read.
    """
    found = db.execute(f"PRAGMA table_info({table})").fetchall()
    return {row[1]: KINDS.get(row[2], object) for row in found}


def is_known(there: Iterable[str], today: Iterable[str]) -> bool:
    """Whether a table has today's columns, or those of version 1; elsewhere a name is damaged."""
    names = list(today)
    return list(there) in (names, [name for name in names if name not in ADDED])


def numbered(path: Path, table: str, kinds: Mapping[str, type]) -> Iterator[Row]:
    """The rows of a table that can be read and have values of the right types, by their number.

    Where a row's number is not larger than the one before it, both are left out: one is wrong.
    Where a page is bad, all pages that hold rows are read one by one, each as if it were the whole
    table; so rows may come twice.

    Args:
        path: of a ``copy``; where its table begins is changed.
        table: its name.
        kinds: name → type of the columns to read, the number first.
    """
    query = _query(table, kinds)
    with closing(open_copy(path)) as db, suppress(*BROKEN):
        yield from _ascending(db.execute(query, (0,)), kinds)
        return
    with closing(open_copy(path)) as db, path.open("rb") as file:
        for page in range(1, os.fstat(file.fileno()).st_size // CHUNK):
            if wal.read(file.fileno(), page * CHUNK, 1)[0] == LEAF:
                with suppress(*BROKEN):
                    db.executescript(PATCHED)
                    move = "UPDATE sqlite_master SET rootpage = ? WHERE name = ?"
                    db.execute(move, (page + 1, table))
                    db.execute("PRAGMA writable_schema = RESET")
                    yield from _ascending(db.execute(query, (0,)), kinds)


def named(
    db: sqlite3.Connection, table: str, kinds: Mapping[str, type], names: Iterable[str]
) -> Iterator[Row]:
    """The same of a table whose key is text; after a bad page reading goes on from a known key.

    Args:
        db: from ``open_copy``.
        table: its name.
        kinds: name → type of the columns to read, the key first.
        names: known keys, ascending.
    """
    last = ""
    for start in chain([last], names):
        if start and start <= last:
            continue
        with suppress(*BROKEN):
            for row in _ascending(db.execute(_query(table, kinds), (start,)), kinds):
                yield row
                last = row[0]
            return


def _query(table: str, kinds: Mapping[str, type]) -> str:
    key = next(iter(kinds))
    return f"SELECT {', '.join(kinds)} FROM {table} WHERE {key} >= ? ORDER BY {key}"


def _ascending(found: Iterable[Row], kinds: Mapping[str, type]) -> Iterator[Row]:
    """Each row once it is known that the next one is larger, or cannot be read.

    Raises:
        sqlite3.DatabaseError: not all are rows of this table, in order; so it may have more.
    """
    held, before, strange = None, None, False
    try:
        for row in found:
            if not _fits(row, kinds):
                strange = True
                continue
            if before is not None and row[0] <= before:
                held, strange = None, True
            else:
                if held is not None:
                    yield held
                held = row
            before = row[0]
    except BROKEN:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held
    if strange:
        raise sqlite3.DatabaseError


def _fits(row: Row, kinds: Mapping[str, type]) -> bool:
    pairs = zip(row, kinds.values(), strict=True)
    return row[0] is not None and all(v is None or isinstance(v, kind) for v, kind in pairs)
