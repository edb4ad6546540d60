"""``distill generate``: problems → answers of a teacher → RUN/ledger.sqlite → RUN/traces/.

Does not judge the answers; that is ``filter``.
"""

from collections.abc import Sequence
from pathlib import Path

from distill.errors import Exit
from distill.generating import run
from distill.generating.prepare import prepare
from distill.recipes.load import load
from distill.recipes.prompts import PromptsRecipe
from distill.verify.isolation import Isolation


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
    allow_code: bool = False,
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
        allow_code: run the Python file that the recipe's ``verify`` names, as this user and without
            a jail.

    Returns:
        ``DONE``, or ``ROWS_FAILED`` when some requests have no answer.

    Raises:
        UserError, StoppedError, BudgetReached, Interrupted: see ``distill.errors``.
    """
    job = prepare(
        load(recipe, PromptsRecipe, overrides),
        Path(out),
        isolation=Isolation(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid),
        allow_code=allow_code,
        limit=limit,
        budget_usd=budget_usd,
        force=force,
        yes=yes,
    )
    return run.rehearse(job) if dry_run else run.generate(job)
