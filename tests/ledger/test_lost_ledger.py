"""A ledger that is lost or changed in the middle of a run is noticed before the next request."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import distill
from distill.errors import Exit, UserError
from distill.files.write import write_parquet
from distill.generating import export
from distill.ledger import Ledger, schema, wal
from distill.ledger.hold import COPY_FRAMES
from distill.ledger.mounts import has_own_times
from tests.builders.faults import (
    listen,  # noqa: F401
    recipe,
    stops,
)
from tests.builders.runs import assert_all_there, attempt, ledger, traces
from tests.builders.teacher_server import TeacherServer, completion, teacher_server

LEDGER, LOG, INDEX = "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"
AT_ONCE = 4
PROBLEMS = 40
AFTER = 10  # the first request that is not answered before
ALREADY = 2  # answers of an earlier run, where there is one


def delete(run: Path) -> None:
    (run / LEDGER).unlink()


def delete_all(run: Path) -> None:
    for name in (LEDGER, LOG, INDEX):
        (run / name).unlink()


def delete_log(run: Path) -> None:
    (run / LOG).unlink()


def delete_index(run: Path) -> None:
    (run / INDEX).unlink()


def delete_folder(run: Path) -> None:
    shutil.rmtree(run)


def move_folder(run: Path) -> None:
    run.rename(run.with_name("elsewhere"))


def move_folder_and_put_a_copy_there(run: Path) -> None:
    run.rename(run.with_name("elsewhere"))
    shutil.copytree(run.with_name("elsewhere"), run)


def rename(run: Path) -> None:
    (run / LEDGER).rename(run / "mine.sqlite")


def replace_by_a_copy(run: Path) -> None:
    shutil.copy2(run / LEDGER, run / "copy")
    (run / "copy").replace(run / LEDGER)


def replace_by_nothing(run: Path) -> None:
    (run / LEDGER).unlink()
    (run / LEDGER).touch()


def replace_by_a_link(run: Path) -> None:
    (run / LEDGER).rename(run / "moved")
    (run / LEDGER).symlink_to(run / "moved")


def replace_by_a_folder(run: Path) -> None:
    (run / LEDGER).unlink()
    (run / LEDGER).mkdir()


def replace_the_log_by_a_copy(run: Path) -> None:
    shutil.copy2(run / LOG, run / "copy")
    (run / "copy").replace(run / LOG)


LOST = [
    delete,
    delete_all,
    delete_log,
    delete_index,
    delete_folder,
    move_folder,
    move_folder_and_put_a_copy_there,
    rename,
    replace_by_a_copy,
    replace_by_nothing,
    replace_by_a_link,
    replace_by_a_folder,
    replace_the_log_by_a_copy,
]


def empty(run: Path) -> None:
    os.truncate(run / LEDGER, 0)


def halve(run: Path) -> None:
    os.truncate(run / LEDGER, (run / LEDGER).stat().st_size // 2)


def write_an_older_one_over_it(run: Path) -> None:
    (run / LEDGER).write_bytes((run.parent / "older").read_bytes())


def write_it_over_itself(run: Path) -> None:
    (run / LEDGER).write_bytes((run / LEDGER).read_bytes())


def empty_the_log(run: Path) -> None:
    os.truncate(run / LOG, 0)


def write_zeros_over_the_log(run: Path) -> None:
    (run / LOG).write_bytes(bytes((run / LOG).stat().st_size))


CHANGED = [
    empty,
    halve,
    write_an_older_one_over_it,
    write_it_over_itself,
    empty_the_log,
    write_zeros_over_the_log,
]


class Stage:
    """A teacher that lets something happen to the run while it owes AT_ONCE answers.

    Those before are written down by then. ``before`` is how many were asked until then.
    """

    def __init__(self, happens: Callable[[Path], None], folder: Path) -> None:
        self.happens, self.run = happens, folder / "run"
        self.server: TeacherServer | None = None
        self.count, self.before = 0, 0
        self.happened = threading.Event()

    async def answer(self, body: dict[str, Any], n: int) -> Any:
        self.count += 1
        if self.server is not None and self.count == AFTER:
            answered = AFTER - 1 + ALREADY * (self.happens in CHANGED)
            while self.count < AFTER + AT_ONCE - 1 or written(self.run) < answered:
                await asyncio.sleep(0.005)
            self.happens(self.run)
            self.before = self.server.asked.total()
            self.happened.set()
        while self.server is not None and self.count >= AFTER and not self.happened.is_set():
            await asyncio.sleep(0.005)
        return completion("x" * 3000)


def written(run: Path) -> int:
    return int(ledger(run, "SELECT COUNT(*) FROM attempts")[0])


@pytest.mark.parametrize("happens", LOST)
def test_a_lost_ledger_ends_the_run_before_the_next_request_and_nothing_paid_is_lost(
    happens: Callable[[Path], None], tmp_path: Path, heard: list[str]
) -> None:
    stage = Stage(happens, tmp_path)
    with teacher_server(stage.answer) as server:
        name = recipe(tmp_path, server.url, problems=PROBLEMS, teacher={"concurrency": AT_ONCE})
        stage.server = server
        said = r"ledger\.sqlite\S*: is (gone|another file now) in the middle of the run; all that "
        with stops(heard, UserError, said + r"was paid for is in ledger\.saved-1\.sqlite; next"):
            distill.generate(name, out=stage.run)
        assert server.asked.total() == stage.before == AFTER + AT_ONCE - 1
        assert not (stage.run / "traces").exists()
        with stops(heard, UserError, "saved-1.sqlite: an earlier run saved its answers there"):
            distill.generate(name, out=stage.run)
        if not (stage.run / LEDGER).exists():
            with stops(heard, UserError, "saved-1.sqlite: an earlier run saved its answers there"):
                distill.status(stage.run)
        if happens is replace_by_a_folder:
            (stage.run / LEDGER).rmdir()
        assert distill.status(stage.run, repair=True) == Exit.DONE
        assert distill.generate(name, out=stage.run) == Exit.DONE
        assert server.asked.total() == PROBLEMS  # each was paid for once
    assert_all_there(stage.run, PROBLEMS)
    assert not list(stage.run.glob("*saved*"))


@pytest.mark.parametrize("happens", CHANGED)
def test_a_ledger_that_another_program_wrote_into_ends_the_run_before_the_next_request(
    happens: Callable[[Path], None], tmp_path: Path, heard: list[str]
) -> None:
    stage = Stage(happens, tmp_path)
    with teacher_server(stage.answer) as server:
        name = recipe(tmp_path, server.url, problems=PROBLEMS, teacher={"concurrency": AT_ONCE})
        distill.generate(name, out=stage.run, limit=ALREADY)
        shutil.copy(stage.run / LEDGER, tmp_path / "older")
        stage.server, stage.count = server, 0
        with stops(heard, UserError, "was changed by another program in the middle of the run; w"):
            distill.generate(name, out=stage.run)
        paid = server.asked.total()
        assert paid == stage.before == ALREADY + AFTER + AT_ONCE - 1
        kept = {path.name for path in stage.run.glob("*rest*.sqlite")}
        assert kept == {"ledger.rest-1.sqlite"}  # what came afterwards
        with closing(sqlite3.connect(stage.run / "ledger.rest-1.sqlite")) as db:
            (late,) = db.execute("SELECT COUNT(*) FROM requests").fetchone()
        assert late == AT_ONCE
        assert distill.status(stage.run, repair=True) == Exit.DONE
        there = ledger(stage.run, "SELECT COUNT(*) FROM requests")[0]
        assert there >= late
        if happens is write_it_over_itself:
            assert there == paid
        assert distill.generate(name, out=stage.run) == Exit.DONE
        assert server.asked.total() == paid + PROBLEMS - there
    assert_all_there(stage.run, PROBLEMS)


def test_a_ledger_that_is_lost_after_the_last_request_is_noticed_before_all_is_said_to_be_done(
    tmp_path: Path, heard: list[str]
) -> None:
    run = tmp_path / "run"

    def answer(body: dict[str, Any], n: int) -> Any:
        delete_all(run)
        return completion()

    with teacher_server(answer) as server:
        name = recipe(tmp_path, server.url, problems=1)
        with stops(heard, UserError, "all that was paid for is in ledger.saved-1.sqlite"):
            distill.generate(name, out=run)
        assert not (run / "traces").exists()
        distill.status(run, repair=True)
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == 1
    assert traces(run).height == 1


def test_a_ledger_that_is_lost_while_traces_are_written_is_saved(
    tmp_path: Path, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def lost(path: Path, *values: Any, **more: Any) -> None:
        write_parquet(path, *values, **more)
        delete_all(run)

    with teacher_server() as server:
        name = recipe(tmp_path, server.url, problems=3)
        with monkeypatch.context() as patched:
            patched.setattr(export, "write_parquet", lost)
            with stops(heard, UserError, "all that was paid for is in ledger.saved-1.sqlite"):
                distill.generate(name, out=run)
        distill.status(run, repair=True)
        assert distill.generate(name, out=run) == Exit.DONE
        assert server.asked.total() == 3


def test_what_was_put_in_the_place_of_a_ledger_is_left_as_it_is(tmp_path: Path) -> None:
    """Another run's files, with a log that SQLite would delete if it took it for its own."""
    path, other = tmp_path / "run" / LEDGER, tmp_path / "other" / LEDGER
    for one in (path, other):
        one.parent.mkdir()
    foreign = Ledger(other)
    foreign.write([attempt(7)])
    mine = Ledger(path)
    mine.write([attempt(1)])
    for name in (LEDGER, LOG, INDEX):
        (tmp_path / "other" / name).replace(tmp_path / "run" / name)
    before = {n: (tmp_path / "run" / n).read_bytes() for n in (LEDGER, LOG)}
    mine.write([attempt(2)])
    with pytest.raises(UserError, match="another file now"):
        mine.hold.settle()
    mine.close()
    assert {n: (tmp_path / "run" / n).read_bytes() for n in (LEDGER, LOG)} == before
    foreign.close()
    with closing(sqlite3.connect(tmp_path / "run" / "ledger.saved-1.sqlite")) as db:
        assert db.execute("SELECT attempt, key FROM attempts").fetchall() == [
            (1, "p1/0"),
            (2, "p2/0"),
        ]


