"""Makes a new ledger of the rows of a damaged one that can be read and agree with each other."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson

from distill.errors import UserError
from distill.ledger import readable
from distill.ledger.reconcile import BODIES, Parse, kind_of, reconcile
from distill.ledger.schema import OPEN_INDEX, TABLES, VERSION

Counts = dict[str, tuple[int, int]]  # table → (rows kept, rows known to be lost)
META = ("plan", "wanted", "version")  # kept of every run
# In this order: the keys of some tell from where to read on in the next, after a bad page.
TABLES_READ = ("attempts", "answers", "requests", "problems", "meta")
KEYS = {
    "requests": "SELECT DISTINCT key FROM attempts ORDER BY key",
    "problems": "SELECT DISTINCT id FROM requests ORDER BY id",
    "meta": "SELECT name FROM meta LIMIT 0",  # it is one page
}
# Rows that must have been there: others speak of them.
KNOWN = {
    "problems": "SELECT id FROM problems UNION SELECT id FROM requests",
    "requests": "SELECT key FROM requests UNION SELECT key FROM attempts WHERE finish IS NOT NULL",
    "attempts": "SELECT attempt FROM attempts UNION SELECT attempt FROM bodies "
    "UNION SELECT attempt FROM requests",
    "answers": "SELECT attempt FROM bodies "
    "UNION SELECT attempt FROM attempts WHERE finish IS NOT NULL "
    "UNION SELECT attempt FROM requests WHERE state <> 'failed'",
}


def remake(old: Path, new: Path, parse: Parse, *, rest: Iterable[Path] = ()) -> Counts:
    """Makes the ledger ``new`` of what can be read of ``old`` and its write-ahead log.

    Args:
        old: a damaged ledger, or one that is gone.
        new: no such file yet; ``new`` with ``.copy`` at its end is used meanwhile.
        parse: of an answer's raw body; raises ValueError where it is no answer.
        rest: ledgers with further tries, under larger numbers than those of ``old``.

    Raises:
        UserError: nothing can be read, or a later version of distill wrote it.
        sqlite3.Error, OSError: ``new`` cannot be written.
    """
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.executescript(TABLES)
        first = new.read_bytes()
        db.execute(BODIES)
        db.execute("BEGIN")
        for path in filter(Path.exists, (old, *rest)):
            _take(db, path, new.with_name(f"{new.name}.copy"), first, parse)
        known = {name: count_rows(db, f"({rows})") for name, rows in KNOWN.items()}
        db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        reconcile(db)
        db.execute(OPEN_INDEX)
        kept = {name: count_rows(db, name) for name in ("meta", *KNOWN)}
        db.execute("COMMIT")
    if not kept["problems"] + kept["attempts"]:
        msg = f"{old}: nothing in it can be read; it is left as it is; next: choose another -o"
        raise UserError(msg)
    return {n: (kept[n], max(0, {"meta": len(META), **known}[n] - kept[n])) for n in kept}


def count_rows(db: sqlite3.Connection, rows: str) -> int:
    """How many there are in a table, or in a query in parentheses."""
    return int(db.execute(f"SELECT COUNT(*) FROM {rows}").fetchone()[0])


def _take(db: sqlite3.Connection, old: Path, copy: Path, fresh: bytes, parse: Parse) -> None:
    """Everything that can be read of ``old``.

    Its first page says where each table begins. Where its header is destroyed, or all of it, or
    what it says of a table, that of a ``fresh`` ledger says the same.
    """
    readable.copy(old, copy)
    for size in (0, readable.HEADER, readable.CHUNK):
        with copy.open("r+b") as file:
            os.pwrite(file.fileno(), fresh[:size], 0)
        if _read(db, copy, parse):
            return


def _read(db: sqlite3.Connection, copy: Path, parse: Parse) -> int:
    """How many rows were read; 0 also where a table is unknown."""
    found = 0
    with closing(readable.open_copy(copy)) as old:
        kinds = {table: _kinds(old, db, table) for table in TABLES_READ}
        for table in filter(kinds.get, TABLES_READ):
            # Closed at once: a query that is still open locks the new ledger.
            with closing(db.execute(KEYS.get(table, "SELECT 0 WHERE 0"))) as known:
                if table in KEYS:
                    rows = readable.named(old, table, kinds[table], (name for (name,) in known))
                else:
                    rows = readable.numbered(copy, table, kinds[table])
                for row in rows:
                    _put(db, table, dict(zip(kinds[table], row, strict=True)), parse)
                    found += 1
    return found if all(kinds.values()) else 0


def _kinds(old: sqlite3.Connection, db: sqlite3.Connection, table: str) -> dict[str, type]:
    """Today's columns, or those of version 1; none where another is gone: its values would be."""
    try:
        there = readable.columns(old, table)
    except readable.BROKEN:
        return {}
    today = readable.columns(db, table)
    if not readable.is_known(there, today):
        return {}
    return {name: today[name] for name in there}


def _put(db: sqlite3.Connection, table: str, row: dict[str, Any], parse: Parse) -> None:
    if table == "meta" and not _is_kept(row["name"], row["value"]):
        return
    if table == "answers":
        kind = kind_of(row["body"] or b"", parse)
        db.execute("INSERT OR IGNORE INTO bodies VALUES (?, ?)", (row["attempt"], kind))
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    again = "REPLACE" if table == "requests" else "IGNORE"  # a later answer to the same request
    with suppress(sqlite3.IntegrityError):  # a null where none can be
        values = tuple(row.values())
        db.execute(f"INSERT OR {again} INTO {table} ({names}) VALUES ({marks})", values)


def _is_kept(name: str, value: str) -> bool:
    """All but the version, and the digest of the problem set: the next run reads the set again."""
    try:
        known = orjson.loads(value or "")
    except orjson.JSONDecodeError:
        return False
    if name == "version" and known not in range(1, VERSION + 1):
        msg = f"it was written by a later version of distill (ledger {value}, now {VERSION})"
        raise UserError(msg)
    return name not in ("version", "problems")
