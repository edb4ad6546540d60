"""The ledger of a run: what was asked, every try, every answer verbatim; one SQLite file.

Synchronous; ``write`` may run in another thread than the rest (sqlite serialises the two on the
connection). It makes no request and reads no recipe. WAL with synchronous=FULL: what ``write``
returned from survives kill -9 and power loss.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
import zstandard

from distill.errors import UserError
from distill.rows import Problem

VERSION = 1
State = Literal["done", "failed", "quarantined", "retry"]

# An id or a request key is text; times are Unix seconds; money is USD.
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problems (
  id TEXT PRIMARY KEY, position INTEGER, question TEXT NOT NULL, domain TEXT NOT NULL,
  source TEXT NOT NULL, gold TEXT, verify TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS problems_by_position ON problems (position);
CREATE TABLE IF NOT EXISTS requests (
  key TEXT PRIMARY KEY, plan TEXT NOT NULL, id TEXT NOT NULL, sample INTEGER NOT NULL,
  state TEXT NOT NULL, finish TEXT, max_tokens INTEGER NOT NULL, attempt INTEGER NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_by_row ON requests (id, plan, sample);
CREATE TABLE IF NOT EXISTS attempts (
  attempt INTEGER PRIMARY KEY, key TEXT NOT NULL, started REAL NOT NULL, took_s REAL NOT NULL,
  status INTEGER NOT NULL, error TEXT, finish TEXT, model TEXT, prompt_tokens INTEGER,
  cached_tokens INTEGER, reasoning_tokens INTEGER, completion_tokens INTEGER, cost_usd REAL,
  worst_usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS answers (attempt INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
# The (id, sample) pairs that have no final answer under this plan; a truncated answer is final
# until a larger limit is allowed.
OPEN = """
WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < :samples)
SELECT p.id, p.position, p.question, s.n FROM problems p CROSS JOIN s
WHERE p.position >= :start AND p.position < :stop AND NOT EXISTS (
  SELECT 1 FROM requests r WHERE r.id = p.id AND r.plan = :plan AND r.sample = s.n
  AND NOT (r.finish IS 'length' AND r.max_tokens < :max_tokens)
  AND NOT (:again AND r.state <> 'done'))
ORDER BY p.position, s.n
"""
PAGE = 256  # problems of one page: a page of open requests stays under a few megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One answer that is still wanted."""

    id: str
    sample: int
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one try of one request ended."""

    key: str  # sha256 of the canonical request, hex
    plan: str  # digest of whom is asked and how
    id: str
    sample: int
    state: State  # "retry": no answer, to be asked again
    started: float
    took_s: float
    status: int  # HTTP; 0 when there was no response
    max_tokens: int
    error: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    worst_usd: float = 0.0  # what a try without an answer may have cost
    body: bytes | None = None  # the raw response


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A final answer, joined with its problem."""

    problem: Problem
    sample: int
    body: bytes
    cost_usd: float | None


