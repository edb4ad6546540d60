"""Checks before the first step what training would only miss later: packages, options, room."""

import shutil
from pathlib import Path
from typing import Any

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.open import Model
from distill.training.base import ChatFormat

GIB = 2**30
TOKENS = "trainable_token_indices"


def refuse_options(arguments: Any, student: Any) -> None:
    """Raises UserError unless optimizer and schedule can be made, which trainers do late."""
    import torch
    from transformers import Trainer, get_scheduler

    try:
        Trainer.get_optimizer_cls_and_kwargs(arguments, student)
    except (ImportError, ValueError, RuntimeError, TypeError) as error:
        if "bitsandbytes" in str(error):
            raise missing_extra(module="bitsandbytes", extra="quant") from None
        msg = f"sft.optim: {arguments.optim.value}: {first_line(error)}"
        raise UserError(msg) from None
    some = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    options = arguments.lr_scheduler_kwargs or {}
    try:
        get_scheduler(arguments.lr_scheduler_type, some, 1, 10, options)
    except (ValueError, TypeError, KeyError) as error:
        msg = (
            f"sft.lr_scheduler_kwargs: {options}: refused by {arguments.lr_scheduler_type.value}: "
        )
        raise UserError(msg + first_line(error)) from None


def refuse_tokens(chat: ChatFormat, student: Any, base: Model) -> None:
    """Raises UserError if the tokenizer knows tokens that the model does not."""
    rows = student.get_input_embeddings().weight.shape[0]
    names = {number: name for name, number in chat.tokenizer.get_vocab().items()}
    own = getattr(next(iter(getattr(student, "peft_config", {}).values()), None), TOKENS, None)
    lists = own.values() if isinstance(own, dict) else [own or ()]
    if far := [number for numbers in lists for number in numbers if number >= rows]:
        msg = f"lora.{TOKENS}: {far[0]}: the base has {rows:,} tokens, counted from 0"
        raise UserError(msg)
    if beyond := sorted(number for number in names if number >= rows):
        said = ", ".join(repr(names[number]) for number in beyond[:3])
        msg = f"base: {base.name}: its tokenizer has {len(beyond)} more tokens than the {rows:,} "
        msg += f"that the model has embeddings for: {said}; next: take them out of the tokenizer, "
        raise UserError(msg + "or resize the model's embeddings and save it")


def student_bytes(student: Any) -> int:
    """What the weights of a student take on disk: those that are trained."""
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    return sum(weight.numel() * weight.element_size() for weight in trained)


def refuse_disk(student: Any, out: Path) -> None:
    """Raises UserError if there is no room for the student where it will be."""
    needed = student_bytes(student)
    there = next(path for path in (out, *out.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        msg = f"{out}: the student needs {needed / GIB:.1f} GiB, but {free / GIB:.1f} GiB are free"
        raise UserError(msg + "; next: make room, or choose another -o")


def refuse_head(student: Any) -> None:
    """Raises UserError if an adapter changes the head, whose weight trl reads past the adapter."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import TrainableTokensWrapper

    if isinstance(student.get_output_embeddings(), (BaseTunerLayer, TrainableTokensWrapper)):
        msg = "lora: it changes the head (lm_head, or the tokens of embeddings that are also the "
        msg += "head), which trl does not train; next: take them out, or name both the embeddings "
        raise UserError(msg + "and the head in modules_to_save")
