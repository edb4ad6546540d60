"""Trains on the stored tokens with trl's SFTTrainer.

The trainer gets ``input_ids`` and ``labels`` (trl 1.16 sft_trainer.py:1248, 1412: such rows are
neither tokenised nor masked again) and no ``max_length`` unless it packs, so nothing can be cut.
"""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from distill.errors import UserError, first_line
from distill.local_models.open import Model, opened
from distill.recipes.positions import Positions
from distill.recipes.validation import Validation
from distill.terminal.progress import progress
from distill.training.base import ChatFormat
from distill.training.cores import Between, on_free_cores
from distill.training.model import bf16, device, load_model
from distill.training.options import Options
from distill.training.store import Store
from distill.training.validation import evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The result of training."""

    trainer: Any
    steps: int
    loss_first: float  # nan if the recipe logs no step
    loss_last: float


def arguments(options: Options, folder: Path, validation: Validation | None = None) -> Any:
    """The recipe's sft: as trl's SFTConfig, with ``folder`` for checkpoints.

    Raises:
        UserError: trl refuses a value.
    """
    from trl import SFTConfig

    given = {key: value for key, value in options.sft.items() if key != "model_init_kwargs"}
    given |= evaluation(validation)
    given["bf16"] = bf16(options)
    given.setdefault("use_cpu", device(options) == "cpu")  # else bf16 is refused on a CPU
    given.setdefault("dataloader_pin_memory", device(options) == "cuda")
    if not given.get("packing"):
        given["max_length"] = None  # longer rows are already left out; trl must not cut
    try:
        return SFTConfig(output_dir=str(folder), **given)
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from None


def planned_steps(arguments: Any, examples: int) -> int:
    """Optimizer steps that training will take; an upper bound if examples are packed."""
    most: int = arguments.max_steps
    if most > 0:
        return most
    batches = math.ceil(examples / (arguments.train_batch_size * arguments.world_size))
    an_epoch: int = max(math.ceil(batches / arguments.gradient_accumulation_steps), 1)
    epochs = float(arguments.num_train_epochs)
    return math.ceil(epochs * an_epoch)


def build_trainer(
    base: str | Model,
    options: Options,
    chat: ChatFormat,
    store: Store,
    *,
    arguments: Any,
    quantize: str | None = None,
    positions: Positions | None = None,
    held: Store | None = None,
) -> Any:
    """An SFTTrainer that is ready to train; ``held`` is what it evaluates.

    Raises:
        UserError: the model cannot be loaded, or peft or trl refuse the options.
    """
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTTrainer

    base = opened(base, at="base")
    model = load_model(base, options, chat, quantize=quantize, positions=positions)
    try:
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=store.dataset(),
            eval_dataset=held.dataset() if held and held.examples else None,
            processing_class=chat.tokenizer,
            peft_config=None if options.lora is None else LoraConfig(**options.lora),
        )
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from None
    trainer.remove_callback(PrinterCallback)  # prints to standard output, which is for results
    return trainer


def fit(trainer: Any, *, checkpoints: Path, threads: int | None = None) -> Fitted:
    """Trains to the end, starting from the last of the ``checkpoints``, if there are any.

    ``threads``: on a CPU; None: one for each core that is free.

    Raises:
        UserError: the loss is no longer a number, there is not enough memory, or a checkpoint is
            not one of a training.
    """
    import torch
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    on_cpu = trainer.args.device.type == "cpu"
    cores = on_free_cores(threads) if on_cpu else nullcontext(lambda: None)
    with progress("train", None) as shown, cores as between_steps:
        trainer.add_callback(_callback(shown, between_steps))
        try:
            trainer.train(resume_from_checkpoint=last)
        except torch.OutOfMemoryError:
            msg = (
                "out of GPU memory; next: halve sft.per_device_train_batch_size and double "
                "sft.gradient_accumulation_steps, or lower sft.max_length"
            )
            raise UserError(msg) from None
        except UnpicklingError:  # transformers reads optimizer.pt with weights_only
            msg = f"{last}: holds something other than numbers, and was not read; next: remove it"
            raise UserError(msg) from None
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return Fitted(
        trainer=trainer,
        steps=trainer.state.global_step,
        loss_first=losses[0] if losses else math.nan,
        loss_last=losses[-1] if losses else math.nan,
    )


def _callback(shown: Any, between_steps: Between) -> Any:
    from transformers import TrainerCallback

    class Shown(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            shown.total, shown.done = state.max_steps, state.global_step

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            shown.advance()
            between_steps()

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any
        ) -> None:
            if "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                msg = f"sft: the loss is {logs['loss']} at step {state.global_step}"
                msg += "; next: a lower sft.learning_rate, or sft.bf16 instead of fp16"
                raise UserError(msg)
            tokens = int(logs.get("num_tokens", 0)) - shown.tokens
            shown.advance(0, tokens=tokens, note=f"loss {logs['loss']:.3f}")

    return Shown()


def _refused(error: Exception) -> UserError:
    return UserError(f"sft or lora: refused by the training libraries: {first_line(error)}")
