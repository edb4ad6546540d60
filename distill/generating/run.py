"""One run: its ledger is brought up to the recipe, asked to the end, and exported to traces/.

Generating and evaluating both do this.
"""

import logging

from distill.errors import Exit, Interrupted, UserError
from distill.files.lock import folder_lock
from distill.generating.attempt import verdict
from distill.generating.budget import Budget
from distill.generating.collecting import collecting_seldom
from distill.generating.dispatch import Outcome, ask_all
from distill.generating.export import export_traces, read_again, refuse_mixing
from distill.generating.folder import (
    put_plan,
    put_problems,
    refuse_another_plan,
    refuse_emptied,
)
from distill.generating.forecast import Forecast, forecast
from distill.generating.interrupt import InterruptRelay, run_to_end
from distill.generating.lost import say_lost
from distill.generating.plan import RequestPlan
from distill.generating.prepare import Job
from distill.generating.queue import AskQueue
from distill.generating.reach import open_endpoints
from distill.generating.sending import ask_about_keys, say_planned
from distill.ledger import Ledger, sums
from distill.ledger.explain import translate_sqlite_errors
from distill.ledger.saved import refuse_saved
from distill.recipes.prompts import PromptsRecipe
from distill.teachers.continuing import joined
from distill.terminal.progress import progress
from distill.verify.batch import needs_jail
from distill.verify.own import digests
from distill.verify.workers.threads import ready

log = logging.getLogger("distill")


def generate(job: Job) -> Exit:
    """Asks everything that is missing and says what came of it.

    Raises:
        DistillError: as ``run_generation``, or what stopped the run.
    """
    _say_ignored(job.loaded.recipe)
    outcome = run_generation(job)
    if outcome.stopped is not None:
        raise outcome.stopped
    lost = outcome.failed + outcome.unanswered
    if lost:
        log.warning(
            "%d requests have no answer: %d refused for good, %d out of tries (the same command "
            "asks those again); distill status %s says why",
            lost,
            outcome.failed,
            outcome.unanswered,
            job.out,
        )
        say_lost(outcome.reasons)
    log.info("traces are in %s", job.out / "traces")
    return Exit.ROWS_FAILED if lost else Exit.DONE


def rehearse(job: Job) -> Exit:
    """Says what ``generate`` would ask and what that could cost; writes and asks nothing.

    Raises:
        UserError: as ``look_ahead``.
    """
    _say_ignored(job.loaded.recipe)
    ahead, at_most = look_ahead(job), " at most" if job.plan.until is not None else ""
    expected, worst = (
        "unknown (no price)" if usd is None else f"${usd:,.2f}"
        for usd in (ahead.expected_usd, ahead.worst_usd)
    )
    log.info(
        "would ask %d requests%s, by %s:\n"
        "  expected%s: %d prompt and %d completion tokens, %s, %.1f hours\n"
        "  at worst: %d tokens, %s",
        ahead.requests,
        at_most,
        ahead.grounds,
        at_most,
        ahead.prompt_tokens,
        ahead.completion_tokens,
        expected,
        ahead.hours,
        ahead.worst_tokens,
        worst,
    )
    return Exit.DONE


def look_ahead(job: Job) -> Forecast:
    """The forecast of a run, after its log lines about what would be sent where.

    Raises:
        UserError: the folder holds answers to another plan, or as ``forecast``.
    """
    say_planned(job.loaded)
    if not job.force:
        refuse_another_plan(job.out, job.plan)
    return forecast(job)


def run_generation(job: Job) -> Outcome:
    """Asks what is missing and exports the traces, unless interrupted.

    The folder is created, and locked for this process.

    Raises:
        UserError: before the first request: recipe, folder or key unusable.
    """
    ask_about_keys(job.loaded, yes=job.yes)
    _refuse_blind_budget(job)
    path = job.out / "ledger.sqlite"
    refuse_mixing(job.out / "traces")
    refuse_emptied(job.out)
    refuse_saved(path)
    with folder_lock(job.out), translate_sqlite_errors(path), collecting_seldom():
        ledger = Ledger(path)
        try:
            put_plan(ledger, job.plan, job.out, force=job.force)
            put_problems(ledger, job.problems, job.plan, job.out)
            count = min(job.limit or ledger.count_problems(), ledger.count_problems())
            ledger.set_meta("wanted", _wanted(job.plan, count))
            if job.graded:
                _refuse_unscored(ledger, job.plan, count)
            outcome = _asked(ledger, job, count)
            if not isinstance(outcome.stopped, Interrupted):
                _export(ledger, job, count)
            return outcome
        finally:
            ledger.close()


