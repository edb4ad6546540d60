"""Plans a recipe's training on this machine; refuses at once what is far too big for it."""

import logging
import math
import os
from dataclasses import dataclass, replace
from typing import Any

from distill.errors import UserError
from distill.local_models.open import Model
from distill.recipes.students import StudentRecipe
from distill.training.cards import plan_on, smallest, work_of
from distill.training.exhausted import cheaper
from distill.training.machine import device_here, held_here, processes
from distill.training.options import Options
from distill.training.plan import MARGIN, NAMES, Lengths, Plan, duration, gib, sequences
from distill.training.shape import Shape
from distill.training.speed import Device

log = logging.getLogger("distill")
# A set of one short trace: what does not fit with it fits with no other
LEAST = Lengths(count=1, total=256, longest=256, squares=256.0**2)
SLOW_H = 48.0  # hours of training from which on it is a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a training took, beside what was predicted."""

    plan: Plan | None
    peak: float  # bytes
    tokens_per_s: float | None

    def values(self) -> dict[str, Any]:
        """For train.json."""
        predicted = None if self.plan is None else round(self.plan.peak.total / 2**30, 3)
        speed = None if self.plan is None else round(self.plan.tokens_per_s, 1)
        return {
            "peak_gib": {"predicted": predicted, "measured": round(self.peak / 2**30, 3)},
            "tokens_per_s": {"predicted": speed, "measured": self.tokens_per_s},
        }


def plan_here(
    recipe: StudentRecipe, options: Options, base: Model, lengths: Lengths = LEAST
) -> Plan | None:
    """The plan for this machine; None if the base is of a kind whose size cannot be told."""
    from distill.training.model import bf16, device

    if (shape := Shape.at(base.folder)) is None:
        return None
    gpu, half = device(options) == "cuda", bf16(options) or bool(options.sft.get("fp16"))
    work = work_of(recipe, gpu=gpu, half=half, lora=options.lora, sft=options.sft)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        offload = os.environ.get("FSDP_OFFLOAD_PARAMS", "").lower() == "true"
        work = replace(work, shards=processes(), offload=offload)
    on = device_here(gpu=gpu, half=half)
    _refuse_disagreeing(recipe, on.count)
    return plan_on(recipe, work, shape, on, lengths, sft=options.sft)


def _refuse_disagreeing(recipe: StudentRecipe, processes: int) -> None:
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    if recipe.traces_per_step is None or not all(recipe.sft.get(key) for key in keys):
        return
    written = sequences(recipe.sft, processes)
    if written != recipe.traces_per_step:
        msg = (
            f"traces_per_step: {recipe.traces_per_step}: sft.{keys[0]} x {keys[1]} x {processes} "
            f"processes are {written}; next: leave sft.{keys[1]} out"
        )
        raise UserError(msg)


def refuse_too_big(plan: Plan | None, base: str, needs: str = "") -> None:
    """Raises if the training cannot fit; warns if it may not.

    Args:
        plan: of the training.
        base: its recipe's.
        needs: which card would hold it, as ``enough`` says it.

    Raises:
        UserError: the prediction is above the device's memory by more than its own error.
    """
    if plan is None or plan.share <= 1 - MARGIN:
        return
    said = (
        f"base: {base}: training it takes about {gib(plan.peak.total)}, and "
        f"{_where(plan.device)} has {gib(plan.device.memory)}"
    )
    if plan.share > 1 + MARGIN:
        msg = "; ".join((said, *([needs] if needs else []), f"next: {cheaper(plan)}"))
        raise UserError(msg)
    log.warning("train: %s: it may run out of memory; if so: %s", said, cheaper(plan))


def enough(recipe: StudentRecipe, options: Options, plan: Plan, lengths: Lengths) -> str:
    """The smallest usual card that holds the training, if ``plan`` has none that does."""
    if plan.device.gpu and plan.share <= 1:
        return ""
    found = smallest(recipe, plan.shape, lengths, lora=options.lora, sft=options.sft)
    if found is None:
        return "no usual card or machine of eight holds it"
    found = found if plan.tokens else found.uncounted()
    count = f"{found.device.count} cards" if found.device.count > 1 else "one card"
    how = f" with {found.way}" if found.way else ""
    return (
        f"{count} of {found.device.name} would hold it{how}: {gib(found.peak.total)}, "
        f"about {found.pace}"
    )


def say(plan: Plan | None) -> None:
    """One line of the plan, and a warning if it takes days."""
    if plan is None:
        return
    log.info(
        "plan: %d x %d traces of up to %s tokens, checkpointing %s; peak about %s, %s",
        plan.work.rows,
        plan.work.accumulation,
        f"{plan.work.row:,}",
        plan.work.checkpointing,
        gib(plan.peak.total),
        plan.pace,
    )
    if plan.hours > SLOW_H:
        log.warning(
            "train: this takes about %s on %s (%.0f hours); next: a GPU, a smaller base:, or fewer "
            "traces",
            duration(plan.hours),
            _where(plan.device),
            plan.hours,
        )


def warn_of_other_steps(recipe: StudentRecipe, plan: Plan) -> None:
    """Warns if the processes cannot share a step's traces evenly."""
    if recipe.traces_per_step and plan.sequences != recipe.traces_per_step:
        log.warning(
            "train: traces_per_step: %d: %d processes of %d at a time train on %d; next: a number "
            "of processes that divides it",
            *(recipe.traces_per_step, plan.device.count),
            *(plan.work.rows, plan.sequences),
        )


def apply(plan: Plan | None, arguments: Any) -> None:
    """Writes what the recipe leaves open into trl's arguments."""
    for key, value in plan.chosen.items() if plan else ():
        for name in NAMES if key in NAMES else (key,):
            setattr(arguments, name, value)


def _where(device: Device) -> str:
    return device.name if device.gpu else f"{device.name} (no GPU was found)"


def measured(plan: Plan | None, trainer: Any) -> Measured:
    """What the training took."""
    told = [entry for entry in trainer.state.log_history if "train_runtime" in entry]
    seen = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry]
    speed = seen[-1] / told[-1]["train_runtime"] if told and seen else None
    return Measured(
        plan=plan,
        peak=held_here(gpu=trainer.args.device.type == "cuda"),
        tokens_per_s=None if speed is None or not math.isfinite(speed) else round(speed, 1),
    )
