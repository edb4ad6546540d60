"""Drops salvaged rows that contradict each other, and finds lost requests again by their key.

What ties rows together: an answer has the number of its try, and its text a checksum; a try and its
request have the same key; the key is a digest of the problem's text.
"""

import sqlite3

import orjson

from distill.files.done import fingerprint
from distill.ledger.rows import request_key

# An answer needs its try, which must have ended as its text says, and, where it continues a cut
# one, that one.
DROP_ANSWERS = """DELETE FROM answers WHERE attempt NOT IN (
  SELECT t.attempt FROM attempts t JOIN bodies b USING (attempt)
  WHERE b.kind = iif(t.finish IS NULL, 'text', 'answer')
  AND (t.after IS NULL OR t.after IN (SELECT attempt FROM answers)))"""
DROP_REQUESTS = """DELETE FROM requests AS r WHERE state NOT IN ('done', 'failed', 'quarantined')
OR NOT EXISTS (SELECT 1 FROM attempts t
  WHERE t.attempt = r.attempt AND t.key = r.key AND t.finish IS r.finish)
OR (state <> 'failed' AND attempt NOT IN (SELECT attempt FROM answers))"""
# One of a text that is not there has no plan; the next run gives it one if it finds the text.
SET_APART = """UPDATE requests AS r SET plan = '' WHERE plan <> '' AND NOT EXISTS (
  SELECT 1 FROM problems p
  WHERE p.id = r.id AND r.key = request_key(r.plan, p.id, p.question, r.sample, p.fields))"""
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


def reconcile(db: sqlite3.Connection) -> None:
    """Drops and adds rows of ``db``.

    Args:
        db: a ledger with the temporary table ``bodies (attempt, kind)``, which tells of each
            answer whether it is "unreadable", a "text" that is no answer, or an "answer".
    """
    db.create_function("request_key", 5, request_key, deterministic=True)
    while db.execute(DROP_ANSWERS).rowcount:  # one that is dropped may be the beginning of another
        pass
    db.execute(DROP_REQUESTS)
    db.execute(SET_APART)
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
