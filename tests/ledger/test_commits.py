"""Group commit: what was handed in is written, whoever still waits for it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from distill.ledger import Ledger
from distill.ledger.commits import group_commits
from tests.builders.runs import attempt


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT COUNT(*) FROM attempts").fetchone()[0])


def test_a_try_is_written_although_its_writer_was_cancelled(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")

    async def go() -> None:
        async with group_commits(ledger) as commits:
            writers = [asyncio.create_task(commits.write(attempt(i))) for i in range(120)]
            await asyncio.sleep(0)
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            commits.hand_in(attempt(120))

    asyncio.run(go())
    ledger.close()
    assert count(tmp_path / "ledger.sqlite") == 121


def test_a_written_try_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)

    async def go() -> None:
        async with group_commits(ledger) as commits:
            for i in range(5):
                await commits.write(attempt(i))
                assert count(path) == i + 1

    asyncio.run(go())
    ledger.close()


def test_a_failed_transaction_is_told_to_every_writer_in_its_own_words(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.db.execute("PRAGMA max_page_count = 1")  # a full disk, as sqlite sees it
    big = attempt(0, error="x" * 10**6)

    async def go() -> list[object]:
        async with group_commits(ledger) as commits:
            return await asyncio.gather(
                *(commits.write(big) for _ in range(3)), return_exceptions=True
            )

    results = asyncio.run(go())
    ledger.close()
    assert [str(error) for error in results] == ["database or disk is full"] * 3


def test_a_ledger_opened_to_read_cannot_be_written(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").close()
    ledger = Ledger(tmp_path / "ledger.sqlite", read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger.set_meta("a", 1)
    ledger.close()
