"""Writes problems, tries and answers into a run's ledger, and reads them back.

Synchronous; ``write`` may run in another thread than the rest (sqlite serialises the two on the
connection). Once ``write`` has returned, its tries survive kill -9 and power loss.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from distill.errors import UserError
from distill.ledger.explain import not_opened
from distill.ledger.hold import Hold
from distill.ledger.rows import Answered, Asked, Attempt, Open
from distill.ledger.schema import VERSION
from distill.ledger.wal import is_damaged
from distill.ledger.wants import ASKED, OPEN, Wants
from distill.rows import Problem

PROBLEMS = """SELECT id, question, domain, source, gold, verify, fields FROM problems
WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position"""
# Requests of a text that changed have no plan; if it has changed back, their key tells.
FOUND_AGAIN = """UPDATE requests AS r SET plan = :plan WHERE plan = '' AND key = (
SELECT request_key(:plan, p.id, p.question, r.sample, p.fields) FROM problems p
WHERE p.id = r.id AND p.position IS NOT NULL)"""
LAST = "SELECT COALESCE(MAX(attempt), 0) FROM attempts"
COUNTED = ("cost_usd", "prompt_tokens", "reasoning_tokens", "completion_tokens")
COUNTS = f"SELECT {', '.join(COUNTED)}, after FROM attempts WHERE attempt = ?"
PAGE = 256  # problems of one page: it stays under a few megabytes
INSERT_ATTEMPT = """INSERT INTO attempts (attempt, key, started, took_s, status, error, finish,
model, prompt_tokens, cached_tokens, reasoning_tokens, completion_tokens, cost_usd, worst_usd,
endpoint, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
INSERT_REQUEST = """INSERT OR REPLACE INTO requests (key, plan, id, sample, state, finish,
max_tokens, attempt, verdict, repaired) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Ledger:
    """An open ledger file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens the file; unless ``read_only``, creates what is missing in it.

        Raises:
            UserError: it cannot be opened, is not a ledger, is damaged, or was written by another
                version.
        """
        self.path = path
        self._squeeze = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._stretch = zstandard.ZstdDecompressor()
        with ExitStack() as on_error:
            try:
                if not read_only and is_damaged(path):
                    msg = "its write-ahead log is damaged"  # sqlite would forget the rest silently
                    raise sqlite3.DatabaseError(msg)
                self.hold = Hold(path, read_only=read_only)
                on_error.callback(self.hold.close)
                self._check_version(read_only=read_only)
                if not read_only:
                    self._last = self.db.execute(LAST).fetchone()[0]
                    self.hold.watch()
            except (sqlite3.DatabaseError, OSError) as error:
                repair = f"distill status --repair {path.parent}"
                msg = f"{path}: not a readable ledger: {error}; next: {repair}"
                raise not_opened(path, error) or UserError(msg) from None
            on_error.pop_all()

    @property
    def db(self) -> sqlite3.Connection:
        """The open file, for queries."""
        return self.hold.db

    def _check_version(self, *, read_only: bool) -> None:
        version = self.meta("version")
        if version is None and not read_only:
            self.set_meta("version", VERSION)
        if read_only and version == 1:
            next_step = "the run's own command brings it up to date"
            msg = f"{self.path}: of an earlier version; next: {next_step}"
            raise UserError(msg)
        if version not in (None, 1, VERSION):
            two = f"(ledger {version}, now {VERSION})"
            msg = f"{self.path}: written by another version of distill {two}"
            raise UserError(msg)

    def close(self) -> None:
        """Closes the file; what was written is durable already."""
        self.hold.close()

    def meta(self, name: str) -> object:
        """A value kept about the whole run; None if there is none."""
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return orjson.loads(found[0]) if found else None

    def set_meta(self, name: str, value: object) -> None:
        """Keeps a JSON value about the whole run."""
        with self.hold.writing():
            self._set_meta(name, value)

    def _set_meta(self, name: str, value: object) -> None:
        row = (name, orjson.dumps(value).decode())
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)

    def put_problems(self, tables: Iterable[pl.DataFrame], digest: str, *, plan: str) -> None:
        """Makes the lines of ``tables`` (PROBLEM_SCHEMA) the set of this run, in their order.

        Answers of problems that left the set stay in the file but are neither asked nor exported.
        A problem whose text changed under the same id is asked anew, unless it has become again
        what it was asked as before under ``plan``.
        """
        with self.hold.writing():
            self.db.execute("UPDATE problems SET position = NULL WHERE position IS NOT NULL")
            position = 0
            for table in tables:
                self._put(table, position)
                position += table.height
            self.db.execute(FOUND_AGAIN, {"plan": plan})
            self._set_meta("problems", digest)

    def _put(self, table: pl.DataFrame, start: int) -> None:
        names = ("id", "question", "domain", "source", "gold", "verify", "fields")
        if self.db.execute("SELECT 1 FROM requests LIMIT 1").fetchone():
            self.db.executemany(
                "UPDATE requests SET plan = '' WHERE id IN (SELECT id FROM problems "
                "WHERE id = ? AND (question <> ? OR fields IS NOT ?))",
                table.select("id", "question", "fields").iter_rows(),
            )
            self.db.executemany(
                "UPDATE requests SET verdict = NULL WHERE id IN (SELECT id FROM problems "
                "WHERE id = ? AND (gold IS NOT ? OR verify IS NOT ?))",
                table.select("id", "gold", "verify").iter_rows(),
            )
        self.db.executemany(
            "INSERT OR REPLACE INTO problems (position, id, question, domain, source, gold, verify,"
            " fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((start + i, *row) for i, row in enumerate(table.select(names).iter_rows())),
        )

    def count_problems(self) -> int:
        """How many problems the set has."""
        found = self.db.execute("SELECT MAX(position) FROM problems").fetchone()[0]
        return 0 if found is None else int(found) + 1

    def open_positions(self, wants: Wants, *, limit: int) -> Sequence[int]:
        """Where in the set the problems are that still want answers, in order: 8 bytes each.

        Args:
            wants: which answers.
            limit: only so many problems, from the start of the set.
        """
        rows = self.db.execute(OPEN, {**wants.values(), "limit": limit})
        return array("q", (row[0] for row in rows))

    def problems(self, positions: Sequence[int], wants: Wants) -> Iterator[Open]:
        """The problems at these places of the set, read page by page, and their answers."""
        for start in range(0, len(positions), PAGE):
            page = orjson.dumps(list(positions[start : start + PAGE])).decode()
            found = self.db.execute(PROBLEMS, (page,)).fetchall()
            asked: dict[str, list[Asked]] = {}
            for name, *row in self.db.execute(ASKED, {**wants.values(), "places": page}):
                asked.setdefault(name, []).append(_asked(row))
            for row in found:
                yield Open(problem=_problem(row), asked=tuple(asked.get(row[0], ())))

    def write(self, attempts: Sequence[Attempt]) -> list[int]:
        """Makes a batch of tries durable, all or none; their numbers in the ledger.

        Where its file is lost or was changed by others, in a new one beside it.
        """
        numbered = list(enumerate(attempts, self._last + 1))  # in a new file, too
        numbers = self.hold.keep(lambda: [self._write(a, number) for number, a in numbered])
        self._last += len(numbers)
        return numbers

    def _write(self, a: Attempt, number: int) -> int:
        values = (a.key, a.started, a.took_s, a.status, a.error, a.finish, a.model)
        usage = (a.prompt_tokens, a.cached_tokens, a.reasoning_tokens, a.completion_tokens)
        money = (a.cost_usd, a.worst_usd, a.endpoint, a.after)
        self.db.execute(INSERT_ATTEMPT, (number, *values, *usage, *money))
        if a.body is not None:
            body = self._squeeze.compress(a.body)
            self.db.execute("INSERT INTO answers (attempt, body) VALUES (?, ?)", (number, body))
        if a.state == "retry" or (a.state != "done" and self._outlasts(a)):
            return number
        row = (a.key, a.plan, a.id, a.sample, a.state, a.finish, a.max_tokens)
        self.db.execute(INSERT_REQUEST, (*row, number, a.verdict, a.repair))
        return number

    def _outlasts(self, a: Attempt) -> bool:
        """Whether an answer that is there outlasts this failure to get a longer one."""
        kept = self.db.execute(
            "UPDATE requests SET max_tokens = MAX(max_tokens, ?), repaired = MAX(repaired, ?) "
            "WHERE key = ? AND state = 'done'",
            (a.max_tokens, a.repair, a.key),
        )
        return kept.rowcount > 0

    def bodies(self, attempt: int) -> tuple[bytes, ...]:
        """The raw responses of an answer: the first, and those that went on with it."""
        found = self.db.execute(
            "SELECT a.body, t.after FROM answers a JOIN attempts t ON t.attempt = a.attempt "
            "WHERE a.attempt = ?",
            (attempt,),
        ).fetchone()
        if found is None:
            msg = f"answer {attempt} is missing"
            raise sqlite3.DatabaseError(msg)
        body, after = found
        before = () if after is None else self.bodies(after)
        return (*before, self._stretch.decompress(body))

    def answered(
        self, *, plan: str, problems: int, samples: int, unchecked: bool = False
    ) -> Iterator[tuple[int, Answered]]:
        """(number, answer) of every final answer that is wanted, by problem and sample.

        Args:
            plan: under which plan.
            problems: of so many problems, from the start of the set.
            samples: of each only the first so many samples.
            unchecked: only those that have no verdict.
        """
        cursor = self.db.execute(
            "SELECT r.attempt, r.sample, p.id, p.question, p.domain, p.source, p.gold, p.verify, "
            "p.fields FROM problems p JOIN requests r ON r.id = p.id AND r.plan = ? "
            "AND r.sample < ? WHERE p.position < ? AND r.state = 'done' "
            "AND (NOT ? OR r.verdict IS NULL) ORDER BY p.position, r.sample",
            (plan, samples, problems, unchecked),
        )
        for number, sample, *row in cursor:
            bodies = self.bodies(number)
            counts = self._counts(number, pieces=len(bodies))
            yield number, Answered(problem=_problem(row), sample=sample, bodies=bodies, **counts)

    def _counts(self, attempt: int, *, pieces: int) -> dict[str, Any]:
        """Cost and tokens of an answer, all its pieces together; None where one is not known."""
        found = []
        for _ in range(pieces):
            *counts, attempt = self.db.execute(COUNTS, (attempt,)).fetchone()
            found.append(counts)
        each = zip(COUNTED, zip(*found, strict=True), strict=True)
        return {name: None if None in values else sum(values) for name, values in each}

    def reopen(self, keys: Iterable[str]) -> None:
        """Forgets that these requests were refused: they are asked again."""
        with self.hold.writing():
            self.db.executemany(
                "DELETE FROM requests WHERE key = ? AND state = 'failed'", ((key,) for key in keys)
            )

    def set_verdicts(self, verdicts: Iterable[tuple[str, int]]) -> None:
        """Keeps (label, number of the answer) of answers that were checked later."""
        with self.hold.writing():
            self.db.executemany("UPDATE requests SET verdict = ? WHERE attempt = ?", verdicts)


def _problem(row: Sequence[str | None]) -> Problem:
    name, question, domain, source, gold, verify, fields = row
    return Problem(
        id=name or "",
        question=question or "",
        domain=domain or "",
        source=source or "",
        gold=gold,
        verify=verify,
        fields=fields,
    )


def _asked(row: Sequence[object]) -> Asked:
    sample, state, finish, max_tokens, repaired, verdict, attempt, final = row
    return Asked(
        sample=sample,  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        finish=finish,  # type: ignore[arg-type]
        max_tokens=max_tokens,  # type: ignore[arg-type]
        repaired=bool(repaired),
        verdict=verdict,  # type: ignore[arg-type]
        attempt=attempt,  # type: ignore[arg-type]
        final=bool(final),
    )
