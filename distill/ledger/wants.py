"""Which answers a run wants, and the one rule for what needs no more asking.

The rule is SQL, because it is put to a million problems at once. Python asks it, too: see
``Asked.final``.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What a plan wants of every problem of the set."""

    plan: str  # digest; answers to other plans do not count
    samples: int  # answers of each problem; at most so many with ``correct``
    max_tokens: int  # the largest limit: an answer cut under a smaller one is asked for again
    correct: int | None = None  # no more are wanted once so many are right; None: not checked
    continues: bool = False  # an answer that was cut is continued, once
    again: bool = False  # what failed for good is asked for again

    def values(self) -> dict[str, Any]:
        """For the parameters of the statements below."""
        return asdict(self)


# Of one request: no more tries are wanted.
FINAL = """(NOT (:again AND state <> 'done') AND NOT (finish IS 'length'
AND (max_tokens < :max_tokens OR (:continues AND NOT repaired))))"""
# Of all requests of one problem: how many answers need no more asking. All of them, if enough are
# right, or if one was refused for good: then the problem itself is not asked any further.
CLOSED = f"""COALESCE(CASE WHEN :correct IS NOT NULL
AND (SUM(verdict IS 'correct') >= :correct OR (NOT :again AND SUM(state = 'failed')))
THEN :samples ELSE SUM({FINAL}) END, 0)"""
# Where the problems stand that still want answers.
OPEN = f"""SELECT position FROM problems p WHERE position < :limit AND (SELECT {CLOSED}
FROM requests WHERE id = p.id AND plan = :plan AND sample < :samples) < :samples
ORDER BY position"""
# How the requests of the problems at some places stand.
ASKED = f"""SELECT id, sample, state, finish, max_tokens, repaired, verdict, attempt, {FINAL}
FROM problems JOIN requests USING (id) WHERE position IN (SELECT value FROM json_each(:places))
AND plan = :plan AND sample < :samples ORDER BY position, sample"""
# The problems that have requests.
CLOSED_BY_ID = f"""SELECT id, {CLOSED} FROM requests
WHERE plan = :plan AND sample < :samples GROUP BY id"""
# Of one problem as it is now, whatever it was when the ledger last heard of it: a request counts
# if its key is the same, a verdict if the gold is.
CLOSED_OF = f"""SELECT {CLOSED} FROM (SELECT r.state, r.finish, r.max_tokens, r.repaired,
CASE WHEN p.gold IS :gold AND p.verify IS :verify THEN r.verdict END AS verdict
FROM requests r JOIN problems p ON p.id = r.id WHERE r.id = :id AND r.sample < :samples
AND r.key = request_key(:plan, :id, :question, r.sample, :fields))"""
