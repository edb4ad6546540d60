"""A run's ledger as an earlier version of distill would have written it."""

import sqlite3
from contextlib import closing
from pathlib import Path

# The tables of version 1, word for word.
VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE problems (
  id TEXT PRIMARY KEY, position INTEGER, question TEXT NOT NULL, domain TEXT NOT NULL,
  source TEXT NOT NULL, gold TEXT, verify TEXT) WITHOUT ROWID;
CREATE INDEX problems_by_position ON problems (position);
CREATE TABLE requests (
  key TEXT PRIMARY KEY, plan TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  state TEXT NOT NULL, finish TEXT, max_tokens INTEGER NOT NULL, attempt INTEGER NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX requests_by_row ON requests (id, plan, sample);
CREATE TABLE attempts (
  attempt INTEGER PRIMARY KEY, key TEXT NOT NULL, started REAL NOT NULL, took_s REAL NOT NULL,
  status INTEGER NOT NULL, error TEXT, finish TEXT, model TEXT, prompt_tokens INTEGER,
  cached_tokens INTEGER, reasoning_tokens INTEGER, completion_tokens INTEGER, cost_usd REAL,
  worst_usd REAL NOT NULL);
CREATE TABLE answers (attempt INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
COLUMNS_1 = {
    "meta": "name, value",
    "problems": "id, position, question, domain, source, gold, verify",
    "requests": "key, plan, id, sample, state, finish, max_tokens, attempt",
    "attempts": "attempt, key, started, took_s, status, error, finish, model, prompt_tokens, "
    "cached_tokens, reasoning_tokens, completion_tokens, cost_usd, worst_usd",
    "answers": "attempt, body",
}


def make_version_1(run: Path) -> None:
    """Writes a run's ledger again as version 1 of distill would have."""
    new, old = run / "ledger.sqlite", run / "new.sqlite"
    new.rename(old)
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(VERSION_1)
        db.execute("ATTACH ? AS later", (str(old),))
        for table, columns in COLUMNS_1.items():
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM later.{table}")
        db.execute("UPDATE meta SET value = '1' WHERE name = 'version'")
        db.execute("DETACH later")
    old.unlink()
