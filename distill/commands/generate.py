"""``distill generate``: problems → answers of a teacher → RUN/ledger.sqlite → RUN/traces/.

Does not judge the answers; that is ``filter``.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from distill.errors import Exit
from distill.generating.dispatch import Outcome
from distill.generating.forecast import Forecast, forecast
from distill.generating.reach import reach, who_answers
from distill.generating.run import carry_out, make_plan, refuse_another_plan, refuse_unjailed
from distill.generating.sending import foresay, settle
from distill.problems import problem_set
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.verify.isolation import Isolation

log = logging.getLogger("distill")


def generate(
    recipe: str,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    budget_usd: float | None = None,
    dry_run: bool = False,
    force: bool = False,
    yes: bool = False,
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
) -> Exit:
    """Asks a teacher every question of a prompts recipe that ``out`` has no answer to yet.

    Args:
        recipe: name or path of a prompts recipe.
        out: the run folder; a killed run is continued by the same call.
        overrides: ``key.path=value`` for values of the recipe.
        limit: at most that many problems.
        budget_usd: the most that the run may cost, earlier passes counted in.
        dry_run: say what would be asked and what it could cost; write and ask nothing.
        force: ask anew although the folder holds answers to another recipe.
        yes: let the recipe send the keys that it names where it says, except over plain http.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: a fresh jail for every program.

    Returns:
        ``DONE``, or ``ROWS_FAILED`` when some requests have no answer.

    Raises:
        UserError, StoppedError, BudgetReached, Interrupted: see ``distill.errors``.
    """
    loaded = load(recipe, PromptsRecipe, overrides)
    _say_ignored(loaded.recipe)
    isolation = Isolation(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    refuse_unjailed(loaded.recipe, isolation, graded=loaded.recipe.until is not None)
    folder = Path(out)
    plan = make_plan(loaded, who_answers(loaded), isolation=isolation)
    if not dry_run:
        settle(loaded, yes=yes)
    problems = problem_set(loaded, isolation=isolation)
    if dry_run:
        foresay(loaded)
        if not force:
            refuse_another_plan(folder, plan)
        ahead = forecast(loaded, plan, problems, folder, limit=limit, force=force)
        _say_ahead(ahead, until=plan.until is not None)
        return Exit.DONE
    outcome = carry_out(
        loaded,
        plan,
        problems,
        folder,
        reach=lambda: reach(loaded, log_file=folder / "server.log"),
        limit=limit,
        budget_usd=budget_usd,
        force=force,
    )
    return _say(outcome, folder)


def _say_ignored(recipe: PromptsRecipe) -> None:
    """A card must not claim a temperature that had no effect."""
    said = recipe.sampling.model_dump(exclude_none=True, exclude_unset=True)
    given = {**recipe.sampling.extra_body, **said}
    for teacher in recipe.endpoints:
        if names := [name for name in teacher.ignores if name in given]:
            log.info("%s takes %s and does not follow it", teacher.model, ", ".join(names))


def _say_ahead(ahead: Forecast, *, until: bool) -> None:
    expected, worst = (
        "unknown (no price)" if usd is None else f"${usd:,.2f}"
        for usd in (ahead.expected_usd, ahead.worst_usd)
    )
    log.info(
        "would ask %d requests%s, by %s:\n"
        "  expected%s: %d prompt and %d completion tokens, %s, %.1f hours\n"
        "  at worst: %d tokens, %s",
        ahead.requests,
        " at most" if until else "",
        ahead.grounds,
        " at most" if until else "",
        ahead.prompt_tokens,
        ahead.completion_tokens,
        expected,
        ahead.hours,
        ahead.worst_tokens,
        worst,
    )


def _say(outcome: Outcome, folder: Path) -> Exit:
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
            folder,
        )
    log.info("traces are in %s", folder / "traces")
    return Exit.ROWS_FAILED if lost else Exit.DONE
