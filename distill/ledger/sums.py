"""Counts and costs over a whole ledger."""

from dataclasses import dataclass

from distill.ledger.store import Ledger
from distill.ledger.wants import CLOSED_BY_ID, CLOSED_OF, Wants
from distill.rows import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All tries of a run together."""

    tries: int
    prompt_tokens: int
    completion_tokens: int
    span_s: float  # from the start of the first try to the end of the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What asking until enough were right has brought."""

    problems: int  # that were asked
    solved: int  # with enough right answers
    rescued: int  # of those, the ones that needed more tries than enough right answers would take
    correct: int  # right answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one endpoint did."""

    endpoint: str
    tries: int
    answers: int
    completion_tokens: int
    spent_usd: float  # upper bound


def totals(ledger: Ledger) -> Totals:
    """Over every try of the run."""
    row = ledger.db.execute(
        "SELECT COUNT(*), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0),"
        " COALESCE(MAX(started + took_s) - MIN(started), 0) FROM attempts"
    ).fetchone()
    return Totals(tries=row[0], prompt_tokens=row[1], completion_tokens=row[2], span_s=row[3])


def states(ledger: Ledger, *, plan: str, problems: int, samples: int) -> dict[str, int]:
    """How many requests of the first ``problems`` of the set ended in which state."""
    found = ledger.db.execute(
        "SELECT r.state, COUNT(*) FROM requests r JOIN problems p ON p.id = r.id "
        "WHERE r.plan = ? AND p.position < ? AND r.sample < ? GROUP BY r.state",
        (plan, problems, samples),
    )
    return dict(found.fetchall())


def cut(ledger: Ledger, *, plan: str, problems: int, samples: int) -> tuple[int, int]:
    """(answers that end cut, answers that were cut and are whole by a second try), as states."""
    row = ledger.db.execute(
        "SELECT COALESCE(SUM(r.finish IS 'length'), 0), "
        "COALESCE(SUM(r.repaired AND r.finish IS NOT 'length'), 0) "
        "FROM requests r JOIN problems p ON p.id = r.id "
        "WHERE r.plan = ? AND r.state = 'done' AND p.position < ? AND r.sample < ?",
        (plan, problems, samples),
    ).fetchone()
    return int(row[0]), int(row[1])


def found(ledger: Ledger, *, plan: str, problems: int, samples: int, correct: int) -> Found:
    """How far asking until ``correct`` answers are right has come."""
    row = ledger.db.execute(
        "SELECT COUNT(*), SUM(n >= :k), SUM(n >= :k AND early < :k), SUM(n) FROM ("
        "SELECT SUM(r.verdict IS 'correct') AS n, "
        "SUM(r.verdict IS 'correct' AND r.sample < :k) AS early "
        "FROM requests r JOIN problems p ON p.id = r.id "
        "WHERE r.plan = :plan AND p.position < :problems AND r.sample < :samples GROUP BY r.id)",
        {"k": correct, "plan": plan, "problems": problems, "samples": samples},
    ).fetchone()
    asked, solved, rescued, right = (int(value or 0) for value in row)
    return Found(problems=asked, solved=solved, rescued=rescued, correct=right)


def shares(ledger: Ledger) -> list[Share]:
    """What each endpoint did, in alphabetical order."""
    rows = ledger.db.execute(
        "SELECT COALESCE(endpoint, 'unknown'), COUNT(*), SUM(status = 200 AND error IS NULL), "
        "COALESCE(SUM(completion_tokens), 0), COALESCE(SUM(COALESCE(cost_usd, worst_usd)), 0) "
        "FROM attempts GROUP BY 1 ORDER BY 1"
    )
    return [
        Share(endpoint=e, tries=t, answers=a, completion_tokens=c, spent_usd=s)
        for e, t, a, c, s in rows
    ]


def spent_usd(ledger: Ledger) -> float:
    """Upper bound of what the run cost: known costs, and the worst case where unknown."""
    row = ledger.db.execute("SELECT SUM(COALESCE(cost_usd, worst_usd)) FROM attempts").fetchone()
    return float(row[0] or 0.0)


def reasons(ledger: Ledger) -> dict[str, int]:
    """Why tries ended without an answer: error text → how often, the commonest first."""
    rows = ledger.db.execute(
        "SELECT error, COUNT(*) AS n FROM attempts WHERE error IS NOT NULL "
        "GROUP BY error ORDER BY n DESC, error LIMIT 20"
    )
    return dict(rows.fetchall())


def lost(ledger: Ledger, *, plan: str, problems: int, samples: int) -> dict[str, int]:
    """Why requests have no answer for good: error text → how many, as states."""
    rows = ledger.db.execute(
        "SELECT t.error, COUNT(*) FROM requests r JOIN problems p ON p.id = r.id "
        "JOIN attempts t ON t.attempt = r.attempt WHERE r.plan = ? AND t.error IS NOT NULL "
        "AND r.state IN ('failed', 'quarantined') AND p.position < ? AND r.sample < ? GROUP BY 1",
        (plan, problems, samples),
    )
    return dict(rows.fetchall())


def closed(ledger: Ledger, wants: Wants) -> dict[str, int]:
    """How many answers of each problem need no more asking; not of those that were never asked."""
    return dict(ledger.db.execute(CLOSED_BY_ID, wants.values()).fetchall())


def closed_of(ledger: Ledger, wants: Wants, problem: Problem) -> int:
    """The same of one problem, which may have changed since it was put into the ledger."""
    names = ("id", "question", "fields", "gold", "verify")
    values = {**wants.values(), **{name: getattr(problem, name) for name in names}}
    return int(ledger.db.execute(CLOSED_OF, values).fetchone()[0])


def mean_answer(ledger: Ledger, *, plan: str) -> tuple[int, float, float]:
    """(answers, tokens, seconds) of the mean answer under a plan, as far as tokens are known."""
    row = ledger.db.execute(
        "SELECT COUNT(*), COALESCE(AVG(t.completion_tokens), 0), COALESCE(AVG(t.took_s), 0) "
        "FROM requests r JOIN attempts t ON t.attempt = r.attempt "
        "WHERE r.plan = ? AND r.state = 'done' AND t.completion_tokens IS NOT NULL",
        (plan,),
    ).fetchone()
    return int(row[0]), float(row[1]), float(row[2])
