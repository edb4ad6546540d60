"""Decides at the end of each step whether to write a checkpoint, and whether to stop."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.recipes.students import StudentRecipe

EVERY_S = 600.0
# At most a twentieth of the time goes into checkpoints, where the recipe does not say how often.
COST = 20
# A training shorter than this is repeated sooner than a checkpoint of its end is worth writing.
SHORT_S = 60.0


def every_s(recipe: StudentRecipe, cost_s: float) -> float | None:
    """Seconds from one checkpoint to the next, the last of which took ``cost_s``; None: never."""
    if recipe.sft.get("save_only_model") or recipe.checkpoint_minutes == 0:
        return None
    if recipe.checkpoint_minutes is not None:
        return 60 * recipe.checkpoint_minutes
    return None if recipe.sft.get("save_strategy") == "no" else max(EVERY_S, COST * cost_s)


def is_due(recipe: StudentRecipe, *, since_s: float, cost_s: float, stop: bool, over: bool) -> bool:
    """Whether to write a checkpoint now, ``since_s`` after the last one.

    At a stop, and at the end, it is worth it if it takes less than what would be repeated. At the
    end it is for the case that the student cannot be saved.
    """
    wanted_s = every_s(recipe, cost_s)
    if wanted_s is None:
        return False
    if stop or over:
        return since_s > (cost_s if stop else max(cost_s, SHORT_S))
    return since_s >= wanted_s


def at_step_ends(
    trainer: Any, recipe: StudentRecipe, *, last: Path | None, asked: Callable[[], bool]
) -> Any:
    """The callback that asks a resumable trainer for checkpoints; ``stopped`` if it ended early.

    ``last`` is the checkpoint to go on from; ``asked`` says whether somebody asked to stop.
    """
    from transformers import TrainerCallback

    class AtStepEnds(TrainerCallback):  # type: ignore[misc]
        stopped = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.restore_sums(last)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.by_recipe = control.should_save
            over = state.global_step >= state.max_steps
            stop = not over and trainer.any_process(asked())
            since_s, cost_s = time.monotonic() - trainer.saved_at, trainer.cost_s
            due = is_due(recipe, since_s=since_s, cost_s=cost_s, stop=stop, over=over)
            # one decides for all, because their clocks differ
            if trainer.any_process(due and state.is_world_process_zero):
                control.should_save = True
            if stop:
                self.stopped = control.should_training_stop = True

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.by_recipe = control.should_save

    return AtStepEnds()
