"""The write-ahead log: every state that SQLite leaves is sound, and lost commits are an alarm."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

import bench.wal
from distill.ledger import Ledger, wal

PAGE = 4096
FRAME = wal.FRAME_HEADER + PAGE
# Holds a transaction open until its standard input ends.
READER = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT COUNT(*) FROM meta").fetchall()
print("holds", flush=True)
sys.stdin.read()
"""
# Commits so many pages, and is killed; with "untold", before it has told the others of the commit:
# that is written into the index beside the log once the log is on disk.
WRITER = """
import os, signal, sqlite3, sys
path, pages, told = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "told"
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE IF NOT EXISTS more (pages INTEGER, body BLOB)")
with open(f"{path}-shm", "r+b", buffering=0) as index:
    before = index.read(96)
    db.execute("INSERT INTO more VALUES (?, ?)", (pages, os.urandom(4000 * pages)))
    if not told:
        os.pwrite(index.fileno(), before, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def held_open(path: Path) -> Iterator[None]:
    """Another process reads the database all the while."""
    command = [sys.executable, "-c", READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"holds\n"
        yield
        reader.communicate()


def killed_writer(path: Path, pages: int, *, told: bool = True) -> None:
    word = "told" if told else "untold"
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), str(pages), word], check=False)
    assert done.returncode == -signal.SIGKILL


def pages_of(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in db.execute("SELECT pages FROM more ORDER BY rowid")]


def test_no_kill_is_an_alarm_or_a_loss_while_others_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``python -m bench.wal`` does it 500 times."""
    assert bench.wal.main(["--kills", "12"]) == 0
    assert ": 0 alarms, 0 with a loss" in capsys.readouterr().out


def logged(folder: Path, sizes: list[int]) -> tuple[Path, list[int]]:
    """A database whose log holds transactions of these many pages, and where each ends in it."""
    path, ends = folder / "ledger.sqlite", [0]
    Ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE more (pages INTEGER, body BLOB)")
        for size in sizes:
            body = random.Random(size).randbytes(4000 * size)
            db.execute("INSERT INTO more VALUES (?, ?)", (size, body))
            ends.append((wal.log_of(path).stat().st_size - wal.HEADER) // FRAME)
        copy = folder / "copy"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("copy"))
    return copy / "ledger.sqlite", ends


@pytest.mark.parametrize("behind", [[30], [40, 20], [20, 40]])
def test_a_commit_that_was_not_told_leaves_no_damage_behind_a_shorter_one(
    behind: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    killed_writer(path, 1)
    with held_open(path):
        for pages in behind:  # each is overwritten by the next: nobody was told of it
            killed_writer(path, pages, told=False)
            assert not wal.is_damaged(path)
        for _ in range(3):
            killed_writer(path, 2)
            assert not wal.is_damaged(path)
            Ledger(path).close()
        for copy in (True, False):
            if copy:  # as one that was not told of the index
                shutil.copytree(tmp_path, tmp_path / "copy")
                (tmp_path / "copy" / "ledger.sqlite-shm").unlink()
            assert not wal.is_damaged(tmp_path / "copy" / path.name if copy else path)
    Ledger(path).close()
    assert pages_of(path) == pages_of(tmp_path / "copy" / path.name) == [1, 2, 2, 2]


def test_a_large_transaction_that_was_killed_at_its_commit_is_no_damage(tmp_path: Path) -> None:
    """It had written a page twice, and its checksums were to be made anew: nobody was told."""
    path, ends = logged(tmp_path, [3, 5, 40])
    (path.parent / "ledger.sqlite-shm").unlink()  # it would count what was told in truth
    log = bytearray(wal.log_of(path).read_bytes())
    at = wal.HEADER + (ends[2] + 7) * FRAME
    log[at + 100] ^= 1
    wal.log_of(path).write_bytes(log)
    assert not wal.is_damaged(path)
    Ledger(path).close()
    assert pages_of(path) == [3, 5]


@pytest.mark.parametrize("frames", [1, 2, 7])
@pytest.mark.parametrize("rest", [0, 1, 23, 24, 2000])
def test_a_log_that_was_begun_anew_is_no_damage_however_much_of_it_is_written(
    frames: int, rest: int, tmp_path: Path
) -> None:
    """The new header and some frames over a longer log of before, which has other salts."""
    path, _ = logged(tmp_path, [30, 3, 3])
    other = tmp_path / "other"
    with closing(sqlite3.connect(shutil.copytree(path.parent, other) / path.name)) as db:
        db.execute("PRAGMA wal_checkpoint(RESTART)")
        db.execute("INSERT INTO more VALUES (9, ?)", (bytes(4000 * 9),))
        db.commit()
        new = wal.log_of(other / path.name).read_bytes()
    old = wal.log_of(path).read_bytes()
    assert new[16:24] != old[16:24]
    until = wal.HEADER + frames * FRAME + rest
    wal.log_of(path).write_bytes(new[:until] + old[until:])
    assert not wal.is_damaged(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_log_that_ends_anywhere_is_no_damage(seed: int, tmp_path: Path) -> None:
    path, _ = logged(tmp_path, [1, 3, 9, 2, 2])
    log = wal.log_of(path).read_bytes()
    wal.log_of(path).write_bytes(log[: random.Random(seed).randrange(len(log))])
    assert not wal.is_damaged(path)


SIZES = [1, 9, 2, 4, 1, 1]


@pytest.mark.parametrize("index", [True, False])
def test_one_bad_byte_in_any_commit_but_the_last_is_an_alarm(index: bool, tmp_path: Path) -> None:
    path, ends = logged(tmp_path, SIZES)
    if not index:
        (path.parent / "ledger.sqlite-shm").unlink()
    sound = wal.log_of(path).read_bytes()
    missed = set()
    for number, (start, end) in enumerate(pairwise(ends)):
        for frame in range(start, end):
            for byte in (0, 9, 20, 24, FRAME - 1):
                log = bytearray(sound)
                log[wal.HEADER + frame * FRAME + byte] ^= 4
                wal.log_of(path).write_bytes(log)
                if not wal.is_damaged(path):
                    missed.add(number)
    # Without the index, the end of the last but one looks unfinished, too.
    last = len(SIZES) - 1
    assert missed <= ({last} if index else {last - 1, last})


def test_a_damaged_header_is_an_alarm(tmp_path: Path) -> None:
    path, _ = logged(tmp_path, SIZES)
    log = bytearray(wal.log_of(path).read_bytes())
    for at in range(wal.HEADER):
        log[at] ^= 1
        wal.log_of(path).write_bytes(log)
        assert wal.is_damaged(path), at
        log[at] ^= 1
    wal.log_of(path).write_bytes(log)
    assert not wal.is_damaged(path)


@pytest.mark.parametrize("content", [b"", bytes(96), b"\xff" * 96, bytes(32768)])
def test_an_index_that_says_nothing_is_not_believed(content: bytes, tmp_path: Path) -> None:
    path, _ = logged(tmp_path, SIZES)
    (path.parent / "ledger.sqlite-shm").write_bytes(content)
    assert not wal.is_damaged(path)
