"""A trainer that goes on from its checkpoints exactly, and tells of every step.

What transformers' Trainer (5.24) leaves to chance: a checkpoint can be half written; the running
sum of the loss is lost at a resume; an adapter in bfloat16 comes back in float32; and the order of
rows grouped by length, or in several processes, is another one after a resume.
"""

import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import UserError
from distill.files.write import read_json, write_json
from distill.training.checkpoints import STATE, Checkpoints
from distill.training.steps import Steps
from distill.training.writing import failure_of, is_full, why

if TYPE_CHECKING:
    from trl import SFTTrainer as Trainer
else:
    Trainer = object  # trl is only imported where it is needed

log = logging.getLogger("distill")


class Resumable(Trainer):  # type: ignore[misc]
    """A trainer's first base, with an exact resume once ``begin`` has said where its files are."""

    kept: Checkpoints
    steps: Steps
    by_recipe = False  # whether it is the recipe that asks for the next checkpoint
    saved_at = 0.0  # time.monotonic
    cost_s = 0.0  # of the last checkpoint
    _begun = False
    _saving = False
    _loss: Any = None  # of the micro-batches of this step
    _tokens = 0
    _line: dict[str, Any] | None = None

    def begin(self, kept: Checkpoints, steps: Steps) -> None:
        """Says where its checkpoints and its steps are written; before ``train``."""
        self.kept, self.steps, self.saved_at = kept, steps, time.monotonic()
        self._begun = True

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A student gets its card when it is pushed."""

    def _get_train_sampler(self, *given: Any) -> Any:
        sampler = super()._get_train_sampler(*given)
        return None if sampler is None else _by_epoch(sampler, self)

    def training_step(self, *given: Any, **named: Any) -> Any:
        """The loss of a micro-batch, which is also added up for the step's own line."""
        loss = super().training_step(*given, **named)
        self._loss = loss.detach() if self._loss is None else self._loss + loss.detach()
        return loss

    def _maybe_log_save_evaluate(
        self, tr_loss: Any, grad_norm: Any, *given: Any, learning_rate: Any = None, **named: Any
    ) -> None:
        if self._begun and self._loss is not None:
            self._line = self._told(grad_norm, learning_rate)
        super()._maybe_log_save_evaluate(
            tr_loss, grad_norm, *given, learning_rate=learning_rate, **named
        )
        self._write_line()

    def _told(self, grad_norm: Any, learning_rate: Any) -> dict[str, Any]:
        loss = float(self.accelerator.gather(self._loss.reshape(1)).mean())
        norm = None if grad_norm is None else float(grad_norm)
        tokens, self._loss = int(self._total_train_tokens) - self._tokens, None
        self._tokens += tokens
        if not math.isfinite(loss) and not self.args.logging_nan_inf_filter:
            msg = f"sft: the loss is {loss} at step {self.state.global_step}"
            msg += "; next: a lower sft.learning_rate, or sft.bf16 instead of fp16"
            raise UserError(msg + self.kept.said())
        if norm is not None and not math.isfinite(norm):
            self.control.should_save = False  # such weights are not worth keeping
        return {
            "step": self.state.global_step,
            "epoch": round(self.state.epoch, 6),
            "loss": loss,
            "learning_rate": learning_rate,
            "grad_norm": norm,
            **self.steps.taken(tokens=tokens),
        }

    def _write_line(self) -> None:
        if not self._begun:
            return
        if self._line is not None:
            self.steps.add(self._line | _evaluated(self.state))
        self._line = None
        self.steps.pause()

    def _get_output_dir(self, trial: Any) -> str:
        if self._saving:
            return str(self.kept.part)
        return str(super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self._begun:
            super()._save_checkpoint(model, trial)
            return
        began = time.monotonic()
        self._write_line()
        while (failed := self._failure(model, trial)) and self._makes_room(failed):
            pass
        if failed and self.is_world_process_zero():
            log.warning(
                "train: no checkpoint could be written at step %s: %s; training goes on",
                self.state.global_step,
                why(failed),
            )
            self.kept.forget_part()
        self.saved_at = time.monotonic()
        self.cost_s = self.saved_at - began
        self.steps.pause()

    def _failure(self, model: Any, trial: Any) -> Exception | None:
        """Writes a checkpoint. An error, in every process, if one of them could not."""
        failed = failure_of(lambda: self._write(model, trial))
        if not self.any_process(failed is not None) and self.is_world_process_zero():
            failed = failure_of(self._seal)
        if not self.any_process(failed is not None):
            return None
        return failed or OSError("another process could not write it")

    def _write(self, model: Any, trial: Any) -> None:
        self._saving = True
        try:
            super()._save_checkpoint(model, trial)
            _save_sums(self, self._folder() / _sums_of(self))
            if self.is_world_process_zero():
                self.steps.copy_to(self._folder())
        finally:
            self._saving = False

    def _seal(self) -> None:
        step, best = self.state.global_step, self.state.best_model_checkpoint
        if best is not None and Path(best).parent == self.kept.part:
            self.state.best_model_checkpoint = str(self.kept.folder / Path(best).name)
            self.state.save_to_json(self._folder() / STATE)
        self.kept.seal(step, by_recipe=self.by_recipe, whole=not self.args.save_only_model)

    def _makes_room(self, failed: Exception) -> bool:
        full = self.any_process(is_full(failed))
        main = self.is_world_process_zero()
        return self.any_process(full and main and self.kept.give_way())

    def _folder(self) -> Path:
        return self.kept.part / f"checkpoint-{self.state.global_step}"

    def any_process(self, here: bool) -> bool:
        """Whether it is so in any of the processes that train together."""
        if self.args.world_size == 1:
            return here
        import torch

        told = torch.tensor([int(here)], device=self.args.device)
        return bool(self.accelerator.reduce(told, "sum").item())

    def _load_from_checkpoint(self, folder: str, model: Any = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(folder, model)
        else:
            _load_weights(self.model, Path(folder))

    def restore_sums(self, checkpoint: Path | None) -> None:
        """Continues what transformers begins anew; called when its training loop begins."""
        self.steps.restart(checkpoint)
        self._loss, self._tokens = None, 0
        if checkpoint is not None:
            _load_sums(self, checkpoint / _sums_of(self))


def resumable(trainer: type[Any]) -> type[Any]:
    """The trainer's class with an exact resume."""
    return type("ResumableTrainer", (Resumable, trainer), {})


def _by_epoch(sampler: Any, trainer: Any) -> Any:
    """The sampler's order, made of the seed and the epoch alone.

    accelerate 1.15 passes no epoch on to the sampler of an epoch that is resumed in the middle.
    """
    from torch import Generator
    from torch.utils.data import Sampler

    class ByEpoch(Sampler):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(sampler)

        def __iter__(self) -> Any:
            args, epoch = trainer.args, int(trainer.state.epoch)
            seed = args.seed if args.data_seed is None else args.data_seed
            if hasattr(sampler, "generator"):
                sampler.generator = Generator()
                sampler.generator.manual_seed(seed + epoch)
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
            return iter(sampler)

    return ByEpoch()


def _evaluated(state: Any) -> dict[str, float]:
    """The eval losses of the step that was just taken."""
    found: dict[str, float] = {}
    for entry in reversed(state.log_history):
        if entry.get("step") != state.global_step:
            break
        found |= {k: v for k, v in entry.items() if k.startswith("eval_") and k.endswith("loss")}
    return found


def _sums_of(trainer: Any) -> str:
    return f"sums_{trainer.args.process_index}.json"


def _save_sums(trainer: Any, path: Path) -> None:
    """What has been added up since the last line of the library's own log."""
    write_json(
        path,
        {
            "loss": float(trainer._tr_loss),
            "logged_loss": trainer._total_loss_scalar,
            "logged_step": trainer._globalstep_last_logged,
            "tokens": trainer._total_train_tokens,
            "metrics": dict(trainer._metrics["train"]),
        },
    )


def _load_sums(trainer: Any, path: Path) -> None:
    told = read_json(path)
    trainer._tr_loss += told["loss"]
    trainer._total_loss_scalar = told["logged_loss"]
    trainer._globalstep_last_logged = told["logged_step"]
    trainer._total_train_tokens = trainer._tokens = told["tokens"]
    trainer._metrics["train"].update(told["metrics"])
    trainer._initial_global_step = 0


def _load_weights(model: Any, folder: Path) -> None:
    """Copies the weights into the model as they are, without a change of their number format."""
    from safetensors.torch import load_file

    for file in sorted(folder.glob("*.safetensors")):
        weights = load_file(file)
        if hasattr(model, "peft_config"):
            from peft import set_peft_model_state_dict

            unknown = set_peft_model_state_dict(model, weights).unexpected_keys
        else:
            unknown = model.load_state_dict(weights, strict=False).unexpected_keys
        if unknown:
            msg = f"{file}: {unknown[0]} is no weight of this model; next: remove the checkpoint"
            raise UserError(msg)
