"""``distill generate``: problems → answers of a teacher → RUN/ledger.sqlite → RUN/traces/.

Does not judge the answers; that is ``filter``.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from distill.asking import Outcome
from distill.errors import Exit
from distill.problems import read_problems
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.run import carry_out, forecast, make_plan
from distill.teachers.reach import reach, who_answers

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

    Returns:
        ``DONE``, or ``ROWS_FAILED`` when some requests have no answer.

    Raises:
        UserError, StoppedError, BudgetReached, Interrupted: see ``distill.errors``.
    """
    loaded = load(recipe, PromptsRecipe, overrides)
    folder = Path(out)
    plan = make_plan(loaded, who_answers(loaded))
    problems = read_problems(loaded)
    if dry_run:
        ahead = forecast(loaded, plan, problems[:limit], folder)
        cost = "unknown (no price)" if ahead.worst_usd is None else f"${ahead.worst_usd:,.2f}"
        log.info(
            "would ask %d requests: about %d prompt tokens; at worst %d tokens and %s",
            ahead.requests,
            ahead.prompt_tokens,
            ahead.worst_tokens,
            cost if loaded.recipe.teacher else "$0.00",
        )
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
