"""A ledger that is busy, closed to us or of another version is not called damaged."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import distill
from distill.errors import UserError
from distill.ledger import Ledger, schema
from distill.ledger.explain import translate_sqlite_errors
from distill.ledger.salvage import repair
from distill.teachers.wire import parse
from tests.builders.recipes import recipe
from tests.builders.teacher_server import teacher_server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_MS", 20)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program, which lets nobody else read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("UPDATE meta SET value = value")
        db.execute("COMMIT")
        yield


def test_a_ledger_that_is_open_elsewhere_is_neither_damaged_nor_repaired(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=run)
        with held(run / "ledger.sqlite"):
            with pytest.raises(UserError, match="another program has it open") as said:
                repair(run, parse=parse)
            assert "repair" not in str(said.value)
            commands: tuple[Callable[[], object], ...] = (
                lambda: distill.status(run),
                lambda: distill.generate(name, out=run),
            )
            for command in commands:
                with pytest.raises(UserError, match="another program has it open") as said:
                    command()
                assert "repair" not in str(said.value)
        assert not list(run.glob("*damaged*"))
        assert repair(run, parse=parse) is None
        distill.generate(name, out=run)
        assert server.asked.total() == 5


def test_a_ledger_that_is_being_written_to_is_not_damaged(tmp_path: Path) -> None:
    with teacher_server() as server:
        name = recipe(tmp_path, server)
        distill.generate(name, out=tmp_path / "run")
        path = tmp_path / "run/ledger.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            with pytest.raises(UserError, match=r"another program has it open.*nothing is lost"):
                distill.generate(name, out=tmp_path / "run")


def test_what_may_not_be_opened_or_written_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "run/ledger.sqlite").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be opened") as said:
        Ledger(tmp_path / "run/ledger.sqlite")
    assert "repair" not in str(said.value)
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    with (
        closing(schema.connect(path, read_only=True)) as db,
        pytest.raises(UserError, match="cannot be opened"),
        translate_sqlite_errors(path),
    ):
        db.execute("DELETE FROM meta")


def test_a_ledger_that_is_refused_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.set_meta("version", 99)
    ledger.close()
    with pytest.raises(UserError, match="another version") as said:
        Ledger(path)
    assert not path.with_name("ledger.sqlite-wal").exists(), said.value
