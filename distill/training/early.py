"""Says what a training takes before its libraries are imported and its data is read."""

import json
import logging
from typing import Any

from distill.local_models.open import Model
from distill.recipes.students import StudentRecipe
from distill.training.cards import plan_on
from distill.training.continued import Start, lora_of
from distill.training.fits import enough, plan_here, refuse_too_big
from distill.training.memory import host
from distill.training.options import Options
from distill.training.plan import Lengths, Plan, gib
from distill.training.speed import FACTOR

log = logging.getLogger("distill")
SHORTER = 4  # times that the trace of a token is shorter than the longest (R1: 8,100 of 32,768)
UNKNOWN_LONGEST = 32768  # tokens, of a base that does not say


def plan_early(recipe: StudentRecipe, start: Start, *, dry_run: bool) -> None:
    """Refuses what fits with no data; a dry run is told the plan instead, and goes on.

    The options are not checked yet: where they make no plan, checking them says why.

    Raises:
        UserError: even one short trace is far too much for this machine.
    """
    lora = recipe.lora if start.adapter is None else lora_of(start.adapter)
    options = Options(lora=lora, sft=recipe.sft)
    try:
        least = plan_here(recipe, options, start.base)
        if least is None:
            return
        longest = _longest(recipe, start.base)
        most = Lengths(count=1, total=longest, longest=longest, squares=longest**2 / SHORTER)
        long = plan_on(
            recipe, least.work, least.shape, least.device, most, sft=options.sft
        ).uncounted()
        needs = enough(recipe, options, long, most)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return
    if dry_run:
        _say(least.uncounted(), long, needs)
    else:
        refuse_too_big(least, recipe.base, needs)


def _say(least: Plan, long: Plan, needs: str) -> None:
    log.info("plan: %s", least.subject)
    log.info(
        "  peak: %s with traces of %s tokens, %s with the longest that it may have, %s",
        *(gib(least.peak.total), f"{least.work.row:,}", gib(long.peak.total)),
        f"{long.work.row:,}",
    )
    if long.work.offload:
        log.info("  memory of the host: %s", gib(host(long.shape, long.work)))
    log.info("  about %s (an estimate, within %s times)", long.pace, FACTOR[long.device.gpu])
    if needs:
        log.info("  %s", needs)


def _longest(recipe: StudentRecipe, base: Model) -> int:
    """Tokens of the longest trace that it may be trained on."""
    if said := recipe.sft.get("max_length"):
        return int(said)
    if recipe.positions and recipe.positions.max_position_embeddings:
        return recipe.positions.max_position_embeddings
    config: dict[str, Any] = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config") or config
    return int(config.get("max_position_embeddings") or UNKNOWN_LONGEST)
