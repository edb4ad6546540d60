"""Fills a ledger as if most of its problems had been answered, by copying its first answer.

The rows are distill's own: every column of the copied row is kept, whatever it is, but for the
key, the id and the number of the try.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from distill.ledger.rows import request_key

PAGE = 10_000  # rows of one transaction: a page of questions is a few megabytes
PROBLEMS = (
    "SELECT id, question FROM problems WHERE position >= ? AND position < ? ORDER BY position"
)
Row = dict[str, Any]


def fill(ledger: Path, *, answered: int) -> None:
    """Brings the number of answered problems from 1, the first of the set, to ``answered``."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous=OFF")  # of this connection alone
        request, attempt, answer = _first(db)
        for start in range(1, answered, PAGE):
            page = db.execute(PROBLEMS, (start, min(start + PAGE, answered))).fetchall()
            db.execute("BEGIN IMMEDIATE")
            for number, (name, question) in enumerate(page, attempt["attempt"] + start):
                key = {"key": request_key(request["plan"], name, question, request["sample"], None)}
                _insert(db, "requests", request | key | {"id": name, "attempt": number})
                _insert(db, "attempts", attempt | key | {"attempt": number})
                _insert(db, "answers", answer | {"attempt": number})
            db.execute("COMMIT")


def _first(db: sqlite3.Connection) -> Iterator[Row]:
    """The only request, its try and its answer."""
    for table in ("requests", "attempts", "answers"):
        (row,) = db.execute(f"SELECT * FROM {table}").fetchall()
        yield dict(row)


def _insert(db: sqlite3.Connection, table: str, row: Row) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
