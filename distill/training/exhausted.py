"""Tells running out of memory from other errors, and says what was predicted and what to change."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distill.errors import UserError
from distill.training.machine import held_here
from distill.training.plan import Plan, gib

# What the libraries say in a RuntimeError: torch's allocators, mmap, C++, CUDA and its libraries
SAID = (
    *("can't allocate memory", "cannot allocate memory", "bad_alloc", "bad allocation"),
    *("out of memory", "alloc_failed", "not enough memory", "could not create a memory object"),
)


@contextmanager
def memory_may_end(
    plan: Plan | None, *, gpu: bool, kept: Callable[[], str] = lambda: ""
) -> Iterator[None]:
    """Makes one message of any error that says that there is no more memory.

    Args:
        plan: of the training; None: it has none.
        gpu: whether it is the GPU's.
        kept: the end of the message, about what is left of the training.

    Raises:
        UserError: there is no more.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_exhausted(error):
            raise
        msg = f"{out_of_memory(plan, held_here(gpu=gpu))}{kept()}"
        raise UserError(msg) from None


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that there is no more memory, in any library's words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in SAID)


def out_of_memory(plan: Plan | None, held: float) -> str:
    """The error of a training that ran out of memory; ``held`` is what it had, bytes."""
    if plan is None:
        return (
            f"out of memory at {gib(held)}; next: halve sft.per_device_train_batch_size and double "
            "sft.gradient_accumulation_steps, or lower sft.max_length"
        )
    return (
        f"out of memory at {gib(held)} of {gib(plan.device.memory)}; predicted "
        f"{gib(plan.peak.total)}; next: {cheaper(plan)}"
    )


def cheaper(plan: Plan) -> str:
    """The next choice that takes less memory, as a recipe writes it."""
    work = plan.work
    if work.checkpointing == "none":
        return "sft.gradient_checkpointing: true"
    if work.rows > 1:
        rows, steps = work.rows // 2, work.accumulation * work.rows // (work.rows // 2)
        said = f"sft.per_device_train_batch_size: {rows}"
        if "gradient_accumulation_steps" not in plan.chosen:  # else it follows
            said += f" and gradient_accumulation_steps: {steps}"
        return f"{said}, which is as many traces a step"
    if work.shards > 1 and not work.rank and not work.offload:
        return "accelerate launch --fsdp_offload_params true, or more devices"
    if not work.rank:
        return "lora: {r: 64, lora_alpha: 32}, or several devices that share the weights (FSDP2)"
    if not work.quantized:
        return "quantize: nf4, or a smaller base:"
    if plan.work.row > 1024:
        return (
            f"sft.max_length: {plan.work.row // 2} (longer traces are left out), or another base:"
        )
    return "a smaller base:, or several devices that share the weights (FSDP2)"
