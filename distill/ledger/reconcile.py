"""Drops salvaged rows that contradict each other, and finds lost requests again by their keys.

What ties rows together: an answer has the number of its try, and its text a checksum; a try and its
request have the same key; and the key is a digest of the problem's text.
"""

import sqlite3
from collections.abc import Callable
from typing import Literal

import orjson
import zstandard

from distill.files.done import fingerprint
from distill.ledger.rows import request_key

Parse = Callable[[bytes], object]
MOST_BYTES = 2**27  # of an answer; one of more than 64 MB is never taken
BODIES = "CREATE TEMP TABLE bodies (attempt INTEGER PRIMARY KEY, kind TEXT)"  # see ``kind_of``
# What must not be found in a ledger: (what it is, table, rows). Version 1 did not have the columns
# {after} and {fields}.
WRONG = (
    (
        "answers that cannot be read",
        "answers",
        "attempt IN (SELECT b.attempt FROM bodies b LEFT JOIN attempts t USING (attempt) "
        "WHERE b.kind = 'unreadable' OR (b.kind = 'text' AND t.finish IS NOT NULL))",
    ),
    (
        "answers without their try",
        "answers",
        "attempt NOT IN (SELECT attempt FROM attempts)",
    ),
    (
        "answers without their beginning",
        "answers",
        "attempt IN (SELECT t.attempt FROM attempts t "
        "WHERE {after} IS NOT NULL AND {after} NOT IN (SELECT attempt FROM answers))",
    ),
    (
        "requests that do not agree with their try",
        "requests",
        "state NOT IN ('done', 'failed', 'quarantined') OR NOT EXISTS (SELECT 1 FROM attempts t "
        "WHERE t.attempt = requests.attempt AND t.key = requests.key "
        "AND t.finish IS requests.finish)",
    ),
    (
        "requests without their answer",
        "requests",
        "state <> 'failed' AND attempt NOT IN (SELECT attempt FROM answers)",
    ),
)
# One of a text that is not there has no plan: the next run gives it one if it finds the text.
STRANGE = (
    "requests that are not of their problem's text",
    "requests",
    "plan <> '' AND NOT EXISTS (SELECT 1 FROM problems p WHERE p.id = requests.id AND "
    "requests.key = request_key(plan, p.id, p.question, sample, {fields}))",
)
# Only of a damaged ledger: elsewhere it is one that an earlier version could not read.
UNREAD = """attempt IN (SELECT b.attempt FROM bodies b JOIN attempts t USING (attempt)
  WHERE b.kind = 'answer' AND t.finish IS NULL)"""
# A try whose request is lost is of one of all the requests that there can be. How many tokens it
# was allowed is lost with it; an answer that was cut had them all.
FIND_AGAIN = """
CREATE TEMP TABLE lost AS SELECT * FROM attempts WHERE finish IS NOT NULL
  AND attempt IN (SELECT attempt FROM answers)
  AND key NOT IN (SELECT key FROM requests WHERE plan <> '');
CREATE TEMP TABLE plans AS SELECT plan FROM requests WHERE plan <> '' UNION SELECT :plan;
CREATE TEMP TABLE samples AS SELECT sample FROM requests
  UNION SELECT value FROM json_each(:samples);
CREATE TEMP TABLE possible AS SELECT * FROM (
  SELECT id, plan, sample, request_key(plan, id, question, sample, fields) AS key
  FROM problems, plans, samples WHERE EXISTS (SELECT 1 FROM lost))
  WHERE key IN (SELECT key FROM lost);
INSERT OR REPLACE INTO requests (key, plan, id, sample, state, finish, max_tokens, attempt)
  SELECT key, plan, id, sample, iif(error IS NULL, 'done', 'quarantined'), finish,
  COALESCE(completion_tokens, 0), attempt FROM possible JOIN lost USING (key)
  ORDER BY error IS NULL, attempt;
"""


def kind_of(body: bytes, parse: Parse) -> Literal["unreadable", "text", "answer"]:
    """What a kept body is; a text is what came to a try that failed.

    Args:
        body: as it is in the ledger, compressed.
        parse: of the raw body; raises ValueError where it is no answer.
    """
    try:
        if not 0 <= zstandard.frame_content_size(body) <= MOST_BYTES:
            return "unreadable"
        text = zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        return "unreadable"
    try:
        parse(text)
    except ValueError:
        return "text"
    return "answer"


def contradictions(db: sqlite3.Connection, parse: Parse) -> str | None:
    """What does not agree in an open ledger of any version, in one line; None: all does.

    Raises:
        sqlite3.DatabaseError: it cannot be read.
    """
    db.create_function("request_key", 5, request_key, deterministic=True)
    db.execute(BODIES)
    bodies = db.execute("SELECT attempt, body FROM answers")
    kinds = ((number, kind_of(body, parse)) for number, body in bodies)
    db.executemany("INSERT INTO bodies VALUES (?, ?)", kinds)
    columns = {row[1] for row in db.execute("PRAGMA table_info(attempts)")}
    new = {"after": "t.after", "fields": "p.fields"}  # with version 2
    new = new if "after" in columns else dict.fromkeys(new, "NULL")
    found = []
    for what, table, rows in (*WRONG, STRANGE):
        query = f"SELECT COUNT(*) FROM {table} WHERE {rows.format(**new)}"
        found.append((db.execute(query).fetchone()[0], what))
    return "; ".join(f"{number:,} {what}" for number, what in found if number) or None


def reconcile(db: sqlite3.Connection) -> None:
    """Drops and adds rows of ``db``, a ledger of today with the temporary table of ``BODIES``."""
    db.create_function("request_key", 5, request_key, deterministic=True)
    db.execute(f"DELETE FROM answers WHERE {UNREAD}")
    for _, table, rows in WRONG:
        query = f"DELETE FROM {table} WHERE {rows.format(after='t.after')}"
        while db.execute(query).rowcount:  # an answer may be the beginning of another
            pass
    _, table, rows = STRANGE
    db.execute(f"UPDATE {table} SET plan = '' WHERE {rows.format(fields='p.fields')}")
    values = _asked(db)
    for statement in FIND_AGAIN.split(";"):
        db.execute(statement, values)


def _asked(db: sqlite3.Connection) -> dict[str, str]:
    """The run's own plan, and the numbers of its samples as a JSON list."""
    meta = {name: orjson.loads(value) for name, value in db.execute("SELECT * FROM meta")}
    wanted = meta.get("wanted")
    samples = wanted.get("samples") if isinstance(wanted, dict) else None
    numbers = list(range(samples if isinstance(samples, int) else 1))
    return {"plan": fingerprint(plan=meta.get("plan")), "samples": orjson.dumps(numbers).decode()}