def _wanted(plan: RequestPlan, count: int) -> dict[str, int | None]:
    """What ``status`` measures the run against."""
    until = None if plan.until is None else plan.until.correct
    return {"problems": count, "samples": plan.samples, "correct": until}


def _refuse_blind_budget(job: Job) -> None:
    if job.budget_usd is None:
        return
    for teacher in job.loaded.recipe.endpoints:
        if teacher.price is None:
            msg = (
                f"{job.loaded.path}: the price of {teacher.model} at {teacher.base_url} is not "
                "known, so a budget cannot be kept; next: give teacher.price, in USD per million "
                "tokens"
            )
            raise UserError(msg)


def _refuse_unscored(ledger: Ledger, plan: RequestPlan, count: int) -> None:
    """Refuses before an answer is bought that could not be checked."""
    found = (one.problem for one in ledger.problems(range(count), plan.wants()))
    if any(needs_jail(problem.verify, problem.gold) for problem in found):
        ready(plan.isolation)


def _asked(ledger: Ledger, job: Job, count: int) -> Outcome:
    """As ``_ask``; if the ledger was lost meanwhile, it is saved, and that is raised instead."""
    try:
        return _ask(ledger, job, count)
    finally:
        ledger.hold.settle()


def _ask(ledger: Ledger, job: Job, count: int) -> Outcome:
    plan = job.plan
    tokens = plan.sampling.max_tokens
    if found := read_again(ledger, plan=plan.digest, samples=plan.samples, max_tokens=tokens):
        log.info("%d answers that were paid for and could not be read can be read now", found)
    _check_known(ledger, plan, count)
    wants = plan.wants(again=job.force)
    places = ledger.open_positions(wants, limit=count)
    if not places:
        log.info("nothing to ask: every request has ended")
        return _with_failed(Outcome(), ledger, plan, count)
    log.info("asking about %d of %d problems", len(places), count)
    budget = Budget(cap_usd=job.budget_usd, spent_usd=sums.spent_usd(ledger))
    queue, relay = AskQueue(ledger.problems(places, wants), plan, ledger.bodies), InterruptRelay()
    with (
        open_endpoints(job.loaded, log_file=job.out / "server.log") as endpoints,
        progress("generate", len(places)) as shown,
    ):
        asking = ask_all(queue, plan, endpoints, ledger, budget, shown, relay)
        return _with_failed(run_to_end(asking, relay), ledger, plan, count)


def _check_known(ledger: Ledger, plan: RequestPlan, count: int) -> None:
    """Checks answers from before the recipe had ``until``: they have no verdict yet.

    Where a check of the user's own is not what it was, all are checked again.
    """
    if plan.until is None:
        return
    wanted = digests(plan.checks)
    changed = (ledger.meta("checks") or {}) != wanted
    found = ledger.answered(
        plan=plan.digest, problems=count, samples=plan.samples, unchecked=not changed
    )
    labels = [(verdict(a.problem, joined(a.bodies), plan), number) for number, a in found]
    if labels:
        ledger.set_verdicts(labels)
    if changed:
        ledger.set_meta("checks", wanted)


def _with_failed(outcome: Outcome, ledger: Ledger, plan: RequestPlan, count: int) -> Outcome:
    """Counts what had failed for good in earlier passes too: it is still without an answer."""
    states = sums.states(ledger, plan=plan.digest, problems=count, samples=plan.samples)
    outcome.failed = states.get("failed", 0) + states.get("quarantined", 0)
    outcome.reasons.update(
        sums.lost(ledger, plan=plan.digest, problems=count, samples=plan.samples)
    )
    return outcome


def _export(ledger: Ledger, job: Job, count: int) -> None:
    export_traces(
        ledger,
        job.out / "traces",
        plan=job.plan.digest,
        problems=count,
        samples=job.plan.samples,
        render=job.plan.render,
        becomes=job.loaded.recipe.becomes,
    )
    ledger.hold.settle()  # the file may be lost while they are written, too


def _say_ignored(recipe: PromptsRecipe) -> None:
    """A card must not claim a temperature that had no effect."""
    said = recipe.sampling.model_dump(exclude_none=True, exclude_unset=True)
    given = {**recipe.sampling.extra_body, **said}
    for teacher in recipe.endpoints:
        if names := [name for name in teacher.ignores if name in given]:
            log.info("%s takes %s and does not follow it", teacher.model, ", ".join(names))
