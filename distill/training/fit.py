"""Trains on the stored tokens with trl's SFTTrainer.

The trainer gets ``input_ids`` and ``labels`` (trl 1.16 sft_trainer.py:1248, 1412: such rows are
neither tokenised nor masked again) and no ``max_length`` unless it packs, so nothing can be cut.
"""

import logging
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import Interrupted, UserError, first_line
from distill.local_models.open import Model, opened
from distill.recipes.positions import Positions
from distill.recipes.students import StudentRecipe
from distill.recipes.validation import Validation
from distill.terminal.progress import progress
from distill.training.attention import Attention, choose, use
from distill.training.base import ChatFormat
from distill.training.canary import refuse_leaks
from distill.training.checkpoints import STATE, Checkpoints
from distill.training.cores import Between, on_free_cores
from distill.training.due import at_step_ends
from distill.training.exhausted import is_exhausted, memory_may_end
from distill.training.model import bf16, device, load_model
from distill.training.options import Options
from distill.training.packing import Bins, Packed, bins
from distill.training.plan import Plan
from distill.training.reports import report_into, require_reporters
from distill.training.resumable import resumable
from distill.training.steps import NAME, Steps
from distill.training.stop import asked_to_stop
from distill.training.store import Store
from distill.training.trainer import trainer_class
from distill.training.validation import evaluation

log = logging.getLogger("distill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The result of training."""

    trainer: Any
    checkpoints: Checkpoints
    steps: Steps


def arguments(options: Options, folder: Path, validation: Validation | None = None) -> Any:
    """The recipe's sft: as trl's SFTConfig, with ``folder`` for checkpoints.

    Raises:
        UserError: trl refuses a value, or a package of report_to is missing.
    """
    from trl import SFTConfig

    given = {key: value for key, value in options.sft.items() if key != "model_init_kwargs"}
    given |= evaluation(validation)
    given["bf16"] = bf16(options)
    given.setdefault("use_cpu", device(options) == "cpu")  # else bf16 is refused on a CPU
    given.setdefault("dataloader_pin_memory", device(options) == "cuda")
    # longer rows are already left out, and trl would cut, also where it packs
    given["max_length"], given["packing"] = None, False
    if given.get("use_liger_kernel"):
        _refuse_liger(options)
    try:
        config = SFTConfig(output_dir=str(folder), **given)
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from None
    require_reporters(config.report_to)
    return config


def planned_steps(arguments: Any, examples: int) -> int:
    """Optimizer steps that training will take; about as many if examples are packed."""
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
    adapter: Model | None = None,
    positions: Positions | None = None,
    held: Store | None = None,
) -> Any:
    """An SFTTrainer that is ready to train.

    ``adapter``, if any, is trained further; ``held`` is what it evaluates.

    Raises:
        UserError: the model cannot be loaded, or peft or trl refuse the options.
    """
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback

    base = opened(base, at="base")
    model = load_model(base, options, chat, quantize=quantize, adapter=adapter, positions=positions)
    lora = None if adapter else options.lora
    attention = _attention(model, options)
    packs = bool(options.sft.get("packing"))
    arguments.padding_free = packs or attention.apart or arguments.padding_free
    packed = as_bins(arguments, options, store) if packs else None
    try:
        trainer = resumable(trainer_class())(
            model=model,
            args=arguments,
            train_dataset=store.dataset(),
            eval_dataset=held.dataset() if held and held.examples else None,
            processing_class=chat.tokenizer,
            peft_config=None if lora is None else LoraConfig(**lora),
        )
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        if is_exhausted(error):
            raise
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
    lengths = np.asarray(store.lengths)
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


def fit(
    trainer: Any,
    *,
    out: Path,
    fingerprint: str,
    base: str | None = None,
    recipe: StudentRecipe,
    plan: Plan | None = None,
    ended: Callable[[Path], bool] = lambda _: False,
) -> Fitted:
    """Trains to the end, going on from the last checkpoint of this training that counts.

    ``out`` gets train.jsonl, and checkpoints/``fingerprint`` while it trains. ``base``: the digest
    of its files. ``ended``: whether a checkpoint is of the end of a training that stopped early.

    Raises:
        UserError: the loss is no longer a number, or there is not enough memory.
        Interrupted: Ctrl-C or SIGTERM.
    """
    kept = Checkpoints(
        folder=out / "checkpoints" / fingerprint,
        processes=trainer.args.world_size,
        limit=trainer.args.save_total_limit,
        base=base,
    )
    steps = Steps(path=out / NAME if trainer.is_world_process_zero() else None)
    trainer.begin(kept, steps)
    last = _start(trainer, kept)
    report_into(trainer, out, last)
    if last is not None and ended(last):
        _stand_at(trainer, last)
        return Fitted(trainer=trainer, checkpoints=kept, steps=steps)
    on_cpu = trainer.args.device.type == "cpu"
    cores = on_free_cores(recipe.threads) if on_cpu else nullcontext(lambda: None)
    with progress("train", None) as shown, cores as between_steps, asked_to_stop() as asked:
        ends = at_step_ends(trainer, recipe, last=last, asked=asked)
        trainer.add_callback(ends)
        trainer.add_callback(_callback(shown, between_steps))
        enough = memory_may_end(plan, gpu=not on_cpu, kept=kept.said)
        try:
            with enough, redirect_stdout(sys.stderr):  # trackio prints; only results go to stdout
                trainer.train(resume_from_checkpoint=last and str(last))
        except KeyboardInterrupt:
            ends.stopped = True
    if ends.stopped:
        step, all_steps = trainer.state.global_step, trainer.state.max_steps
        msg = f"interrupted after step {step} of {all_steps}; the same command {kept.again()}"
        raise Interrupted(msg)
    return Fitted(trainer=trainer, checkpoints=kept, steps=steps)


def _stand_at(trainer: Any, checkpoint: Path) -> None:
    """Makes the trainer what it was when it wrote the checkpoint."""
    from transformers.trainer_callback import TrainerState

    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = TrainerState.load_from_json(str(checkpoint / STATE))
    trainer.steps.restart(checkpoint)


def _start(trainer: Any, kept: Checkpoints) -> Path | None:
    """The checkpoint to go on from, the same one in every process; None: from the beginning."""
    from accelerate.utils import broadcast_object_list

    found = [kept.newest() if trainer.is_world_process_zero() else None]
    if trainer.args.world_size > 1:
        broadcast_object_list(found)
    if found[0] is not None:
        log.info("train: goes on from %s", found[0])
    if trainer.args.save_only_model and trainer.args.save_strategy != "no":
        log.warning(
            "train: sft.save_only_model: its checkpoints have no optimizer, so no training goes on "
            "from them; stopped, it starts from the beginning; next: leave it out"
        )
    return found[0]


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
            if "loss" in logs:
                shown.advance(0, note=f"loss {logs['loss']:.3f}")

    return Shown()


def _refused(error: Exception) -> UserError:
    return UserError(f"sft or lora: refused by the training libraries: {first_line(error)}")
