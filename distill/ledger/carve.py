"""Rows of a damaged ledger that are there and agree, into a new one. Leaves the old as it is."""

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Literal

import orjson

from distill.errors import UserError
from distill.ledger.agree import leave_whole
from distill.ledger.pages import Record, Value, records
from distill.ledger.schema import OPEN_INDEX, TABLES, VERSION

Counts = dict[str, tuple[int, int]]  # table → (rows kept, rows known to be lost)
# What a kept body is: unreadable, a text that is no answer (of a try that failed), or an answer.
Judge = Callable[[bytes], Literal["unreadable", "text", "answer"]]
# How SQLite stores a row of each table: whether in an index (WITHOUT ROWID), and its columns. k is
# a key, s a state, t text, i an integer, r a number, b bytes, n null; a capital may be null. Those
# after | came with version 2.
SHAPES = {
    "meta": (True, "tt"),
    "problems": (True, "tItttTT|T"),
    "requests": (True, "kttisTii|Ti"),
    "attempts": (False, "nkrriTTTIIIIRr|TI"),
    "answers": (False, "nb"),
    "by_problem": (True, "ttisTiiTk"),  # the index requests_by_problem: all but the try
    "by_row": (True, "ttik"),  # the index requests_by_row of version 1
    "by_position": (True, "It"),  # the index problems_by_position
}
KINDS: dict[str, type | tuple[type, ...]] = {
    "t": str,
    "i": int,
    "r": (int, float),
    "b": bytes,
    "n": type(None),
}
STATES = ("done", "failed", "quarantined")
KEY = re.compile(r"[0-9a-f]{64}")
META = ("plan", "wanted", "version")  # kept of every run, beside what ``_put_meta`` leaves out
STAGE = """
PRAGMA journal_mode = OFF;
BEGIN;
CREATE TEMP TABLE by_problem
  (id, plan, sample, state, finish, max_tokens, repaired, verdict, key);
CREATE TEMP TABLE by_position (position);
CREATE TEMP TABLE unreadable (attempt PRIMARY KEY);
CREATE TEMP TABLE text (attempt PRIMARY KEY);
"""
WIDTH = {
    "problems": 8,
    "requests": 10,
    "attempts": 16,
    "answers": 2,
    "by_problem": 9,
    "by_position": 1,
}
# Rows that must have been there: others speak of them.
KNOWN = {
    "problems": "SELECT id FROM problems UNION ALL SELECT DISTINCT position FROM by_position "
    "WHERE position NOT IN (SELECT position FROM problems WHERE position IS NOT NULL)",
    "requests": "SELECT key FROM requests UNION SELECT key FROM by_problem "
    "UNION SELECT key FROM attempts WHERE finish IS NOT NULL",
    "attempts": "SELECT attempt FROM attempts UNION SELECT attempt FROM answers "
    "UNION SELECT attempt FROM unreadable UNION SELECT attempt FROM requests",
    "answers": "SELECT attempt FROM answers UNION SELECT attempt FROM unreadable "
    "UNION SELECT attempt FROM attempts WHERE finish IS NOT NULL "
    "UNION SELECT attempt FROM requests WHERE state <> 'failed'",
}


def carve(old: Path, new: Path, judge: Judge, *, rest: Iterable[Path] = ()) -> Counts:
    """Makes the ledger ``new`` of what can be read of ``old`` and its write-ahead log.

    Args:
        old: a damaged ledger, or one that is gone.
        new: no such file yet.
        judge: tells what a kept body is.
        rest: ledgers with further tries, under other numbers than those of ``old``.

    Raises:
        UserError: nothing can be read, or a later version of distill wrote it.
        sqlite3.Error, OSError: ``new`` cannot be written.
    """
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.executescript(TABLES + STAGE)
        for path in filter(Path.exists, (old, *rest)):
            for record in records(path):
                _put(db, record, judge)
        known = {name: _count(db, f"({rows})") for name, rows in KNOWN.items()}
        db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
        leave_whole(db)
        db.execute(OPEN_INDEX)
        kept = {name: _count(db, name) for name in ("meta", *KNOWN)}
        db.execute("COMMIT")
    if not kept["problems"] + kept["attempts"]:
        msg = f"{old}: nothing in it can be read; it is left as it is; next: choose another -o"
        raise UserError(msg)
    return {n: (kept[n], max(0, {"meta": len(META), **known}[n] - kept[n])) for n in kept}


def _count(db: sqlite3.Connection, rows: str) -> int:
    return int(db.execute(f"SELECT COUNT(*) FROM {rows}").fetchone()[0])


def _put(db: sqlite3.Connection, record: Record, judge: Judge) -> None:
    name = next((n for n, (index, shape) in SHAPES.items() if _fits(record, index, shape)), None)
    values = record.values
    if name == "meta":
        _put_meta(db, str(values[0]), str(values[1]))
    elif name == "answers" and record.rowid is not None:
        _put_answer(db, record.rowid, values[1], judge)
    elif name == "by_row":
        _insert(db, "by_problem", *values[:3], *(None,) * 5, values[3])
    elif name is not None:
        _insert(db, name, *(values if record.rowid is None else (record.rowid, *values[1:])))


def _fits(record: Record, index: bool, shape: str) -> bool:
    old, _, new = shape.partition("|")
    values = record.values
    if (record.rowid is None) != index or not len(old) <= len(values) <= len(old + new):
        return False
    return all(_is(value, kind) for value, kind in zip(values, old + new, strict=False))


def _is(value: Value, kind: str) -> bool:
    if kind == "k":
        return isinstance(value, str) and KEY.fullmatch(value) is not None
    if kind == "s":
        return value in STATES
    return (value is None and kind.isupper()) or isinstance(value, KINDS[kind.lower()])


def _put_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """All but the digest of the problem set: so the next run reads the set again, and mends it."""
    try:
        known = orjson.loads(value)
    except orjson.JSONDecodeError:
        return
    if name == "version" and known not in range(1, VERSION + 1):
        msg = f"it was written by a later version of distill (ledger {value}, now {VERSION})"
        raise UserError(msg)
    value = str(VERSION) if name == "version" else value
    if name != "problems":
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _put_answer(db: sqlite3.Connection, attempt: int, body: Value, judge: Judge) -> None:
    """Two texts under one number: the number of one is damaged, and nobody knows of which."""
    kind = judge(body) if isinstance(body, bytes) else "unreadable"
    if kind != "unreadable" and not _insert(db, "answers", attempt, body):
        there = db.execute("SELECT body FROM answers WHERE attempt = ?", (attempt,)).fetchone()
        kind = kind if there == (body,) else "unreadable"
    if kind != "answer":
        db.execute(f"INSERT OR IGNORE INTO {kind} VALUES (?)", (attempt,))


def _insert(db: sqlite3.Connection, table: str, *values: Value) -> bool:
    """Whether it was not there yet; what is missing at its end came with version 2."""
    width = WIDTH[table]
    row = (*values, *(None,) * (width - len(values)))[:width]
    if table == "requests":
        row = (*row[:-1], row[-1] or 0)
    marks = ", ".join("?" * width)
    return db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row).rowcount > 0
