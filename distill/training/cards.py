"""Predicts a training on cards that are not here: one of 24, 48 or 80 GB, or eight of these."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from distill.recipes.students import StudentRecipe
from distill.training.memory import GIB, Work, adapter_targets
from distill.training.plan import ROOM, Lengths, Plan, choose
from distill.training.shape import Shape
from distill.training.speed import Device

# count, GiB, dense bfloat16 FLOP/s: RTX 4090, L40S, H100 (speed.CARDS)
CARDS: Mapping[str, tuple[int, int, float]] = {
    "1x24": (1, 24, 165e12),
    "1x48": (1, 48, 362e12),
    "1x80": (1, 80, 989e12),
    "8x80": (8, 80, 989e12),
}
MASKED = ("eager", "sdpa")  # attention that takes a mask of all pairs when the recipe asks for it


def card(name: str) -> Device:
    """Devices by a name such as 1x24 or 16x80; the last are more of the largest known."""
    count, size = map(int, name.split("x"))
    flops = next(flops for _, gib, flops in CARDS.values() if gib == size)
    return Device(gpu=True, memory=size * GIB, flops=flops, count=count, name=f"{size} GB")


def work_of(
    recipe: StudentRecipe,
    *,
    gpu: bool,
    half: bool,
    lora: Mapping[str, Any] | None,
    sft: Mapping[str, Any],
) -> Work:
    """How a recipe is trained, before its rows are chosen.

    Args:
        recipe: whose ``lora:`` and ``sft:`` may be incomplete.
        gpu: on a GPU.
        half: computes in bfloat16 or float16.
        lora: all options of the adapter; None: all weights are trained.
        sft: all options of the trainer.
    """
    init = sft.get("model_init_kwargs") or {}
    wanted = str(init.get("dtype") or init.get("torch_dtype"))
    lower = half and lora is not None and not sft.get("fp16")  # as model.weight_dtype
    return Work(
        rank=int(lora.get("r", 8)) if lora is not None else 0,
        targets=adapter_targets(lora.get("target_modules")) if lora is not None else None,
        quantized=recipe.quantize is not None,
        half_weights=lower or recipe.quantize is not None or wanted in ("bfloat16", "float16"),
        half=half,
        half_adapter=recipe.quantize is not None,
        attention="mask" if init.get("attn_implementation") in MASKED else "documents",
        fused=bool(sft.get("use_liger_kernel")),
        gpu=gpu,
    )


def plan_on(
    recipe: StudentRecipe,
    work: Work,
    shape: Shape,
    on: Device,
    lengths: Lengths,
    *,
    sft: Mapping[str, Any],
) -> Plan:
    """The plan of a recipe that is trained as ``work`` says."""
    return choose(
        shape,
        work,
        on,
        lengths,
        sft=sft,
        traces_per_step=recipe.traces_per_step,
        packing=bool(sft.get("packing")),
        max_length=sft.get("max_length"),
    )


def plan_on_cards(
    recipe: StudentRecipe,
    shape: Shape,
    on: Device,
    lengths: Lengths,
    *,
    lora: Mapping[str, Any] | None,
    sft: Mapping[str, Any],
) -> Plan:
    """The plan on cards that may share the weights; the last of ``_shared`` if none fits."""
    half = sft.get("bf16") is not False or bool(sft.get("fp16"))
    work = work_of(recipe, gpu=True, half=half, lora=lora, sft=sft)
    for way in _shared(work, on.count):
        plan = plan_on(recipe, way, shape, on, lengths, sft=sft)
        if plan.share <= ROOM:
            break
    return plan


def smallest(
    recipe: StudentRecipe,
    shape: Shape,
    lengths: Lengths,
    *,
    lora: Mapping[str, Any] | None,
    sft: Mapping[str, Any],
) -> Plan | None:
    """The plan on the smallest of CARDS that holds the training; None: none does."""
    plans = (
        plan_on_cards(recipe, shape, card(name), lengths, lora=lora, sft=sft) for name in CARDS
    )
    return next((plan for plan in plans if plan.share <= ROOM), None)


def _shared(work: Work, count: int) -> Iterator[Work]:
    """A whole model on each, then shared (FSDP2), then shared and kept in the host's memory."""
    yield work
    if count > 1:
        yield replace(work, shards=count)
        if not work.rank:
            yield replace(work, shards=count, offload=True)
