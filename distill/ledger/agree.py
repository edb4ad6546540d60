"""Leaves in a carved ledger only what agrees, and finds again what its other rows tell.

A request stands in its table, all but its try a second time in the index requests_by_problem, and
its key a third time with each of its tries: so one of them may be lost.
"""

import sqlite3

import orjson

from distill.files.done import fingerprint
from distill.ledger.rows import request_key

# An answer needs its try, and, where it goes on with a cut one, that one.
DROP_ANSWERS = """DELETE FROM answers WHERE attempt NOT IN (SELECT attempt FROM attempts)
OR attempt IN (SELECT attempt FROM text JOIN attempts USING (attempt) WHERE finish IS NOT NULL)
OR attempt IN (SELECT t.attempt FROM attempts t
  WHERE t.after IS NOT NULL AND t.after NOT IN (SELECT attempt FROM answers))"""
# Whose request a try was, where only its key tells: one of all the requests that there can be.
GUESS = """
CREATE TEMP TABLE plans AS SELECT plan FROM requests UNION SELECT plan FROM by_problem
  UNION SELECT :plan;
CREATE TEMP TABLE samples AS SELECT sample FROM requests UNION SELECT sample FROM by_problem
  UNION SELECT value FROM json_each(:samples);
INSERT INTO by_problem (id, plan, sample, key) SELECT * FROM (
  SELECT id, plan, sample, request_key(plan, id, question, sample, fields) AS key
  FROM problems, plans, samples)
WHERE key IN (SELECT key FROM attempts JOIN answers USING (attempt) WHERE finish IS NOT NULL)
AND key NOT IN (SELECT key FROM requests) AND key NOT IN (SELECT key FROM by_problem);
"""
# Requests that are only in the index, and the tries that may have brought them about.
LONELY = """
CREATE INDEX by_problem_key ON by_problem (key);
CREATE TEMP TABLE lonely AS SELECT * FROM (SELECT DISTINCT * FROM by_problem)
  WHERE key NOT IN (SELECT key FROM requests) GROUP BY key HAVING COUNT(*) = 1;
CREATE TEMP TABLE latest AS SELECT key, finish, MAX(attempt) AS attempt FROM attempts
  WHERE finish IS NULL OR attempt IN (SELECT attempt FROM answers) GROUP BY key, finish;
"""
SAME = """k.id = r.id AND k.plan = r.plan AND k.sample = r.sample AND (k.state IS NULL OR (
k.state = r.state AND k.finish IS r.finish AND k.max_tokens = r.max_tokens
AND k.repaired = r.repaired AND k.verdict IS r.verdict))"""
DROP_REQUESTS = f"""DELETE FROM requests AS r WHERE NOT EXISTS (SELECT 1 FROM attempts t
  WHERE t.attempt = r.attempt AND t.key = r.key AND t.finish IS r.finish)
OR (r.state <> 'failed' AND r.attempt NOT IN (SELECT attempt FROM answers))
OR (EXISTS (SELECT 1 FROM by_problem k WHERE k.key = r.key)
  AND NOT EXISTS (SELECT 1 FROM by_problem k WHERE k.key = r.key AND {SAME}))"""
# Of version 1 it is not known how many tokens were allowed; an answer that was cut had them all.
REBUILD = """INSERT OR IGNORE INTO requests
SELECT k.key, k.plan, k.id, k.sample,
  COALESCE(k.state, CASE WHEN t.error IS NULL THEN 'done' ELSE 'quarantined' END), t.finish,
  COALESCE(k.max_tokens, t.completion_tokens, 0), t.attempt, k.verdict, COALESCE(k.repaired, 0)
FROM lonely k JOIN latest l USING (key) JOIN attempts t ON t.attempt = l.attempt
WHERE CASE WHEN k.state IS NULL THEN t.finish IS NOT NULL
  ELSE t.finish IS k.finish AND (k.state = 'failed') = (t.finish IS NULL) END
AND NOT EXISTS (SELECT 1 FROM requests r
  WHERE r.id = k.id AND r.plan = k.plan AND r.sample = k.sample)
ORDER BY t.attempt DESC"""


def leave_whole(db: sqlite3.Connection) -> None:
    """Drops and adds rows; ``db`` has the tables of a ledger and those of ``carve.STAGE``."""
    db.execute("DELETE FROM answers WHERE attempt IN (SELECT attempt FROM unreadable)")
    while db.execute(DROP_ANSWERS).rowcount:  # one that is dropped may be the beginning of another
        pass
    _guess(db)
    for statement in (*LONELY.split(";"), DROP_REQUESTS, REBUILD):
        db.execute(statement)


def _guess(db: sqlite3.Connection) -> None:
    meta = {name: orjson.loads(value) for name, value in db.execute("SELECT * FROM meta")}
    wanted = meta.get("wanted")
    count = wanted.get("samples") if isinstance(wanted, dict) else None
    samples = orjson.dumps(list(range(count if isinstance(count, int) else 1))).decode()
    values = {"plan": fingerprint(plan=meta.get("plan")), "samples": samples}
    db.create_function("request_key", 5, request_key, deterministic=True)
    for statement in GUESS.split(";"):
        db.execute(statement, values)
