"""Reading a damaged ledger row by row: no row is taken for another, and no bytes make it fail."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.ledger import readable, wal

KINDS: dict[str, type] = {"attempt": int, "body": bytes}
PAGE = 4096


def read(path: Path) -> Iterator[readable.Row]:
    copy = path.with_suffix(".copy")
    readable.copy(path, copy)
    yield from readable.numbered(copy, "answers", KINDS)


def body(number: int) -> bytes:
    return b"the body of %04d" % number


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Fifteen rows on one page."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE answers (attempt INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        for number in range(1, 16):
            db.execute("INSERT INTO answers VALUES (?, ?)", (number, body(number)))
    return path


def test_a_row_whose_number_changed_is_not_read_as_another_one(sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    for number, wrong in permutations(range(1, 16), 2):
        at = data.index(body(number)) - 4  # before its three bytes of header
        assert data[at] == number
        data[at] = wrong
        sound.write_bytes(data)
        found: dict[int, bytes] = dict(read(sound))
        assert all(text == body(n) for n, text in found.items()), (number, wrong)
        data[at] = number


def test_a_sound_file_is_read_whole(sound: Path) -> None:
    assert dict(read(sound)) == {number: body(number) for number in range(1, 16)}


def test_values_of_another_type_are_left_out(sound: Path) -> None:
    with closing(sqlite3.connect(sound)) as db, db:
        db.execute("UPDATE answers SET body = 'text' WHERE attempt = 3")
    assert 3 not in dict(read(sound))
    assert len(dict(read(sound))) == 14


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=3 * PAGE), kind=st.sampled_from([0x05, 0x0D]))
def test_no_bytes_whatever_make_reading_fail(
    data: bytes, kind: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE answers (attempt INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    head = path.read_bytes()[:PAGE]
    path.write_bytes(head + bytes([kind]) + data)
    wal.log_of(path).write_bytes(data)
    list(read(path))
    wal.is_damaged(path)
    path.write_bytes(data)
    list(read(path))
