"""What the write-ahead log looks like after ``kill -9``: ``python -m bench.wal``. Counts alarms.

A writer commits at full speed and is killed, again and again, mostly while a reader holds the
ledger open; each time the ledger is looked at as a run's start does, and what the writer had said
to be committed is counted. No alarm and no loss is right.
"""

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from distill.ledger import Ledger
from distill.ledger.wal import is_damaged, log_of

# Says the number of each transaction once it is committed.
WRITER = """
import random, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA synchronous = FULL")
luck = random.Random(int(sys.argv[2]))
while True:
    db.execute("BEGIN IMMEDIATE")
    (number,) = db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM kept").fetchone()
    for _ in range(luck.choice([1, 3, 50])):
        body = luck.randbytes(luck.choice([10, 3000, 20000]))
        db.execute("INSERT INTO kept VALUES (?, ?)", (number, body))
    db.execute("COMMIT")
    print(number, flush=True)
"""
# Another process, for a file that is closed loses all locks that its process has on it.
READER = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT COUNT(*) FROM kept").fetchall()
print("holds", flush=True)
sys.stdin.read()
"""
MOST_BYTES = 20 << 20  # of a log; then the reader lets go, and all begins anew


def main(argv: list[str] | None = None) -> int:
    """Kills as often as the command line says; 1 if there was an alarm or a loss."""
    parser = argparse.ArgumentParser(prog="python -m bench.wal", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    chance, alarms, lost, held = random.Random(given.seed), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="bench-wal-") as folder, ExitStack() as reader:
        path, holds = Path(folder, "ledger.sqlite"), False
        for _ in range(given.kills):
            if _is_to_begin(path):
                reader.close()
                _begin(path)
                holds = False
            if not holds and chance.random() < 0.8:
                _hold(path, reader)
                holds = True
            held += holds
            said = _killed(path, chance)
            alarms += is_damaged(path)
            with closing(sqlite3.connect(path)) as db:
                lost += said > (db.execute("SELECT MAX(number) FROM kept").fetchone()[0] or 0)
            if chance.random() < 0.2:
                reader.close()
                holds = False
    print(f"{given.kills} kills, {held} with a reader: {alarms} alarms, {lost} with a loss")
    return int(alarms + lost > 0)


def _is_to_begin(path: Path) -> bool:
    log = log_of(path)
    return not path.exists() or (log.exists() and log.stat().st_size > MOST_BYTES)


def _begin(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE kept (number INTEGER, body BLOB)")


def _hold(path: Path, reader: ExitStack) -> None:
    command = [sys.executable, "-c", READER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    reader.callback(process.wait)
    reader.callback(process.stdout.close)
    reader.callback(process.stdin.close)


def _killed(path: Path, chance: random.Random) -> int:
    """The last transaction that a writer said was committed before it was killed."""
    command = [sys.executable, "-c", WRITER, str(path), str(chance.randrange(2**32))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        writer.kill()
        rest = writer.stdout.read().splitlines(keepends=True)
    whole = [line for line in (first, *rest) if line.endswith(b"\n")]
    return int(whole[-1])


if __name__ == "__main__":
    sys.exit(main())
