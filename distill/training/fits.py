"""Plans a recipe's training on this machine; refuses at once what is far too big for it."""

import logging
import math
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.local_models.open import Model
from distill.recipes.students import StudentRecipe
from distill.training.memory import Work, adapter_targets
from distill.training.options import Options
from distill.training.plan import MARGIN, NAMES, Lengths, Plan, choose, duration, gib, sequences
from distill.training.shape import Shape
from distill.training.speed import Device, cpu_flops, tflops

log = logging.getLogger("distill")
# A set of one short trace: what does not fit with it fits with no other
LEAST = Lengths(count=1, total=256, longest=256, squares=256.0**2)
CPU = "this CPU"
SLOW_H = 48.0  # hours of training from which on it is a warning
MASKED = ("eager", "sdpa")  # attention that takes a mask of all pairs when the recipe asks for it


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
    shape = Shape.at(base.folder)
    if shape is None:
        return None
    work = _work(recipe, options)
    device = _device(work)
    _refuse_disagreeing(recipe, device.count)
    return choose(
        shape,
        work,
        device,
        lengths,
        sft=options.sft,
        traces_per_step=recipe.traces_per_step,
        packing=bool(options.sft.get("packing")),
        max_length=options.sft.get("max_length"),
        epochs=_epochs(options.sft, lengths, device.count),
    )


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


def refuse_too_big(plan: Plan | None, base: str) -> None:
    """Raises if the training cannot fit; warns if it may not.

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
        msg = f"{said}; next: {cheaper(plan)}"
        raise UserError(msg)
    log.warning("train: %s: it may run out of memory; if so: %s", said, cheaper(plan))


def say(plan: Plan | None) -> None:
    """One line of the plan, and a warning if it takes days."""
    if plan is None:
        return
    log.info(
        "plan: %d x %d traces of up to %s tokens, checkpointing %s; peak about %s, %s, %s",
        plan.work.rows,
        plan.work.accumulation,
        f"{plan.work.row:,}",
        plan.work.checkpointing,
        gib(plan.peak.total),
        f"{plan.tokens_per_s:,.0f} tokens/s",
        duration(plan.hours),
    )
    if plan.hours > SLOW_H:
        log.warning(
            "train: this takes about %s on %s (%.0f hours); next: a GPU, a smaller base:, or fewer "
            "traces",
            duration(plan.hours),
            _where(plan.device),
            plan.hours,
        )


def apply(plan: Plan | None, arguments: Any) -> None:
    """Writes what the recipe leaves open into trl's arguments."""
    for key, value in plan.chosen.items() if plan else ():
        for name in NAMES if key in NAMES else (key,):
            setattr(arguments, name, value)


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
        return (
            f"sft.per_device_train_batch_size: {rows} and gradient_accumulation_steps: {steps}, "
            "which is as many traces a step"
        )
    if not work.rank:
        return "lora: {r: 64, lora_alpha: 32}, or several devices that share the weights (FSDP2)"
    if not work.quantized:
        return "quantize: nf4, or a smaller base:"
    if plan.work.row > 1024:
        return (
            f"sft.max_length: {plan.work.row // 2} (longer traces are left out), or another base:"
        )
    return "a smaller base:, or several devices that share the weights (FSDP2)"


def held_here(*, gpu: bool) -> float:
    """The most memory that this process has held, bytes: of its GPU, or resident."""
    if gpu:
        import torch

        return float(torch.cuda.max_memory_allocated())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most) if sys.platform == "darwin" else most * 1024.0


def free_memory(
    root: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
    memory: Path = Path("/proc/meminfo"),
) -> float:
    """Bytes that this process may still take: what is free, and what its control group allows."""
    found = [_kib(memory, "MemAvailable:"), *_limits(root, own)]
    least = min((one for one in found if one is not None), default=None)
    if least is None:  # not Linux
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return max(least, 0.0)


def _work(recipe: StudentRecipe, options: Options) -> Work:
    import torch

    from distill.training.model import bf16, device, weight_dtype

    lora = options.lora
    init = options.sft.get("model_init_kwargs") or {}
    wanted = str(init.get("dtype") or init.get("torch_dtype"))
    half = weight_dtype(options) is torch.bfloat16 or wanted in ("bfloat16", "float16")
    rank = int(lora.get("r", 8)) if lora is not None else 0
    return Work(
        rank=rank,
        targets=adapter_targets(lora.get("target_modules")) if lora is not None else None,
        quantized=recipe.quantize is not None,
        half_weights=half or recipe.quantize is not None,
        half=bf16(options) or bool(options.sft.get("fp16")),
        half_adapter=recipe.quantize is not None,
        attention="mask" if init.get("attn_implementation") in MASKED else "documents",
        fused=bool(options.sft.get("use_liger_kernel")),
        gpu=device(options) == "cuda",
        shards=_processes() if os.environ.get("ACCELERATE_USE_FSDP") == "true" else 1,
    )


def _device(work: Work) -> Device:
    count = _processes()
    if not work.gpu:  # processes share the memory and the cores
        memory, flops = free_memory() + _resident(), cpu_flops(half=work.half)
        return Device(gpu=False, memory=memory / count, flops=flops / count, count=count, name=CPU)
    import torch

    card = torch.cuda.get_device_properties(int(os.environ.get("LOCAL_RANK", 0)))
    flops = tflops(card.name) * 1e12
    return Device(gpu=True, memory=card.total_memory, flops=flops, count=count, name=card.name)


def _where(device: Device) -> str:
    return device.name if device.gpu else f"{device.name} (no GPU was found)"


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))  # set by torch's launcher


def _epochs(sft: Mapping[str, Any], lengths: Lengths, processes: int) -> float:
    steps = int(sft.get("max_steps") or -1)
    if steps < 1:
        return float(sft.get("num_train_epochs") or 3)
    return steps * sequences(sft, processes) / max(lengths.count, 1)


def _resident() -> float:
    pages = _words(Path("/proc/self/statm"))
    return float(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else 0.0


def _limits(root: Path, own: Path) -> Iterator[float]:
    """What each control group above this process leaves free; version 2, then version 1."""
    for line in own.read_text(encoding="ascii").splitlines() if own.is_file() else ():
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "memory" if kinds else root
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        most, taken = names if kinds else ("memory.max", "memory.current")
        group = top / path.lstrip("/")
        for folder in (group, *(one for one in group.parents if one.is_relative_to(top))):
            limit, used = _words(folder / most), _words(folder / taken)
            if limit and used and limit[0].isdecimal():
                yield float(limit[0]) - float(used[0])


def _kib(path: Path, name: str) -> float | None:
    words = _words(path)
    return float(words[words.index(name) + 1]) * 1024 if name in words else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []


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
