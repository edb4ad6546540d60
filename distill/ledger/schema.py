"""The tables of a ledger, and how its file is opened.

WAL with synchronous=FULL: a transaction that returned survives kill -9 and power loss.
"""

import sqlite3
from contextlib import ExitStack
from pathlib import Path

VERSION = 2
WAIT_MS = 30_000  # for another program that has the file open
# An id or a request key is text; times are Unix seconds; money is USD.
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problems (
  id TEXT PRIMARY KEY, position INTEGER, question TEXT NOT NULL, domain TEXT NOT NULL,
  source TEXT NOT NULL, gold TEXT, verify TEXT, fields TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS problems_by_position ON problems (position);
CREATE TABLE IF NOT EXISTS requests (
  key TEXT PRIMARY KEY, plan TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  state TEXT NOT NULL, finish TEXT, max_tokens INTEGER NOT NULL, attempt INTEGER NOT NULL,
  verdict TEXT, repaired INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
  attempt INTEGER PRIMARY KEY, key TEXT NOT NULL, started REAL NOT NULL, took_s REAL NOT NULL,
  status INTEGER NOT NULL, error TEXT, finish TEXT, model TEXT, prompt_tokens INTEGER,
  cached_tokens INTEGER, reasoning_tokens INTEGER, completion_tokens INTEGER, cost_usd REAL,
  worst_usd REAL NOT NULL, endpoint TEXT, after INTEGER);
CREATE TABLE IF NOT EXISTS answers (attempt INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
# All that tells whether a problem is open: of a million they are found in 4 s instead of 15.
OPEN_INDEX = """CREATE INDEX IF NOT EXISTS requests_by_problem ON requests (
  id, plan, sample, state, finish, max_tokens, repaired, verdict)"""
# From version 1: what it has is a part of what is there now.
UPGRADE = (
    "DROP INDEX IF EXISTS requests_by_row",
    "ALTER TABLE problems ADD COLUMN fields TEXT",
    "ALTER TABLE requests ADD COLUMN verdict TEXT",
    "ALTER TABLE requests ADD COLUMN repaired INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE attempts ADD COLUMN endpoint TEXT",
    "ALTER TABLE attempts ADD COLUMN after INTEGER",
    f"UPDATE meta SET value = '{VERSION}' WHERE name = 'version'",
)
# Columns that version 1 did not have; last in their tables.
ADDED = ("fields", "verdict", "repaired", "endpoint", "after")


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """An open connection, usable from several threads.

    Unless ``read_only``, with all tables as they are in this version.

    Raises:
        sqlite3.DatabaseError: it is no SQLite file, or is damaged.
    """
    uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    with ExitStack() as on_error:
        on_error.callback(db.close)
        db.execute(f"PRAGMA busy_timeout={WAIT_MS}")
        if not read_only:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            _bring_up(db)
        on_error.pop_all()
    return db


def _bring_up(db: sqlite3.Connection) -> None:
    with Transaction(db):
        for statement in TABLES.split(";"):
            db.execute(statement)
        if _version(db) == 1:
            for statement in UPGRADE:
                db.execute(statement)
        db.execute(OPEN_INDEX)


def _version(db: sqlite3.Connection) -> int | None:
    """Of the file; None if it is new."""
    found = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    return int(found[0]) if found and found[0].isdigit() else None


class Transaction:
    """All or nothing; sqlite3's own context manager does not begin one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if not kind:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # after a full disk sqlite has rolled back by itself
                self._db.execute("ROLLBACK")
