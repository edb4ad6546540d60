"""One run folder: its ledger is brought up to the recipe, asked to the end, exported to traces/.

Does not choose the teacher: the caller says who is asked and how to reach it. Generating and
evaluating are both this.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import orjson

from distill.errors import Interrupted, UserError
from distill.files.lock import folder_lock
from distill.files.write import write_atomic
from distill.generating.attempt import verdict
from distill.generating.budget import Budget
from distill.generating.dispatch import Bell, Outcome, ask_all
from distill.generating.export import export_traces, read_again, refuse_mixing
from distill.generating.plan import Plan
from distill.generating.queue import Wanted
from distill.generating.template import renderer, template_text
from distill.ledger import Ledger, sums
from distill.ledger.explain import translate_sqlite_errors
from distill.ledger.saved import refuse_saved
from distill.problems import LeftOut, ProblemSet
from distill.recipes.load import Loaded
from distill.recipes.prompts import PromptsRecipe
from distill.teachers.endpoint import Endpoint
from distill.terminal.progress import progress
from distill.verify.batch import needs_jail
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CODE
from distill.verify.workers.threads import ready

log = logging.getLogger("distill")
Reach = Callable[[], AbstractContextManager[Sequence[Endpoint]]]
LEFT_OUT = "left_out.jsonl"


def make_plan(loaded: Loaded[PromptsRecipe], who: str, *, isolation: Isolation = JAILED) -> Plan:
    """The plan of a recipe: its template, sampling and number of samples, and who is asked."""
    recipe = loaded.recipe
    text = template_text(recipe.template, loaded.origin)
    render = renderer(text, f"{loaded.path}: template {recipe.template}")
    return Plan(
        who=who,
        render=render,
        template=text,
        sampling=recipe.sampling,
        samples=recipe.at_most,
        until=recipe.until,
        truncated=recipe.truncated,
        isolation=isolation,
    )


def refuse_unjailed(recipe: PromptsRecipe, isolation: Isolation, *, graded: bool) -> None:
    """Refuses a recipe whose answers could not be checked here.

    Those that are programs, in any case; those that a library may be asked about, where they are
    ``graded``. Golds that name a scorer are found when they have been read.

    Raises:
        UserError: no jail holds here, and nobody said to do without.
    """
    if recipe.verify == CODE or (graded and needs_jail(recipe.verify, None)):
        ready(isolation)


def carry_out(
    loaded: Loaded[PromptsRecipe],
    plan: Plan,
    problems: ProblemSet,
    out: Path,
    *,
    reach: Reach,
    limit: int | None = None,
    budget_usd: float | None = None,
    force: bool = False,
    graded: bool = False,
) -> Outcome:
    """Asks what is missing and exports the traces, unless interrupted.

    Args:
        loaded: the recipe.
        plan: made from it by ``make_plan``.
        problems: of the recipe, by ``problem_set``.
        out: the run folder; created, and held for this process.
        reach: opens the way to the teachers; called only when something is to be asked.
        limit: at most that many problems, from the start of the set.
        budget_usd: the most that the whole run may cost, earlier passes counted in; the recipe's
            own where None.
        force: go on in a folder of another plan, and ask again what had failed for good.
        graded: answers are checked afterwards, too; without a jail to check them in, none is asked.

    Raises:
        UserError: before the first request: recipe, folder or key unusable.
    """
    cap = loaded.recipe.budget_usd if budget_usd is None else budget_usd
    _refuse_blind_budget(loaded, cap)
    refuse_mixing(out / "traces")
    _refuse_emptied(out)
    refuse_saved(out / "ledger.sqlite")
    with folder_lock(out), translate_sqlite_errors(out / "ledger.sqlite"):
        ledger = Ledger(out / "ledger.sqlite")
        try:
            _settle_plan(ledger, plan, out, force=force)
            _put(ledger, problems, plan, out)
            count = min(limit or ledger.count_problems(), ledger.count_problems())
            ledger.set_meta("wanted", _wanted(plan, count))
            if graded or plan.until is not None:
                _refuse_unscored(ledger, plan, count)
            outcome = _asked(ledger, plan, count, reach, cap, force)
            if not isinstance(outcome.stopped, Interrupted):
                export_traces(
                    ledger,
                    out / "traces",
                    plan=plan.digest,
                    problems=count,
                    samples=plan.samples,
                    render=plan.render,
                    becomes=loaded.recipe.becomes,
                )
                ledger.hold.settle()  # it may be lost while they are written, too
            return outcome
        finally:
            ledger.close()


def _wanted(plan: Plan, count: int) -> dict[str, int | None]:
    """What ``status`` measures the run against."""
    until = None if plan.until is None else plan.until.correct
    return {"problems": count, "samples": plan.samples, "correct": until}


def _refuse_blind_budget(loaded: Loaded[PromptsRecipe], budget_usd: float | None) -> None:
    if budget_usd is None:
        return
    for teacher in loaded.recipe.endpoints:
        if teacher.price is None:
            msg = (
                f"{loaded.path}: the price of {teacher.model} at {teacher.base_url} is not known, "
                "so a budget cannot be kept; next: give teacher.price, in USD per million tokens"
            )
            raise UserError(msg)


def _refuse_emptied(out: Path) -> None:
    """A ledger without a byte in a run that has traces was emptied: all would be bought again."""
    path = out / "ledger.sqlite"
    if (out / "traces" / "manifest.json").exists() and path.is_file() and not path.stat().st_size:
        msg = f"{path}: is empty, and {out / 'traces'} is not; next: restore it, or another -o"
        raise UserError(msg)


def _settle_plan(ledger: Ledger, plan: Plan, out: Path, *, force: bool) -> None:
    """Records the plan of a new folder; refuses to mix two plans unless forced."""
    if not force:
        _refuse_mixing(ledger, plan, out)
    ledger.set_meta("plan", plan.values())


def refuse_another_plan(out: Path, plan: Plan) -> None:
    """Raises where ``carry_out`` would unless forced, before anything is created.

    Raises:
        UserError: ``out`` holds answers to another plan, or its ledger cannot be read.
    """
    path = out / "ledger.sqlite"
    if path.exists():
        with translate_sqlite_errors(path), closing(Ledger(path, read_only=True)) as ledger:
            _refuse_mixing(ledger, plan, out)


def _refuse_mixing(ledger: Ledger, plan: Plan, out: Path) -> None:
    before: Any = ledger.meta("plan")
    now = plan.values()
    if before is not None and before != now and sums.totals(ledger).tries:
        changed = next(k for k in now if before.get(k) != now[k])
        shown = "" if changed == "template" else f" ({before.get(changed)} → {now[changed]})"
        msg = (
            f"{out}: holds answers to another plan: {changed} changed{shown}; choose another -o, "
            "or --force to ask everything again here (old answers stay in the ledger)"
        )
        raise UserError(msg)


def _put(ledger: Ledger, problems: ProblemSet, plan: Plan, out: Path) -> None:
    """Brings the set into the ledger, and what was left out of it into a list beside it.

    The list takes its place once the set is in the ledger: until then the one there is tells.
    """
    if ledger.meta("problems") == problems.digest:
        return

    def write(part: Path) -> None:
        with part.open("wb") as file:
            tables = problems.tables(note=lambda one: file.write(_line(one)))
            ledger.put_problems(tables, problems.digest, plan=plan.digest)

    path = out / LEFT_OUT
    write_atomic(path, write)
    if not path.stat().st_size:
        path.unlink()


def _line(one: LeftOut) -> bytes:
    try:
        return orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate
        return orjson.dumps({"id": one.id, "reason": one.reason}, option=orjson.OPT_APPEND_NEWLINE)


def _asked(
    ledger: Ledger, plan: Plan, count: int, reach: Reach, cap_usd: float | None, force: bool
) -> Outcome:
    """As ``_ask``; a ledger that was lost meanwhile is saved, and is what there is to say."""
    try:
        return _ask(ledger, plan, count, reach, cap_usd, force)
    finally:
        ledger.hold.settle()


def _ask(
    ledger: Ledger, plan: Plan, count: int, reach: Reach, cap_usd: float | None, force: bool
) -> Outcome:
    tokens = plan.sampling.max_tokens
    if found := read_again(ledger, plan=plan.digest, samples=plan.samples, max_tokens=tokens):
        log.info("%d answers that were paid for and could not be read can be read now", found)
    _check_known(ledger, plan, count)
    wants: dict[str, Any] = {
        "plan": plan.digest,
        "samples": plan.samples,
        "max_tokens": plan.most_tokens,
        "limit": count,
        "correct": None if plan.until is None else plan.until.correct,
        "continues": plan.continues,
        "again": force,
    }
    places = ledger.open_positions(**wants)
    if not places:
        log.info("nothing to ask: every request has ended")
        return _with_failed(Outcome(), ledger, plan, count)
    log.info("asking about %d of %d problems", len(places), count)
    budget = Budget(cap_usd=cap_usd, spent_usd=sums.spent_usd(ledger))
    bell = Bell()
    wanted = Wanted(ledger.problems(places, plan=plan.digest), plan, ledger.bodies, again=force)
    with reach() as endpoints, progress("generate", len(places)) as shown:
        asking = ask_all(wanted, plan, endpoints, ledger, budget, shown, bell)
        return _with_failed(_complete(asking, bell), ledger, plan, count)


def _refuse_unscored(ledger: Ledger, plan: Plan, count: int) -> None:
    """Refuses before an answer is bought that could not be checked."""
    found = (one.problem for one in ledger.problems(range(count), plan=plan.digest))
    if any(needs_jail(problem.verify, problem.gold) for problem in found):
        ready(plan.isolation)


def _check_known(ledger: Ledger, plan: Plan, count: int) -> None:
    """Checks the answers that came before answers were checked as they come."""
    if plan.until is None:
        return
    unchecked = ledger.answered(
        plan=plan.digest, problems=count, samples=plan.samples, unchecked=True
    )
    labels = [
        (verdict(a.problem, a.bodies, isolation=plan.isolation), number) for number, a in unchecked
    ]
    if labels:
        ledger.set_verdicts(labels)


def _with_failed(outcome: Outcome, ledger: Ledger, plan: Plan, count: int) -> Outcome:
    """Counts what had failed for good in earlier passes too: it is still without an answer."""
    states = sums.states(ledger, plan=plan.digest, problems=count, samples=plan.samples)
    outcome.failed = states.get("failed", 0) + states.get("quarantined", 0)
    return outcome


def _complete(asking: Coroutine[Any, Any, Outcome], bell: Bell) -> Outcome:
    """Runs to the end, also under a loop that runs already, as in a notebook."""
    if not _in_a_loop():
        return asyncio.run(asking)
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(asyncio.run, asking)
        while True:
            try:
                return outcome.result()
            except KeyboardInterrupt:
                bell.ring()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
