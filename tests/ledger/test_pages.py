"""SQLite's file format: pages are read as SQLite reads them, and any bytes can be looked at."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.ledger import pages, wal
from distill.ledger.pages import records

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.binary(max_size=50),
    st.integers(0, 30_000).map(bytes),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=60),
    size=st.sampled_from([512, 1024, 4096, 32_768]),
    log=st.booleans(),
)
def test_pages_are_read_as_sqlite_reads_them(
    rows: list[tuple[Any, ...]], size: int, log: bool, tmp_path: Path
) -> None:
    path = tmp_path / "any.sqlite"
    for old in tmp_path.glob("any*"):
        old.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {size}")
        db.execute(f"PRAGMA journal_mode = {'WAL' if log else 'DELETE'}")
        db.execute("CREATE TABLE a (x INTEGER PRIMARY KEY, p, q, r)")
        db.execute("CREATE TABLE b (x INTEGER, p, q, r, PRIMARY KEY (x)) WITHOUT ROWID")
        for table in "ab":
            db.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?)",
                [(i, *row) for i, row in enumerate(rows)],
            )
            db.execute(f"DELETE FROM {table} WHERE x % 3 = 0")
        found = Counter(
            (record.rowid, *map(repr, record.values[1:]))
            if record.rowid is not None
            else (record.values[0], *map(repr, record.values[1:]))
            for record in records(path)
            if len(record.values) == 4
        )
        wanted = Counter((x, *map(repr, rest)) for x, *rest in db.execute("SELECT * FROM a"))
    assert found == wanted + wanted


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=3 * 4096), kind=st.sampled_from([0x02, 0x0A, 0x0D]))
def test_no_bytes_whatever_make_reading_fail(
    data: bytes, kind: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    page = bytes([kind]) + data
    (folder / "x.sqlite").write_bytes((pages.MAGIC.ljust(100, b"\0") + page).ljust(4 * 4096, b"\1"))
    (folder / "x.sqlite-wal").write_bytes(data)
    list(records(folder / "x.sqlite"))
    wal.is_damaged(folder / "x.sqlite")
