"""Gets a run ready: who is asked and how, which problems, into which folder. Sends nothing."""

from dataclasses import dataclass
from pathlib import Path

from distill.generating.plan import RequestPlan
from distill.generating.reach import who_answers
from distill.generating.template import renderer, template_text
from distill.problems import ProblemSet, problem_set
from distill.recipes.load import Loaded
from distill.recipes.prompts import PromptsRecipe
from distill.verify.batch import needs_jail
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CODE
from distill.verify.own import Checks, own_checks
from distill.verify.workers.threads import ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that is known before the first request."""

    loaded: Loaded[PromptsRecipe]
    plan: RequestPlan
    problems: ProblemSet  # not read yet
    out: Path  # the run folder
    limit: int | None  # at most that many problems, from the start of the set
    budget_usd: float | None  # the most that the run may cost, earlier passes counted in
    force: bool  # go on in a folder of another plan, and ask again what had failed for good
    yes: bool  # the user lets the recipe send its keys where it says
    graded: bool  # answers are checked, now or afterwards


def prepare(
    loaded: Loaded[PromptsRecipe],
    out: Path,
    *,
    isolation: Isolation = JAILED,
    allow_code: bool = False,
    limit: int | None = None,
    budget_usd: float | None = None,
    force: bool = False,
    yes: bool = False,
    graded: bool = False,
) -> Job:
    """A run that can begin, or be forecast.

    Args:
        loaded: the recipe.
        out: the run folder; need not be there.
        isolation: of programs and scorers.
        allow_code: the user lets the recipe's own check run.
        limit: see ``Job``, like the others.
        budget_usd: None: the recipe's own.
        force: see ``Job``.
        yes: see ``Job``.
        graded: answers are checked afterwards, although the recipe does not ask until some are
            right.

    Raises:
        UserError: recipe, template, model or problems cannot be used, or answers could not be
            checked here; or the check is Python, and ``allow_code`` is false.
    """
    named = {"verify": loaded.recipe.verify} if loaded.recipe.verify else {}
    checks = own_checks(named, loaded.origin, allowed=allow_code)
    graded = graded or loaded.recipe.until is not None
    _refuse_unjailed(loaded.recipe, isolation, graded=graded)
    plan = make_plan(loaded, who_answers(loaded), isolation=isolation, checks=checks)
    return Job(
        loaded=loaded,
        plan=plan,
        problems=problem_set(loaded, isolation=isolation, checks=checks),
        out=out,
        limit=limit,
        budget_usd=loaded.recipe.budget_usd if budget_usd is None else budget_usd,
        force=force,
        yes=yes,
        graded=graded,
    )


def make_plan(
    loaded: Loaded[PromptsRecipe],
    who: str,
    *,
    isolation: Isolation = JAILED,
    checks: Checks = (),
) -> RequestPlan:
    """The plan of a recipe: its template, sampling and number of samples, and who is asked."""
    recipe = loaded.recipe
    text = template_text(recipe.template, loaded.origin)
    render = renderer(text, f"{loaded.path}: template {recipe.template}")
    return RequestPlan(
        who=who,
        render=render,
        template=text,
        sampling=recipe.sampling,
        samples=recipe.at_most,
        until=recipe.until,
        truncated=recipe.truncated,
        isolation=isolation,
        checks=checks,
    )


def _refuse_unjailed(recipe: PromptsRecipe, isolation: Isolation, *, graded: bool) -> None:
    """Refuses a recipe whose answers could not be checked here.

    Answers that are programs, in any case; those that a library is asked about, if they are
    ``graded``. Golds that name a scorer are found when they have been read.

    Raises:
        UserError: no jail works here, and ``--unsafe-no-sandbox`` was not given.
    """
    if recipe.verify == CODE or (graded and needs_jail(recipe.verify, None)):
        ready(isolation)
