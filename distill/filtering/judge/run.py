"""Reads a judge's run: a run whose problems are traces and whose answers state verdicts.

It reads the ledger, not the run's traces: only the ledger knows which answer was judged.
"""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import orjson

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.filtering.judge.verdicts import Judged, Judgement, answer_key, collected, said
from distill.ledger import Ledger
from distill.ledger.explain import translate_sqlite_errors
from distill.recipes.places import FOLDER, Origin, missing, place
from distill.rows import Problem, Trace
from distill.teachers.continuing import joined

ALL = 2**31 - 1  # samples of a problem
FINAL = "SELECT id, sample, attempt FROM requests WHERE state = 'done' ORDER BY id, sample, attempt"
BODIES = "SELECT attempt, body FROM answers ORDER BY attempt"


def run_of(judge: str, origin: Origin) -> Path:
    """The folder of the judge's run, as a filters recipe names it.

    Raises:
        UserError: there is no ledger in it, or it is not the recipe's to read.
    """
    run = place(judge, "judge", origin, FOLDER)
    if run is None or not (run / "ledger.sqlite").is_file():
        what = (
            "no ledger.sqlite in it; give the folder of a run of distill generate whose problems "
            "are traces, as of the recipe r1-800k/judge"
        )
        if run is None:
            raise missing(judge, "judge", origin, what)
        msg = f"{origin.path}: judge: {judge}: {what}"
        raise UserError(msg)
    return run


def identity(run: Path) -> str:
    """16 hex digits over every byte of the run's judgements.

    Raises:
        UserError: its ledger cannot be read.
    """
    with translate_sqlite_errors(run / "ledger.sqlite"), closing(_ledger(run)) as ledger:
        whole = sha256()
        for line in ledger.db.execute(FINAL):
            whole.update(orjson.dumps(line))
        for attempt, body in ledger.db.execute(BODIES):
            whole.update(orjson.dumps([attempt, len(body)]))
            whole.update(body)
        plan, problems = ledger.meta("plan"), ledger.meta("problems")
    return fingerprint(plan=plan, problems=problems, answers=whole.hexdigest())


def judgements_of(run: Path) -> Judged:
    """What the judge said, from every final answer in the run's ledger.

    Raises:
        UserError: the ledger cannot be read, its problems are not traces, or none of its answers
            states a verdict.
    """
    with translate_sqlite_errors(run / "ledger.sqlite"), closing(_ledger(run)) as ledger:
        found = collected(_judgements(ledger, run))
    if not found.table.select("judge_correct", "judge_wrong").sum().sum_horizontal().item():
        msg = (
            f"{run}: none of its answers states a verdict; a judge ends with "
            r'{"correctness": "correct"}, \boxed{incorrect} or "Verdict: correct"'
        )
        raise UserError(msg)
    return found


def _ledger(run: Path) -> Ledger:
    return Ledger(run / "ledger.sqlite", read_only=True)


def _judgements(ledger: Ledger, run: Path) -> Iterator[Judgement]:
    plan = fingerprint(plan=ledger.meta("plan"))
    answers = ledger.answered(plan=plan, problems=ledger.count_problems(), samples=ALL)
    for _, answer in answers:
        trace = _trace(answer.problem, run)
        yield Judgement(
            id=trace.id,
            sample=trace.sample,
            answer=answer_key(trace.gold, trace.response),
            said=said(joined(answer.bodies).response),
        )


def _trace(problem: Problem, run: Path) -> Trace:
    if problem.fields is None:
        msg = f"{run}: its problems are no traces, so it judges nothing; see problems.traces"
        raise UserError(msg)
    return Trace.read(problem.fields)
