"""Predicts how many tokens a second a training takes: on a known card within 2 times.

A GPU's is the share of its peak that was measured on one H100 (torch 2.11, trl 1.16, Qwen2.5 1.5B
full and 7B LoRA, rows of 32k); a CPU's follows from a short measurement of this one.
"""

import math
import re
import time
from dataclasses import dataclass

from distill.training.memory import GIB, Work
from distill.training.shape import Shape

# Dense bfloat16 TFLOP/s and GiB, from the vendors' data sheets. More specific names come first.
CARDS: tuple[tuple[str, float, float], ...] = (
    *(("B300", 2250, 268), ("B200", 2250, 180), ("GH200", 989, 96), ("H200", 989, 141)),
    *(("H100 NVL", 835, 94), ("H100 PCIe", 756, 80), ("H100", 989, 80), ("H20", 148, 96)),
    *(("A100", 312, 80), ("A800", 312, 80), ("L40S", 362, 48), ("L40", 181, 48), ("L4", 121, 24)),
    *(("A6000", 155, 48), ("A40", 150, 48), ("A10G", 70, 24), ("A10", 125, 24), ("A5000", 111, 24)),
    *(("RTX 5090", 210, 32), ("RTX 4090", 165, 24), ("RTX 3090", 71, 24), ("RTX 4080", 98, 16)),
    *(("MI355X", 2500, 288), ("MI325X", 1307, 256), ("MI300X", 1307, 192), ("MI250", 383, 128)),
)
UNKNOWN_TFLOPS = 100  # of a card that is not in the table
# Share of the peak with full checkpointing: full fine-tuning and adapters
SHARE = {
    "documents": (0.26, 0.227),
    "mask": (0.072, 0.087),
    "padded": (0.048, 0.163),
}
KEPT = 1.32  # times as fast without checkpointing: 34.3 % against 25.9 %
FUSED = (1.2, 1.1)  # with liger: 31.5 % and 25.9 % of the peak
NF4_COST = 0.75  # torchtune, one 4090: 2,413 tokens/s with nf4, 3,083 without
SEVERAL = 0.85  # of each device's, when several share weights; an estimate
# The same with weights in the host's memory; an estimate: of a 32B on eight H100, a trace of 5,400
# tokens computes for 4 s, and 16 GB go to each card twice and come back once, at 25 GB/s
OFFLOADED = 0.7
# Share of a CPU's matrix products that a training reaches
CPU_SHARE = 0.5
# Seconds of a CPU that a micro-batch takes however short it is: by itself, and for each layer
BATCH_S, LAYER_S = 0.05, 0.006
FACTOR = (3, 2)  # how far off this may be: on a CPU, beside other work; on a GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What trains: one or several of the same."""

    gpu: bool
    memory: float  # bytes of each
    flops: float  # a second, dense, in the format that is computed with
    count: int = 1
    name: str = ""

    def __str__(self) -> str:
        memory = f"{self.memory / GIB:.0f} GiB"
        return f"{f'{self.count} x ' if self.count > 1 else ''}{self.name or 'device'} ({memory})"


def tflops(name: str) -> float:
    """Dense bfloat16 TFLOP/s of a card by the name that its driver gives."""
    for card, value, _ in CARDS:
        if re.search(rf"\b{re.escape(card)}\b", name, re.IGNORECASE):
            return value
    return UNKNOWN_TFLOPS


def flops_per_token(shape: Shape, work: Work, *, context: float) -> float:
    """Of one trained token: 6 for each parameter, 4 under an adapter, and causal attention.

    Args:
        shape: the model's.
        work: how it is trained.
        context: mean length of the document that a token is in, tokens.
    """
    parameters = shape.matrices + shape.table
    attention = 6.0 * shape.layers * shape.query * context
    return (4 if work.rank else 6) * parameters + attention


def tokens_per_s(
    shape: Shape, work: Work, device: Device, *, context: float, batch: float = math.inf
) -> float:
    """Useful tokens a second of all devices together.

    Args:
        shape: the model's.
        work: how it is trained.
        device: what trains it.
        context: mean length of the document that a token is in, tokens.
        batch: tokens of a mean micro-batch.
    """
    each = flops_per_token(shape, work, context=context)
    if not device.gpu:
        again = 0.0 if work.checkpointing == "none" else 2.0 * shape.matrices
        seconds = (each + again) / (device.flops * CPU_SHARE)
        return device.count / (seconds + (BATCH_S + shape.layers * LAYER_S) / batch)
    padded = work.rows > 1 and work.attention == "mask"
    way = "padded" if padded else work.attention
    adapter = bool(work.rank)
    share = SHARE[way][adapter]
    share *= KEPT if work.checkpointing == "none" else 1
    share *= FUSED[adapter] if work.fused else 1
    share *= NF4_COST if work.quantized else 1
    share *= SEVERAL if device.count > 1 else 1
    share *= OFFLOADED if work.offload else 1
    return device.count * device.flops * share / each


def cpu_flops(*, half: bool, seconds: float = 0.3) -> float:
    """Floating-point operations a second of this CPU's matrix products.

    With one thread or with torch's, whichever is faster: beside other work, one is. How busy the
    CPU will be nobody knows, so it is the geometric mean of a free one and one as busy as now.

    Args:
        half: in bfloat16, else float32.
        seconds: how long to measure each.
    """
    import torch

    was = torch.get_num_threads()
    try:
        return max(_rate(count, half=half, seconds=seconds) for count in {1, was})
    finally:
        torch.set_num_threads(was)


def _rate(threads: int, *, half: bool, seconds: float) -> float:
    import torch

    size: int = 768
    one = torch.ones(size, size, dtype=torch.bfloat16 if half else torch.float32)
    torch.set_num_threads(threads)
    torch.mm(one, one)  # the first call chooses a kernel
    started, own, done = time.perf_counter(), time.process_time(), 0
    while (spent := time.perf_counter() - started) < seconds or not done:
        torch.mm(one, one)
        done += 1
    computed = (time.process_time() - own) / threads
    return float(2.0 * size**3 * done / math.sqrt(spent * min(max(computed, 1e-3), spent)))
