"""What ``distill status --repair`` brings back: ``python -m bench.repair``. Counts answers kept.

A ledger of 1,500 answers (8.6 MB) is damaged in one way, repaired, and each answer in it compared
with the one that was written. None may differ; the rest is asked again by the run's own command.
"""

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial
from pathlib import Path

import orjson
import polars as pl
import zstandard

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.ledger import Attempt, Ledger
from distill.ledger.rows import request_key
from distill.ledger.salvage import repair
from distill.rows import PROBLEM_SCHEMA
from distill.teachers.wire import parse

ANSWERS, BATCH, PAGE = 1500, 16, 4096
PLAN = {"who": "bench"}
KEPT = """SELECT r.key, a.body FROM requests r JOIN answers a USING (attempt)
WHERE r.state = 'done'"""
Damage = Callable[[bytearray, random.Random], None]


def pages(data: bytearray, luck: random.Random, *, count: int) -> None:
    """Noise over so many pages."""
    for page in luck.sample(range(len(data) // PAGE), count):
        data[page * PAGE : (page + 1) * PAGE] = luck.randbytes(PAGE)


def flips(data: bytearray, luck: random.Random) -> None:
    """One bit in each of thirty bytes."""
    for at in luck.sample(range(len(data)), 30):
        data[at] ^= 1 << luck.randrange(8)


def first(data: bytearray, luck: random.Random) -> None:
    """The page that says what is where."""
    data[:PAGE] = luck.randbytes(PAGE)


def half(data: bytearray, luck: random.Random) -> None:
    """As an interrupted copy leaves it."""
    del data[len(data) // 2 :]


# name → (damage, which file, how often: always the same, or at random places)
DAMAGE: dict[str, tuple[Damage, str, int]] = {
    "one bad page": (partial(pages, count=1), "", 40),
    "twenty bad pages": (partial(pages, count=20), "", 20),
    "thirty flipped bits": (flips, "", 20),
    "page 1 destroyed": (first, "", 2),
    "cut in half": (half, "", 1),
    "one bad page of the log": (partial(pages, count=1), "-wal", 20),
}


def main(argv: list[str] | None = None) -> int:
    """Damages and repairs; 1 if any answer that was kept is not what was written."""
    parser = argparse.ArgumentParser(prog="python -m bench.repair", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the times that each is done")
    given = parser.parse_args(argv)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="bench-repair-") as folder:
        sound = made(Path(folder))
        for name, (damage, side, times) in DAMAGE.items():
            seeds = range(max(1, round(times * given.share)))
            found = [repaired(sound, damage, side, random.Random(seed)) for seed in seeds]
            kept, bad = [k for k, _ in found], sum(b for _, b in found)
            mean = sum(kept) / len(kept)
            print(f"{name}: {mean:,.1f} of {ANSWERS:,} (worst {min(kept):,}), {bad} wrong")
            wrong += bad
    return int(wrong > 0)


def made(folder: Path) -> Path:
    """Two copies of one ledger: closed, and as a kill leaves it, with a part in its log."""
    path = folder / "ledger.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.set_meta("plan", PLAN)
        ledger.set_meta("wanted", {"problems": ANSWERS, "samples": 1, "correct": None})
        rows = [
            (f"p{i}", question(i), "math", "bench", str(i), "math", None) for i in range(ANSWERS)
        ]
        ledger.put_problems([pl.DataFrame(rows, PROBLEM_SCHEMA, orient="row")], "x", plan=digest())
        for start in range(0, ANSWERS, BATCH):
            ledger.write([tried(i) for i in range(start, min(start + BATCH, ANSWERS))])
        killed = folder / "killed"
        shutil.copytree(folder, killed, ignore=shutil.ignore_patterns("killed", "*-shm"))
    return folder


def digest() -> str:
    return fingerprint(plan=PLAN)


def question(number: int) -> str:
    return f"{number}: " + text(f"question {number}", 200)


def text(seed: str, chars: int) -> str:
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrst    ,.\n", k=chars))


def answer(number: int) -> bytes:
    message = {"role": "assistant", "content": text(f"answer {number}", 8000)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return orjson.dumps({"model": "m", "choices": [choice], "usage": {"completion_tokens": 2000}})


def tried(number: int) -> Attempt:
    name = f"p{number}"
    return Attempt(
        key=request_key(digest(), name, question(number), 0, None),
        plan=digest(),
        id=name,
        sample=0,
        state="done",
        started=1.7e9 + number,
        took_s=1.0,
        status=200,
        max_tokens=4096,
        endpoint="http://bench/v1",
        finish="stop",
        model="m",
        completion_tokens=2000,
        cost_usd=0.001,
        body=answer(number),
    )


def repaired(sound: Path, damage: Damage, side: str, luck: random.Random) -> tuple[int, int]:
    """(answers that are there and right, those that are wrong) after damage and repair."""
    with tempfile.TemporaryDirectory(prefix="bench-repair-") as folder:
        for file in (sound / "killed" if side else sound).glob("ledger.sqlite*"):
            shutil.copy(file, folder)
        path = Path(folder, "ledger.sqlite")
        file = path.with_name(path.name + side)
        data = bytearray(file.read_bytes())
        damage(data, luck)
        file.write_bytes(data)
        try:
            repair(path.parent, parse=parse)
        except UserError as error:
            print(f"  {error}", file=sys.stderr)
            return 0, 0
        return compared(path)


def compared(path: Path) -> tuple[int, int]:
    unpack, wanted = zstandard.ZstdDecompressor().decompress, answers()
    with closing(sqlite3.connect(path)) as db:
        found = [unpack(body) == wanted.get(key) for key, body in db.execute(KEPT)]
    return sum(found), len(found) - sum(found)


@cache
def answers() -> dict[str, bytes]:
    """What was answered, by request key."""
    return {tried(i).key: answer(i) for i in range(ANSWERS)}


if __name__ == "__main__":
    sys.exit(main())
