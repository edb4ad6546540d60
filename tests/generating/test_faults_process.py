"""Faults of the machine: a kill, a long wait, a full disk, an old or damaged ledger."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, UserError
from distill.files.find import data_files
from distill.generating import attempt
from distill.ledger import hold, schema
from tests.builders.faults import (
    listen,  # noqa: F401
    recipe,
    stops,
)
from tests.builders.old_ledgers import make_version_1
from tests.builders.runs import (
    assert_all_there,
    errors,
    generating,
    ledger,
    said_by,
    traces,
    wait_until,
)
from tests.builders.teacher_server import completion, refusal, teacher_server

KILLED_IN_EXPORT = """
import os, signal, sys
import distill
from distill.generating import export
whole = export.write_parquet
def write(path, frame):
    if path.name == "part-00002.parquet":
        frame.write_parquet(path.with_name(f".{path.name}.part"))
        os.kill(os.getpid(), signal.SIGKILL)
    whole(path, frame)
export.SHARD = export.PIECE = 10
export.write_parquet = write
distill.generate(sys.argv[1], out=sys.argv[2])
"""


def test_a_kill_while_exporting_leaves_no_traces_and_costs_no_answer(
    tmp_path: Path, heard: list[str]
) -> None:
    run = tmp_path / "run"
    with teacher_server() as server:
        name = recipe(tmp_path, server.url, problems=50)
        command = [sys.executable, "-c", KILLED_IN_EXPORT, name, str(run)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        heard += [done.stdout, done.stderr]
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert sorted(p.name for p in (run / "traces").glob("p*")) == [
            "part-00000.parquet",
            "part-00001.parquet",
        ]
        with stops(heard, UserError, "no exported traces yet"):
            data_files(run)
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == 50
    assert_all_there(run, 50)
    assert [path.name for path in data_files(run)] == ["part-00000.parquet"]


def test_ctrl_c_ends_a_long_wait_for_a_busy_teacher_at_once(tmp_path: Path) -> None:
    def busy(body: dict[str, Any], n: int) -> Any:
        return refusal(429, "later", headers={"retry-after": "300"})

    with teacher_server(busy) as server:
        name, run = recipe(tmp_path, server.url, problems=40), tmp_path / "run"
        with generating(name, run) as process:
            wait_until(lambda: server.asked.total() > 0)
            time.sleep(1.5)  # enough to ask again, if it were asked again
            asked = server.asked.total()
            assert 1 <= asked <= 4
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == Exit.INTERRUPTED
        assert "the same command goes on from here" in said_by(run).read_text()
        assert set(errors(run)) == {"429 later"}
        server.answer = lambda body, n: completion()
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == asked + 40
    assert_all_there(run, 40)


def long_answer(body: dict[str, Any], n: int) -> Any:
    """30 KB that hardly compress."""
    return completion(random.Random(body["messages"][0]["content"]).randbytes(15_000).hex())


def test_a_full_disk_ends_the_run_in_one_line_and_what_was_written_is_not_bought_again(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(path: Path, *, read_only: bool) -> sqlite3.Connection:
        db = schema.connect(path, read_only=read_only)
        db.execute("PRAGMA max_page_count = 150")
        return db

    with teacher_server(long_answer) as server:
        name, run = recipe(tmp_path, server.url, problems=60), tmp_path / "run"
        with monkeypatch.context() as full:
            full.setattr(hold, "connect", small)
            with stops(heard, UserError, "disk is full.*make room.*the same command goes on"):
                distill.generate(name, out=run)
        _goes_on(server, name, run)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A real file system of that size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_told_as_such(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with teacher_server(long_answer) as server, small_disk(tmp_path / "disk", 8) as disk:
        name, run = recipe(tmp_path, server.url, problems=60), disk / "run"
        (disk / "ballast").write_bytes(bytes(7 * 2**20))
        with stops(heard, UserError, "1 MB of disk left, 8 MB wanted for 4 requests at once"):
            distill.generate(name, out=run)
        assert server.asked.total() == 0
        monkeypatch.setattr(attempt, "ROOM", 0)  # as if others had filled it meanwhile
        with stops(heard, UserError, "make room, then the same command goes on"):
            distill.generate(name, out=run)
        (disk / "ballast").unlink()
        _goes_on(server, name, run)


def _goes_on(server: Any, name: str, run: Path) -> None:
    """After the disk was full: what is committed is there, and nothing of it is asked again."""
    kept = set(ledger(run, "SELECT p.question FROM requests r JOIN problems p USING (id)"))
    assert 0 < len(kept) < 60
    assert server.asked.total() - len(kept) <= 8  # under way, or waiting for the same transaction
    assert distill.generate(name, out=run) == Exit.DONE
    assert {server.asked[question] for question in kept} == {1}
    assert_all_there(run, 60)


def test_a_ledger_of_version_1_is_brought_up_to_date_and_nothing_is_asked_again(
    tmp_path: Path, heard: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server.url, samples=2), tmp_path / "run"
        distill.generate(name, out=run, limit=3)
        make_version_1(run)
        with stops(heard, UserError, "of an earlier version; next: the run's own command"):
            distill.status(run)
        assert distill.status(run, repair=True) == Exit.DONE
        assert "sound" in capfd.readouterr().out
        assert distill.generate(name, out=run) == Exit.DONE
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == 10
    assert traces(run).height == 10
    assert ledger(run, "SELECT value FROM meta WHERE name = 'version'") == ["2"]


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(
    tmp_path: Path, heard: list[str]
) -> None:
    with teacher_server() as server:
        name, run = recipe(tmp_path, server.url), tmp_path / "run"
        distill.generate(name, out=run)
        with closing(sqlite3.connect(run / "ledger.sqlite")) as db, db:
            db.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
        before = (run / "ledger.sqlite").read_bytes()
        calls: tuple[Callable[[], object], ...] = (
            lambda: distill.generate(name, out=run),
            lambda: distill.status(run),
            lambda: distill.status(run, repair=True),
        )
        for call in calls:
            with stops(heard, UserError, "version of distill .ledger 99"):
                call()
        assert (run / "ledger.sqlite").read_bytes() == before
        assert server.asked.total() == 5


def _header(data: bytearray) -> None:
    data[:100] = b"\xff" * 100


def _middle(data: bytearray) -> None:
    for page in range(8, len(data) // 4096, 3):
        data[page * 4096 : (page + 1) * 4096] = bytes(4096)


def _half(data: bytearray) -> None:
    del data[len(data) // 2 :]


def _noise(data: bytearray) -> None:
    rng = random.Random(0)
    for _ in range(40):
        at = rng.randrange(4096, len(data) - 64)
        data[at : at + 64] = rng.randbytes(64)


def _all(data: bytearray) -> None:
    data[:] = random.Random(0).randbytes(len(data))


DAMAGE = {f.__name__.lstrip("_"): f for f in (_header, _middle, _half, _noise)}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_ledger_is_said_to_be_and_can_be_repaired(
    damage: str, tmp_path: Path, heard: list[str]
) -> None:
    with teacher_server(long_answer) as server:
        name, run = recipe(tmp_path, server.url, problems=60), tmp_path / "run"
        distill.generate(name, out=run)
        path = run / "ledger.sqlite"
        data = bytearray(path.read_bytes())
        DAMAGE[damage](data)
        path.write_bytes(data)
        calls: tuple[Callable[[], object], ...] = (
            lambda: distill.generate(name, out=run),
            lambda: distill.status(run),
        )
        for call in calls:
            with stops(heard, UserError, f"ledger.sqlite: .*next: distill status --repair {run}$"):
                call()
        assert server.asked.total() == 60
        assert distill.status(run, repair=True) == Exit.DONE
        kept = ledger(run, "SELECT COUNT(*) FROM requests")[0]
        assert distill.generate(name, out=run) == Exit.DONE
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == 60 + 60 - kept
    table = traces(run)
    assert table.height == 60 == table["id"].n_unique()