class Ledger:
    """An open ledger file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens the file; unless ``read_only``, creates what is missing in it.

        Raises:
            UserError: it is not a ledger, is damaged, or was written by another version.
        """
        self.path = path
        self._squeeze = zstandard.ZstdCompressor(level=3)
        self._stretch = zstandard.ZstdDecompressor()
        try:
            self._db = _open(path, read_only=read_only)
            version = self.meta("version")
            if version is None and not read_only:
                self.set_meta("version", VERSION)
        except sqlite3.DatabaseError as error:
            msg = f"{path}: not a readable ledger: {error}; keep the file and use another folder"
            raise UserError(msg) from None
        if version not in (None, VERSION):
            msg = f"{path}: written by another version of distill (ledger {version}, now {VERSION})"
            raise UserError(msg)

    def close(self) -> None:
        """Closes the file; what was written is durable already."""
        self._db.close()

    def meta(self, name: str) -> object:
        """A value kept about the whole run; None if there is none."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return orjson.loads(found[0]) if found else None

    def set_meta(self, name: str, value: object) -> None:
        """Keeps a JSON value about the whole run."""
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, orjson.dumps(value).decode())
        )

    def put_problems(self, problems: Sequence[Problem], digest: str) -> None:
        """Makes ``problems`` the set of this run; cheap when ``digest`` is the one it has.

        Answers of problems that left the set stay in the file but are neither asked nor exported.
        A problem whose text changed under the same id is asked anew.
        """
        if self.meta("problems") == digest:
            return
        with self._transaction():
            self._db.execute("UPDATE problems SET position = NULL")
            self._db.executemany(
                "UPDATE requests SET plan = '' WHERE id IN "
                "(SELECT id FROM problems WHERE id = ? AND question <> ?)",
                ((p.id, p.question) for p in problems),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (p.id, i, p.question, p.domain, p.source, p.gold, p.verify)
                    for i, p in enumerate(problems)
                ),
            )
            self.set_meta("problems", digest)

    def open_asks(
        self, *, plan: str, samples: int, max_tokens: int, limit: int, again: bool
    ) -> Iterator[Ask]:
        """What is still to be asked of the first ``limit`` problems, in order, page by page."""
        for start in range(0, limit, PAGE):
            values = {
                "plan": plan,
                "samples": samples,
                "max_tokens": max_tokens,
                "start": start,
                "stop": min(start + PAGE, limit),
                "again": again,
            }
            for name, _, question, sample in self._db.execute(OPEN, values).fetchall():
                yield Ask(id=name, sample=sample, question=question)

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Makes a batch of tries durable, all or none."""
        with self._transaction():
            for attempt in attempts:
                self._write(attempt)

    def _write(self, a: Attempt) -> None:
        number = self._db.execute(
            "INSERT INTO attempts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                a.key,
                a.started,
                a.took_s,
                a.status,
                a.error,
                a.finish,
                a.model,
                a.prompt_tokens,
                a.cached_tokens,
                a.reasoning_tokens,
                a.completion_tokens,
                a.cost_usd,
                a.worst_usd,
            ),
        ).lastrowid
        if a.body is not None:
            self._db.execute(
                "INSERT INTO answers VALUES (?, ?)", (number, self._squeeze.compress(a.body))
            )
        if a.state == "retry" or (a.state != "done" and self._outlasts(a)):
            return
        self._db.execute(
            "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (a.key, a.plan, a.id, a.sample, a.state, a.finish, a.max_tokens, number),
        )

    def _outlasts(self, a: Attempt) -> bool:
        """Whether an answer that is there outlasts this failure to get a longer one."""
        kept = self._db.execute(
            "UPDATE requests SET max_tokens = MAX(max_tokens, ?) WHERE key = ? AND state = 'done'",
            (a.max_tokens, a.key),
        )
        return kept.rowcount > 0

    def answered(self, *, plan: str) -> Iterator[Answered]:
        """Every final answer under a plan, ordered by problem and sample."""
        cursor = self._db.execute(
            "SELECT p.id, p.question, p.domain, p.source, p.gold, p.verify, r.sample, a.body, "
            "t.cost_usd FROM problems p JOIN requests r ON r.id = p.id AND r.plan = ? "
            "JOIN answers a ON a.attempt = r.attempt JOIN attempts t ON t.attempt = r.attempt "
            "WHERE p.position IS NOT NULL AND r.state = 'done' ORDER BY p.position, r.sample",
            (plan,),
        )
        for name, question, domain, source, gold, verify, sample, body, cost in cursor:
            problem = Problem(
                id=name, question=question, domain=domain, source=source, gold=gold, verify=verify
            )
            whole = self._stretch.decompress(body)
            yield Answered(problem=problem, sample=sample, body=whole, cost_usd=cost)

    def states(self, *, plan: str, problems: int, samples: int) -> dict[str, int]:
        """How many requests of the first ``problems`` of the set ended in which state."""
        found = self._db.execute(
            "SELECT r.state, COUNT(*) FROM requests r JOIN problems p ON p.id = r.id "
            "WHERE r.plan = ? AND p.position < ? AND r.sample < ? GROUP BY r.state",
            (plan, problems, samples),
        )
        return dict(found.fetchall())

    def closed(self, *, plan: str, max_tokens: int) -> set[tuple[str, int]]:
        """The (id, sample) that need no more asking under a plan."""
        found = self._db.execute(
            "SELECT id, sample FROM requests WHERE plan = ? "
            "AND NOT (finish IS 'length' AND max_tokens < ?)",
            (plan, max_tokens),
        )
        return set(found.fetchall())

    def spent_usd(self) -> float:
        """Upper bound of what the run cost: known costs, and the worst case where unknown."""
        found = self._db.execute("SELECT SUM(COALESCE(cost_usd, worst_usd)) FROM attempts")
        return float(found.fetchone()[0] or 0.0)

    def totals(self) -> tuple[int, int, int, float]:
        """(tries, prompt tokens, completion tokens, seconds from the first try to the last)."""
        found = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0),"
            " COALESCE(MAX(started + took_s) - MIN(started), 0) FROM attempts"
        ).fetchone()
        return int(found[0]), int(found[1]), int(found[2]), float(found[3])

    def reasons(self) -> dict[str, int]:
        """Why tries ended without an answer: error text → how often, the commonest first."""
        found = self._db.execute(
            "SELECT error, COUNT(*) AS n FROM attempts WHERE error IS NOT NULL "
            "GROUP BY error ORDER BY n DESC, error LIMIT 20"
        )
        return dict(found.fetchall())

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA busy_timeout=30000")
    if not read_only:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(TABLES)
    return db


class _Transaction:
    """All or nothing; sqlite3's own context manager does not begin one."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if not kind:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # after a full disk sqlite has rolled back by itself
                self._db.execute("ROLLBACK")
