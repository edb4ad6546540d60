"""Reads a damaged ledger row by row and skips what SQLite cannot read."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distill.ledger import wal

Row = tuple[Any, ...]
CHUNK = 4096  # bytes of a page; where the disk cannot read them they become zeros
HEADER = 100  # bytes at the beginning of the file
# Where they say how many pages there are, and that there is a log.
PAGES_AT, LOGGED_AT = 28, 18
KINDS: dict[str, type] = {"TEXT": str, "INTEGER": int, "REAL": float, "BLOB": bytes}
# Keys tried in a row to get past bad pages before a table is given up. SQLite has about 500 leaf
# pages under one inner page, and a leaf has about 40 tries.
MISSES = 2**15


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
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    db.execute("PRAGMA cell_size_check = ON")
    return db


def columns(db: sqlite3.Connection, table: str) -> dict[str, type]:
    """Name → type of a table's columns, its key first; empty if there is no such table.

    Raises:
        sqlite3.DatabaseError: the schema cannot be read.
    """
    found = db.execute(f"PRAGMA table_info({table})").fetchall()
    return {row[1]: KINDS.get(row[2], object) for row in found}


def rows(
    db: sqlite3.Connection, table: str, kinds: Mapping[str, type], starts: Iterable[Any]
) -> Iterator[Row]:
    """The rows of a table that can be read and have values of the right types, by their key.

    Where a row's key is not larger than the one before it, both are left out: one key is wrong.

    Args:
        db: from ``open_copy``.
        table: its name.
        kinds: name → type of the columns to read, the key first.
        starts: keys, ascending. The first is smaller than any; after a bad page reading goes on
            from the next one that is larger than any key read so far.
    """
    key, last, misses = next(iter(kinds)), None, 0
    query = f"SELECT {', '.join(kinds)} FROM {table} WHERE {key} >= ? ORDER BY {key}"
    for start in starts:
        if last is not None and start <= last:
            continue
        try:
            for row in _ascending(db.execute(query, (start,)), kinds):
                yield row
                last, misses = row[0], 0
        except sqlite3.DatabaseError:
            misses += 1
        else:
            return
        if misses > MISSES:
            return


def _ascending(found: Iterable[Row], kinds: Mapping[str, type]) -> Iterator[Row]:
    """Each row once it is known that the next one is larger, or cannot be read."""
    held, before, damaged = None, None, None
    try:
        for row in found:
            if not _fits(row, kinds):
                continue
            if before is not None and row[0] <= before:
                held = None
            else:
                if held is not None:
                    yield held
                held = row
            before = row[0]
    except sqlite3.DatabaseError as error:
        damaged = error
    if held is not None:
        yield held
    if damaged is not None:
        raise damaged


def _fits(row: Row, kinds: Mapping[str, type]) -> bool:
    pairs = zip(row, kinds.values(), strict=True)
    return row[0] is not None and all(v is None or isinstance(v, kind) for v, kind in pairs)
