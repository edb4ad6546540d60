"""Trains on the stored tokens with trl's SFTTrainer.

The trainer gets ``input_ids`` and ``labels`` (trl 1.16 sft_trainer.py:1248, 1412: such rows are
neither tokenised nor masked again) and no ``max_length`` unless it packs, so nothing can be cut.
"""

import logging
import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from distill.errors import UserError, first_line
from distill.local_models.open import Model, opened
from distill.terminal.progress import progress
from distill.training.attention import Attention, choose, use
from distill.training.base import ChatFormat
from distill.training.canary import refuse_leaks
from distill.training.cores import Between, on_free_cores
from distill.training.model import bf16, device, load_model
from distill.training.options import Options
from distill.training.packing import Bins, Packed, bins
from distill.training.store import Store
from distill.training.trainer import trainer_class

log = logging.getLogger("distill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The result of training."""

    trainer: Any
    steps: int
    loss_first: float  # nan if the recipe logs no step
    loss_last: float


def arguments(options: Options, folder: Path) -> Any:
    """The recipe's sft: as trl's SFTConfig, with ``folder`` for checkpoints.

    Raises:
        UserError: trl refuses a value.
    """
    from trl import SFTConfig

    given = {key: value for key, value in options.sft.items() if key != "model_init_kwargs"}
    given["bf16"] = bf16(options)
    given.setdefault("use_cpu", device(options) == "cpu")  # else bf16 is refused on a CPU
    given.setdefault("dataloader_pin_memory", device(options) == "cuda")
    # longer rows are already left out, and trl would cut, also where it packs
    given["max_length"], given["packing"] = None, False
    if given.get("use_liger_kernel"):
        _refuse_liger(options)
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
) -> Any:
    """An SFTTrainer that is ready to train.

    Raises:
        UserError: the model cannot be loaded, or peft or trl refuse the options.
    """
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback

    model = load_model(opened(base, at="base"), options, chat, quantize=quantize)
    attention = _attention(model, options)
    packs = bool(options.sft.get("packing"))
    arguments.padding_free = packs or attention.apart or arguments.padding_free
    packed = as_bins(arguments, options, store) if packs else None
    try:
        trainer = trainer_class()(
            model=model,
            args=arguments,
            train_dataset=store.dataset(),
            processing_class=chat.tokenizer,
            peft_config=None if options.lora is None else LoraConfig(**options.lora),
        )
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from None
    trainer.remove_callback(PrinterCallback)  # prints to standard output, which is for results
    if packed is not None:
        trainer.train_dataset = Packed(store.dataset(), packed)
    refuse_leaks(trainer, store, said=attention.said)
    return trainer


def as_bins(arguments: Any, options: Options, store: Store) -> Bins:
    """The examples in bins, and ``arguments`` changed to one bin at a time.

    A step keeps the traces that the recipe's batch and accumulation mean.
    """
    lengths = store.lengths()
    traces = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    packed = bins(
        lengths,
        capacity=options.sft.get("max_length") or int(lengths.max()),
        traces_per_step=traces * arguments.world_size,
        processes=arguments.world_size,
        seed=arguments.seed,
    )
    if packed.tokens != store.tokens:  # never seen; train.json says what the trainer was given
        msg = f"packing: {packed.tokens} tokens in the rows, {store.tokens} in the examples"
        raise AssertionError(msg)
    arguments.per_device_train_batch_size = 1
    arguments.gradient_accumulation_steps = packed.per_step
    log.info("packing: %s (the recipe: %d)", packed, traces * arguments.world_size)
    return packed


def _attention(model: Any, options: Options) -> Attention:
    """Chooses and sets the model's attention, and says which."""
    import torch

    asked = (options.sft.get("model_init_kwargs") or {}).get("attn_implementation")
    half = torch.bfloat16 if bf16(options) else torch.float16 if options.sft.get("fp16") else None
    attention = choose(model, asked=asked, device=device(options), dtype=half or model.dtype)
    use(model, attention)
    log.info("attention: %s", attention.said)
    return attention


def _refuse_liger(options: Options) -> None:
    where = device(options)
    if where != "cuda":  # its kernels fail there, and every later training of the process with them
        msg = f"sft.use_liger_kernel: for a GPU of NVIDIA or AMD, not {where}; next: leave it out"
        raise UserError(msg)
    if find_spec("liger_kernel") is None:
        msg = "sft.use_liger_kernel: liger-kernel is not installed; next: pip install liger-kernel"
        raise UserError(msg)


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
