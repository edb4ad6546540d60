"""``distill eval``: a benchmark's questions → a model's answers → OUT/scores.json."""

from collections.abc import Sequence
from pathlib import Path

from distill.errors import Exit
from distill.evaluating.run import evaluate, load_benchmark, rehearse
from distill.generating.prepare import prepare
from distill.verify.isolation import Isolation


def eval(
    recipe: str,
    *,
    model: str,
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
    """Scores a model on a benchmark: a prompts recipe with ``verify``.

    Args:
        recipe: name or path, e.g. ``eval/gsm8k``.
        model: a student's folder, a GGUF file, a Hub id or a shipped name, served here by the
            recipe's engine; or ``http://host/v1#name`` for an endpoint that is running (its key,
            if it wants one, by ``teacher.key_env=NAME`` in ``overrides``).
        out: folder of scores.json, the ledger and the traces.
        overrides: ``key.path=value`` for values of the recipe.
        limit: at most that many questions.
        budget_usd: the most that it may cost.
        dry_run: say what would be asked; write and ask nothing.
        force: replace scores of another model or recipe.
        yes: as in ``generate``.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail; scores say so.
        paranoid: a fresh jail for every program.
        allow_code: run the Python file that the recipe's ``verify`` names, as this user and without
            a jail.

    Returns:
        ``DONE``, or ``ROWS_FAILED`` when some questions have no answer (they count as wrong; those
        that were not refused for good are asked again by the same command).

    Raises:
        UserError, StoppedError, BudgetReached, Interrupted: see ``distill.errors``.
    """
    job = prepare(
        load_benchmark(recipe, model=model, overrides=overrides),
        Path(out),
        isolation=Isolation(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid),
        allow_code=allow_code,
        limit=limit,
        budget_usd=budget_usd,
        force=force,
        yes=yes,
        graded=True,
    )
    return rehearse(job) if dry_run else evaluate(job, model=model)
