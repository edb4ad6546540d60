"""Measures the loss on what is held out while a student is trained, and what follows from it.

All that is decided follows from the trainer's log, which every checkpoint holds, so a resumed
training decides the same. The best weights lie beside the checkpoints until the student is saved.
"""

import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.write import read_json
from distill.recipes.validation import Validation
from distill.training.checkpoints import STATE, damage, guard
from distill.training.store import Store
from distill.training.tokens import MASKED
from distill.training.writing import failure_of, why

log = logging.getLogger("distill")
BEST = "best-"  # and the step
TIMES = 10  # evaluations of a training if the recipe does not say how often
Measured = Sequence[tuple[int, float]]  # step and loss of each evaluation, in order


def evaluation(validation: Validation | None) -> dict[str, Any]:
    """Options of trl.SFTConfig: one unpacked example at a time, which no training step undercuts.

    The last step is evaluated too, whatever ``every_steps`` is.
    """
    if validation is None:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": validation.every_steps or 1 / TIMES,  # below 1: a share of all steps
        "per_device_eval_batch_size": 1,
        "eval_packing": False,
        "prediction_loss_only": True,
    }


@dataclass(slots=True, kw_only=True)
class Validating:
    """The validation of one training; nothing happens if none is ``asked`` for."""

    trainer: Any
    asked: Validation | None
    held: Store
    folder: Path  # of the checkpoints
    saved_step: int | None = None

    def begin(self) -> None:
        """Makes the trainer measure and decide.

        Raises:
            UserError: the best weights cannot be kept, because they are sharded.
        """
        if self.asked is None:
            return
        sharded = self.trainer.is_fsdp_enabled or self.trainer.is_deepspeed_enabled
        if sharded and self.asked.keep_best:
            msg = (
                "validation.keep_best: not with sharded weights (FSDP, DeepSpeed); set it to false"
            )
            raise UserError(msg)
        _weigh_by_tokens(self.trainer, self.held.trained_tokens / self.held.examples)
        self.trainer.add_callback(_callback(self))

    def ended_at(self, checkpoint: Path) -> bool:
        """Whether the training had stopped early when it wrote the checkpoint."""
        told = read_json(checkpoint / STATE)
        return self._is_over(_measured(told["log_history"]))

    def restore_best(self) -> None:
        """Puts the best weights into the model, if the last ones are not the best."""
        step, self.saved_step = _best(self._measured()), self.trainer.state.global_step
        if not self._keeps or step in (None, self.saved_step):
            return
        path = self.folder / f"{BEST}{step}"
        if said := damage(path) if path.is_dir() else "gone":
            log.warning("train: the weights of step %s: %s; the last ones are saved", step, said)
            return
        self.trainer._load_from_checkpoint(str(path))
        self.saved_step = step

    def values(self) -> dict[str, Any]:
        """For train.json."""
        if self.asked is None:
            return {}
        found = self._measured()
        step = _best(found)
        losses = [loss for _, loss in found]
        told = {
            "examples": self.held.examples,
            "tokens": self.held.tokens,
            "trained_tokens": self.held.trained_tokens,
            "loss": {
                "first": losses[0] if losses else None,
                "best": dict(found).get(step) if step is not None else None,
                "last": losses[-1] if losses else None,
            },
            "best_step": step,
            "saved_step": self.saved_step,
            "stopped": "patience" if self._is_over(found) else "end",
        }
        return {"validation": told}

    def remove(self) -> None:
        """Removes the best weights: the student has them."""
        for path in self.folder.glob(f"{BEST}*"):
            shutil.rmtree(path, ignore_errors=True)

    @property
    def _keeps(self) -> bool:
        return self.asked is not None and self.asked.keep_best

    def _measured(self) -> Measured:
        return _measured(self.trainer.state.log_history)

    def decide(self, control: Any) -> None:
        """After an evaluation: keeps the weights if they are the best, or ends the training."""
        found = self._measured()
        (step, loss), best = found[-1], _best(found)
        if step == best and self._keeps:
            self._keep(step)
        beside = ", the lowest so far" if step == best else f"; the lowest was at step {best}"
        log.info("train: step %s: eval loss %.4f%s", step, loss, beside)
        if self._is_over(found):
            control.should_training_stop = True
            log.info("train: stops: the eval loss has not been lower since step %s", best)

    def _is_over(self, found: Measured) -> bool:
        patience = None if self.asked is None else self.asked.patience
        best = _best(found) or 0
        return patience is not None and sum(step > best for step, _ in found) >= patience

    def _keep(self, step: int) -> None:
        part, final = self.folder / f".{BEST}part", self.folder / f"{BEST}{step}"

        def write() -> None:
            self.trainer.save_model(str(part))  # by every process
            if self.trainer.is_world_process_zero():
                guard(part)
                shutil.rmtree(final, ignore_errors=True)
                part.rename(final)

        failed, main = failure_of(write), self.trainer.is_world_process_zero()
        if failed is not None and main:
            log.warning(
                "train: the weights of step %s, the best so far, could not be kept: %s; "
                "training goes on",
                step,
                why(failed),
            )
            shutil.rmtree(part, ignore_errors=True)
        elif main:
            for path in self.folder.glob(f"{BEST}*"):
                if path.name not in {final.name, *self._needed()}:
                    shutil.rmtree(path, ignore_errors=True)

    def _needed(self) -> set[str]:
        """The best weights as of each checkpoint, from which the training may yet go on."""
        states = map(read_json, self.folder.glob(f"checkpoint-*/{STATE}"))
        told = [state.get("log_history", []) for state in states if isinstance(state, dict)]
        return {f"{BEST}{_best(_measured(entries))}" for entries in told}


def _measured(entries: Sequence[dict[str, Any]]) -> Measured:
    return [(one["step"], float(one["eval_loss"])) for one in entries if "eval_loss" in one]


def _best(found: Measured) -> int | None:
    """The step with the lowest loss, of several the first; None if no loss is a number."""
    able = [(loss, step) for step, loss in found if math.isfinite(loss)]
    return min(able)[1] if able else None


def _weigh_by_tokens(trainer: Any, mean: float) -> None:
    """Makes the mean over examples, which transformers takes, a mean over their trained tokens.

    ``mean``: trained tokens of an example. Batches hold one example (``evaluation``).
    """
    plain = trainer.prediction_step

    def weighted(model: Any, inputs: Any, *given: Any, **named: Any) -> tuple[Any, Any, Any]:
        inputs.pop("weights", None)  # of tokens: they are about what is learned
        tokens = (inputs["labels"] != MASKED).sum()
        loss, logits, labels = plain(model, inputs, *given, **named)
        return loss * tokens.to(loss.device) / mean, logits, labels

    trainer.prediction_step = weighted


def _callback(validating: Validating) -> Any:
    from transformers import TrainerCallback

    class Decides(TrainerCallback):  # type: ignore[misc]
        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            validating.decide(control)

    return Decides()
