"""Answers that were kept as none, and what makes them answers once they can be read.

Knows no wire: the caller says what a body holds.
"""

from collections.abc import Iterator

from distill.ledger.rows import Unread
from distill.ledger.store import Ledger

# Kept bodies of requests that have no answer, the latest first.
KEPT = """SELECT t.key, t.attempt FROM attempts t JOIN answers a USING (attempt)
WHERE t.error IS NOT NULL AND t.after IS NULL
AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.key = t.key AND r.state = 'done')
ORDER BY t.attempt DESC"""
# Whose it is: a version that did not write that down left the key only.
WHOSE = """SELECT p.id, s.value FROM problems p, json_each(:samples) s
WHERE request_key(:plan, p.id, p.question, s.value, p.fields) = :key LIMIT 1"""
ANSWERED = "SELECT 1 FROM requests WHERE key = ? AND state = 'done'"
READ = "UPDATE attempts SET finish = ?, model = ?, error = NULL, status = 200 WHERE attempt = ?"
DONE = """INSERT OR REPLACE INTO requests
(key, plan, id, sample, state, finish, max_tokens, attempt) VALUES (?, ?, ?, ?, 'done', ?, ?, ?)"""


def unread(ledger: Ledger) -> Iterator[Unread]:
    """Each, with its body as it came."""
    for key, attempt in ledger.db.execute(KEPT).fetchall():
        yield Unread(key=key, attempt=attempt, body=ledger.bodies(attempt)[-1])


def adopt(
    ledger: Ledger,
    kept: Unread,
    *,
    finish: str,
    model: str | None,
    plan: str,
    samples: str,
    max_tokens: int,
) -> bool:
    """Makes it the answer to its request; False where that is none of ``plan``, or has one.

    Its tokens and cost stay unknown: what was set aside for it stays booked.

    Args:
        ledger: of the run.
        kept: the answer.
        finish: how it ended.
        model: as the server reported it.
        plan: the digest of the plan whose requests count.
        samples: the samples of a problem that count, as a JSON list.
        max_tokens: what it was allowed.
    """
    if ledger.db.execute(ANSWERED, (kept.key,)).fetchone():
        return False
    values = {"plan": plan, "samples": samples, "key": kept.key}
    whose = ledger.db.execute(WHOSE, values).fetchone()
    if whose is None:
        return False
    with ledger.hold.writing():
        ledger.db.execute(READ, (finish, model, kept.attempt))
        ledger.db.execute(DONE, (kept.key, plan, *whose, finish, max_tokens, kept.attempt))
    return True
