"""Says before a training starts what its examples lack, or refuses them if they teach nothing."""

import logging
import os
from collections.abc import Mapping

from distill.errors import UserError
from distill.recipes.students import StudentRecipe
from distill.training.prepared import Prepared
from distill.training.sets import Sets
from distill.training.store import Store

log = logging.getLogger("distill")
MANY = 0.01  # of the rows: a share that is left out and more than an accident


def refuse_useless(
    recipe: StudentRecipe,
    sets: Sets,
    found: Prepared,
    *,
    longest: int | None,
) -> None:
    """Raises if there is nothing to train on, or no thought in any of it; warns of less.

    ``longest``: tokens that an example may have.

    Raises:
        UserError: says what was found, and the way out.
    """
    examples, thoughtless = found.store, found.thoughtless
    if not examples.examples:
        msg = f"{sets}: no row can be trained on: {listed(examples.skipped)}"
        raise UserError(msg + _knob(recipe, examples, longest))
    if recipe.validation is not None and not found.held.examples:
        msg = f"{sets}: validation: no row that was held out can be used: "
        msg += f"{listed(examples.skipped)}; next: a larger validation"
        raise UserError(msg)
    if thoughtless == examples.examples and recipe.thoughts is None:
        msg = (
            f"{sets}: none of the {thoughtless:,} examples has a thought, so the student would "
            "learn to answer without one; next: name the column that holds it, distill filter "
            "… --set map.reasoning=COLUMN; or, if that is meant, thoughts: optional in the recipe"
        )
        raise UserError(msg)
    if examples.weighted and recipe.sft.get("label_smoothing_factor"):
        msg = f"{sets}: {examples.weighted:,} examples have a weight, which is not computed with "
        msg += "sft.label_smoothing_factor; next: take one of the two out"
        raise UserError(msg)
    if os.environ.get("RANK", "0") == "0":  # one of the processes that train together
        _warn(recipe, examples, thoughtless, longest)


def listed(skipped: Mapping[str, int]) -> str:
    """Reasons and how often."""
    return ", ".join(f"{reason} {count:,}" for reason, count in skipped.items()) or "none"


def _warn(recipe: StudentRecipe, examples: Store, thoughtless: int, longest: int | None) -> None:
    if thoughtless and recipe.thoughts is None:
        log.warning(
            "train: %s of %s examples (%.1f %%) have no thought, so the student learns to answer "
            "without one; to leave them out: distill filter with the rule "
            "no_thought: reasoning_chars > 0; if it is meant: thoughts: optional",
            f"{thoughtless:,}",
            f"{examples.examples:,}",
            100 * thoughtless / examples.examples,
        )
    long, skipped = examples.skipped["too_long"], examples.skipped
    rows = examples.examples + skipped.total() - skipped["not_drawn"]
    if long > MANY * rows:
        log.warning(
            "train: %s of %s rows (%.1f %%) are longer than %s tokens and left out%s",
            f"{long:,}",
            f"{rows:,}",
            100 * long / rows,
            f"{longest:,}",
            _knob(recipe, examples, longest),
        )


def _knob(recipe: StudentRecipe, examples: Store, longest: int | None) -> str:
    if not examples.skipped["too_long"] or longest is None:
        return ""
    if recipe.sft.get("max_length") == longest:
        return f"; next: a higher sft.max_length than {longest:,}, or shorter traces"
    return f"; the base has {longest:,} positions; next: a base with more, or shorter traces"
