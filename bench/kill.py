"""What a run loses to ``kill -9``: it is killed at random moments, continued, and its rows counted.

An answer may be lost between the server and the commit, at most one for each request under way.
What was committed must never be asked again.
"""

import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.command import generating, refuse_failure
from bench.stub import Stub
from bench.table import table
from bench.work import write_recipe

EVERY_S = 0.01  # how often the stub teacher is asked how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a ledger holds at some moment."""

    done: frozenset[str]  # keys of the requests with a committed answer
    tries: tuple[tuple[int, str], ...]  # number and key of every try
    sound: str  # what PRAGMA integrity_check says: "ok"

    def asked_since(self, before: "Kept") -> int:
        """How many tries since then were of what was committed then."""
        last = max((number for number, _ in before.tries), default=0)
        return sum(number > last and key in before.done for number, key in self.tries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """How things stood when the run had stopped, killed or at its end."""

    answered: int  # problems that the stub teacher has answered
    again: int  # tries of what was committed at the stop before
    kept: Kept

    @property
    def lost(self) -> int:
        """Answered and not committed: these are asked again."""
        return self.answered - len(self.kept.done)


def kill(
    stub: Stub,
    work: Path,
    *,
    requests: int,
    concurrency: int,
    latency_s: float,
    kills: int,
    seed: int,
) -> bool:
    """Kills a run ``kills`` times, lets it finish, and says whether every check held."""
    print(
        f"\nkill: {requests:,} requests, {concurrency:,} at once, {latency_s:g} s each, "
        f"{kills} kills, seed {seed}\n"
    )
    folder, chance = work / "kill", random.Random(seed)
    stub.reset(latency_s=latency_s)
    try:
        recipe = write_recipe(
            folder, url=stub.url, numbers=range(requests), concurrency=concurrency
        )
        stops: list[Stop] = []
        for _ in range(kills):
            _killed(stub, recipe, requests, chance)
            time.sleep(latency_s + 0.2)  # what was under way has reached the stub teacher's count
            stops.append(_stop(stub, folder / "run", stops))
        with generating(recipe, folder / "run") as process:
            process.wait()
        refuse_failure(process, recipe)
        stops.append(_stop(stub, folder / "run", stops))
        _show(stops)
        return _verdict(stub, folder / "run", stops, requests=requests, concurrency=concurrency)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(stub: Stub, run: Path, before: Sequence[Stop]) -> Stop:
    kept = _kept(run)
    again = kept.asked_since(before[-1].kept) if before else 0
    return Stop(answered=stub.stats()["unique_done"], again=again, kept=kept)


def _show(stops: Sequence[Stop]) -> None:
    rows = []
    for number, stop in enumerate(stops, 1):
        name = "the end" if stop is stops[-1] else f"kill {number}"
        figures = (stop.answered, len(stop.kept.done), stop.lost, stop.again)
        rows.append([name, *(f"{x:,}" for x in figures), stop.kept.sound])
    head = ["at", "answered", "committed", "not committed", "committed, asked again"]
    print(table([*head, "integrity"], rows))


def _killed(stub: Stub, recipe: Path, requests: int, chance: random.Random) -> None:
    """Starts the run and kills it somewhere in the first half of what was left."""
    done = stub.stats()["unique_done"]
    goal = done + chance.uniform(0.1, 0.5) * (requests - done)
    with generating(recipe, recipe.parent / "run") as process:
        while stub.stats()["unique_done"] < goal:
            if process.poll() is not None:
                refuse_failure(process, recipe)
                msg = "kill: the run ended before it could be killed; use more --requests"
                raise SystemExit(msg)
            time.sleep(EVERY_S)
        time.sleep(chance.uniform(0, 2 * EVERY_S))
        process.kill()
        process.wait()


def _kept(run: Path) -> Kept:
    """Reads a copy: opening the ledger itself would already repair it."""
    with tempfile.TemporaryDirectory(dir=run.parent) as copy:
        for file in run.glob("ledger.sqlite*"):
            if not file.name.endswith("-shm"):  # made anew from the write-ahead log
                shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy, "ledger.sqlite"))) as db:
            done = db.execute("SELECT key FROM requests WHERE state = 'done'").fetchall()
            tries = db.execute("SELECT attempt, key FROM attempts").fetchall()
            (sound,) = db.execute("PRAGMA integrity_check").fetchone()
    return Kept(done=frozenset(key for (key,) in done), tries=tuple(tries), sound=sound)


def _verdict(
    stub: Stub, run: Path, stops: Sequence[Stop], *, requests: int, concurrency: int
) -> bool:
    """Prints every check with what was found and what was wanted; True if all hold."""
    import polars as pl

    traces = pl.read_parquet(run / "traces/*.parquet", columns=["id", "sample"])
    lost = [stop.lost for stop in stops]
    equal = [
        ("rows in traces/", traces.height, requests),
        ("different rows in traces/", traces.unique().height, requests),
        ("answers in the ledger", len(stops[-1].kept.done), requests),
        ("integrity_check, each time", ", ".join({stop.kept.sound for stop in stops}), "ok"),
        ("committed before a kill, asked again", sum(stop.again for stop in stops), 0),
    ]
    below = [
        ("not committed, most at one kill", max(lost), concurrency),
        ("asked again after a 200", stub.stats()["resent_after_200"], sum(lost)),
    ]
    rows = [[what, f"{found}", f"{want}", _word(found == want)] for what, found, want in equal]
    rows += [[what, f"{found}", f"<= {most}", _word(found <= most)] for what, found, most in below]
    print(f"\n{table(['check', 'found', 'wanted', ''], rows)}")
    return all(row[-1] == _word(True) for row in rows)


def _word(holds: bool) -> str:
    return "ok" if holds else "FAILED"
