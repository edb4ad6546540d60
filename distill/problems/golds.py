r"""Is a reference answer right by its own check? If not, no answer can ever be marked correct.

Asking such a problem buys answers that no filter keeps and that count as wrong in a benchmark.
"""

from collections.abc import Sequence

import polars as pl

from distill.problems.left_out import UNCHECKABLE, Tally
from distill.problems.placeholders import without_placeholders
from distill.verify import Item, Verdict, grade_all
from distill.verify.batch import SEVERAL
from distill.verify.instructions import usable
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CHECKS, CODE
from distill.verify.own import Checks, unchecked
from distill.verify.workers.reasoning_gym import entry

# A plain number passes these checks, as a test proves, so most sets need no checking.
NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
SURE = ("math", "exact")


def checkable(
    table: pl.DataFrame, tally: Tally, *, isolation: Isolation = JAILED, checks: Checks = ()
) -> pl.DataFrame:
    """The rows without ``verify``, and those whose gold is right by it; the others are left out.

    So are those whose gold stands for a missing one.

    Raises:
        UserError: a reference is a program to run or one to ask a library about, and there is no
            jail here.
    """
    table = without_placeholders(table, tally)
    sure = pl.col("verify").is_in(SURE) & pl.col("gold").str.contains(NUMBER)
    doubtful = table.select("gold", "verify", sure=sure | pl.col("verify").is_null())
    pairs = doubtful.remove(pl.col("sure")).select("gold", "verify").unique().rows()
    verdicts = zip(pairs, own_verdicts(pairs, isolation=isolation, checks=checks), strict=True)
    reasons = {pair: reason for pair, verdict in verdicts if (reason := _reason(verdict))}
    if not reasons:
        return table
    found = [reasons.get(pair) for pair in table.select("gold", "verify").iter_rows()]
    judged = table.with_columns(pl.Series("reason", found, dtype=pl.String))
    tally.leave(judged.filter(pl.col("reason").is_not_null()))
    return judged.filter(pl.col("reason").is_null()).drop("reason")


def own_verdicts(
    pairs: Sequence[tuple[str, str]], *, isolation: Isolation = JAILED, checks: Checks = ()
) -> list[Verdict]:
    r"""What a check says of its own reference as an answer; for each (reference, kind), in order.

    Mathematics is answered in a box, as the templates ask for; a reference that is a whole
    solution is an answer as it stands. Tests of a program are answered by the solution that comes
    with them; without one they only have to be tests. A kind that neither distill has a check for
    nor ``checks`` are of is ``unverifiable``.

    >>> [verdict.method for verdict in own_verdicts([("1/2", "math"), ("", "math")])]
    ['rational', 'no_gold']
    """
    found = [unchecked(kind) for _, kind in pairs]  # the data's own
    _fill_code(pairs, found, isolation)
    for number, (gold, kind) in enumerate(pairs):
        if kind == "instructions":  # they are no answer to themselves
            found[number] = usable(gold)
    kinds = {*CHECKS, *(check.kind for check in checks)} - {"instructions"}
    asked = []
    for number, (gold, kind) in enumerate(pairs):
        if _is_open(gold, kind):  # only its scorer knows an answer
            found[number] = Verdict("correct", None, "not_run")
        elif kind in kinds:
            asked.append(number)
    items = [_boxed(*pairs[number]) for number in asked]
    boxed = grade_all(items, isolation=isolation, checks=checks)
    for number, verdict in zip(asked, boxed, strict=True):
        found[number] = verdict
    again = [n for n in asked if pairs[n][1] == "math" and found[n].label != "correct"]
    itself = [Item(pairs[number][0], pairs[number][0], "math") for number in again]
    whole = grade_all(itself, isolation=isolation)
    for number, verdict in zip(again, whole, strict=True):
        if verdict.label == "correct":
            found[number] = verdict
    return found


def _fill_code(
    pairs: Sequence[tuple[str, str]], found: list[Verdict], isolation: Isolation
) -> None:
    places = [number for number, (_, kind) in enumerate(pairs) if kind == CODE]
    if not places:
        return
    from distill.verify.code import own_answer

    answers = {number: own_answer(pairs[number][0]) for number in places}
    for number, answer in answers.items():
        found[number] = answer if isinstance(answer, Verdict) else found[number]
    run = [(number, answer) for number, answer in answers.items() if isinstance(answer, str)]
    items = [Item(pairs[number][0], answer, CODE) for number, answer in run]
    verdicts = grade_all(items, workers=SEVERAL, isolation=isolation)
    for (number, _), verdict in zip(run, verdicts, strict=True):
        found[number] = verdict


def _is_open(gold: str, kind: str) -> bool:
    task = entry(gold) if kind == "reasoning_gym" else None
    return task is not None and task["answer"] is None


def _boxed(gold: str, kind: str) -> Item:
    if kind == "math":
        return Item(gold, rf"\boxed{{{gold}}}", kind)
    task = entry(gold) if kind == "reasoning_gym" else None
    return Item(gold, gold if task is None else str(task["answer"]), kind)


def _reason(verdict: Verdict) -> str | None:
    right = verdict.label == "correct"
    return None if right else f"{UNCHECKABLE}{verdict.label}/{verdict.method}"