def test_a_saved_ledger_is_not_put_back_without_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "WAIT_MS", 1)
    book = Ledger(tmp_path / LEDGER)
    tries = [replace(attempt(i), plan="") for i in range(2)]  # of no problem that is there
    book.write(tries[:1])
    delete_all(tmp_path)
    book.write(tries[1:])  # into the new one, and its log
    saved = book.hold.moved
    assert saved is not None
    with closing(sqlite3.connect(saved, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT COUNT(*) FROM attempts").fetchone() == (2,)
        with pytest.raises(UserError, match="another program has it open; next: close that"):
            distill.status(tmp_path, repair=True)
    book.close()
    assert distill.status(tmp_path, repair=True) == Exit.DONE
    assert ledger(tmp_path, "SELECT COUNT(*) FROM attempts") == [2]


def test_readers_copies_and_touches_of_names_are_no_alarm(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    book = Ledger(path)
    open_still = sqlite3.connect(path)
    for number in range(40):
        book.write([attempt(10 * number + i) for i in range(10)])
        book.hold.check()
        assert open_still.execute("SELECT COUNT(*) FROM attempts").fetchone() == (10 * number + 10,)
        reader = Ledger(path, read_only=True)
        assert reader.hold.fault() is None
        reader.close()
        subprocess.run(["cp", str(path), str(tmp_path / "copy")], check=True)
        os.link(path, tmp_path / f"link{number}")  # a snapshot by links
        path.chmod(0o600)
    open_still.close()
    book.hold.settle()
    book.close()


def test_a_log_that_is_copied_into_the_ledger_and_begun_anew_is_no_alarm(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    book = Ledger(path)
    heads = set()
    for number in range(60):
        book.write([attempt(number, body=os.urandom(400_000))])
        book.hold.check()
        heads.add(wal.log_of(path).read_bytes()[:32])
    assert len(heads) > 2
    assert wal.log_of(path).stat().st_size < 2 * COPY_FRAMES * 4120
    book.close()


@pytest.mark.parametrize("happens", [delete_all, empty_the_log, empty])
def test_a_change_within_a_transaction_is_noticed_at_its_end(
    happens: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Ledger(tmp_path / LEDGER)
    book.write([attempt(0)])
    write = Ledger._write

    def meanwhile(self: Ledger, a: Any, number: int) -> int:
        done = write(self, a, number)
        if self.hold.moved is None:
            happens(tmp_path)
        return done

    monkeypatch.setattr(Ledger, "_write", meanwhile)
    assert book.write([attempt(1)]) == [2]
    with pytest.raises(UserError, match="in the middle of the run"):
        book.hold.check()
    with pytest.raises(UserError, match="status --repair"):
        book.hold.settle()
    (saved,) = (
        p for p in tmp_path.iterdir() if p.name in ("ledger.saved-1.sqlite", "ledger.rest-1.sqlite")
    )
    with closing(sqlite3.connect(saved)) as db:
        assert (2, "p1/0") in db.execute("SELECT attempt, key FROM attempts").fetchall()
    book.close()


MOUNTINFO = """\
21 1 0:20 / / rw - ext4 /dev/a rw
22 21 0:21 / /data rw,relatime shared:5 - nfs4 host:/x rw
23 22 0:22 / /data/fast\\040disk rw - xfs /dev/b rw
24 21 0:23 / /over rw - nfs4 host:/y rw
25 21 0:24 / /over rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/home/run", True),
        ("/data/run", False),
        ("/database/run", True),
        ("/data/fast disk/run", True),
        ("/over/run", True),
    ],
)
def test_times_are_believed_where_no_network_sets_them(
    path: str, own: bool, tmp_path: Path
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    assert has_own_times(Path(path), tmp_path / "mountinfo") == own
    assert has_own_times(Path(path), tmp_path / "absent")


@pytest.mark.parametrize("numbered", [True, False])
def test_over_a_network_a_time_is_no_alarm_and_a_loss_is_one(
    numbered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the file system there behaves: times change later, numbers perhaps each time."""
    monkeypatch.setattr("distill.ledger.watch.has_own_times", lambda _: False)
    book = Ledger(tmp_path / LEDGER)
    watch = book.hold._watch
    assert watch is not None
    if not numbered:
        monkeypatch.setattr(watch, "_numbered", False)
        for file, known in watch._known.items():
            watch._known[file] = known[:1]
        watch._marks = watch._now()
    book.write([attempt(0)])
    for name in (LEDGER, LOG):
        os.utime(tmp_path / name, (1, 1))
        if not numbered:
            shutil.copy2(tmp_path / name, tmp_path / "new")
            (tmp_path / "new").replace(tmp_path / name)
    book.hold.check()
    empty(tmp_path)
    with pytest.raises(UserError, match="was changed by another program"):
        book.hold.check()
    book.close()


def test_a_place_where_nothing_can_be_saved_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run" / LEDGER
    path.parent.mkdir()
    book = Ledger(path)
    book.write([attempt(0)])
    shutil.rmtree(path.parent)
    path.parent.write_bytes(b"")
    with pytest.raises(UserError, match=r"is gone in .*; what it held could not be saved: .*next:"):
        book.hold.settle()
    book.close()
