"""Chooses micro-batch, accumulation and checkpointing for a model, a device and some traces.

Sequences per optimizer step stay what the recipe means. What ``sft:`` says is never changed.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from distill.training.memory import GIB, Checkpointing, Peak, Work, peak
from distill.training.shape import Shape
from distill.training.speed import FACTOR, Device, tokens_per_s

MARGIN = 0.15  # the prediction's own error: within it of the limit is a warning, not a refusal
# What transformers calls it since 5.24, and before; the new name wins where both are set.
NAMES = ("activation_checkpointing", "gradient_checkpointing")
BATCH, ACCUMULATION, EPOCHS = 8, 1, 3  # trl's defaults
ROOM = 0.92  # of the memory, to choose for: fragments, and what other processes hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Of the traces, in tokens."""

    count: int
    total: int
    longest: int
    squares: float  # sum of their squares

    @classmethod
    def of(cls, lengths: Iterable[int]) -> Self:
        """Of the examples."""
        count = total = longest = 0
        squares = 0.0
        for one in lengths:
            count, total, longest = count + 1, total + one, max(longest, one)
            squares += float(one) ** 2
        return cls(count=count, total=total, longest=longest, squares=squares)

    @property
    def mean(self) -> float:
        """Mean length."""
        return max(self.total / max(self.count, 1), 1.0)

    @property
    def context(self) -> float:
        """Mean length of the trace that a token is in."""
        return self.squares / max(self.total, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was chosen, and what it is expected to take."""

    shape: Shape
    work: Work
    device: Device
    packing: bool
    peak: Peak
    tokens_per_s: float
    tokens: float  # of all epochs
    sequences: int  # traces of an optimizer step
    chosen: Mapping[str, Any]  # keys of sft: that the recipe leaves open

    @property
    def hours(self) -> float:
        """Of the whole training."""
        return self.tokens / self.tokens_per_s / 3600

    @property
    def share(self) -> float:
        """Of the device's memory."""
        return self.peak.total / self.device.memory

    def uncounted(self) -> Self:
        """The same for traces that are not counted yet."""
        return replace(self, tokens=0)

    @property
    def subject(self) -> str:
        """What is trained, and on what."""
        work = self.work
        method = f"LoRA r{work.rank}" if work.rank else "full"
        method += ", nf4" if work.quantized else ""
        size, form = self.shape.parameters / 1e9, "bfloat16" if work.half else "float32"
        return f"{_two(size)}B parameters, {method}, {form} on {self.device}"

    @property
    def pace(self) -> str:
        """How fast it is, and how long it takes, or a million tokens if they are not counted."""
        speed = f"{_two(self.tokens_per_s)} tokens/s"
        if self.tokens:
            return f"{speed}, {duration(self.hours)}"
        return f"{speed}, {duration(1e6 / self.tokens_per_s / 3600)} for each million tokens"

    @property
    def way(self) -> str:
        """How the devices share the weights."""
        if self.work.shards == 1:
            return ""
        return "FSDP2 and offload" if self.work.offload else "FSDP2"

    def __str__(self) -> str:
        work = self.work
        chosen = ", ".join(f"{key} {value}" for key, value in self.chosen.items()) or "nothing"
        return (
            f"plan: {self.subject}\n"
            f"  chosen: {chosen}; {work.rows} x {work.row:,} tokens at a time, "
            f"{self.sequences:g} traces a step\n"
            f"  peak: {self.peak}\n"
            f"  about {self.pace} (an estimate, within {FACTOR[self.device.gpu]} times)"
        )


def choose(
    shape: Shape,
    work: Work,
    device: Device,
    lengths: Lengths,
    *,
    sft: Mapping[str, Any],
    traces_per_step: int | None = None,
    packing: bool = False,
    max_length: int | None = None,
) -> Plan:
    """The fastest way that fits, else the one that takes least.

    Args:
        shape: the model's.
        work: the method and its formats; its rows and checkpointing are replaced.
        device: what trains.
        lengths: of the traces.
        sft: the recipe's; what is written there is kept.
        traces_per_step: sequences of an optimizer step over all processes; None: as ``sft`` has it.
        packing: whether rows are filled with several traces.
        max_length: of a packed row, tokens; None: the longest trace.
    """
    meant = traces_per_step or sequences(sft, device.count)
    row = _packed(lengths, max_length or 0, meant / device.count) if packing else lengths.longest
    work = replace(work, row=row, exchanged=device.count > 1 and work.shards == 1)
    found = []
    for way in _ways(sft, work, meant=meant, processes=device.count, packing=packing):
        whole = replace(way, rows=1) if packing else way  # packing.bins: one row at a time
        plan = Plan(
            shape=shape,
            work=whole,
            device=device,
            packing=packing,
            peak=peak(shape, whole),
            tokens_per_s=tokens_per_s(
                shape, whole, device, context=lengths.context, batch=lengths.mean * way.rows
            ),
            tokens=lengths.total * _epochs(sft, lengths, meant),
            sequences=way.rows * way.accumulation * device.count,
            chosen=_chosen(sft, way),
        )
        if plan.share <= ROOM:
            return plan
        found.append(plan)
    return min(found, key=lambda plan: plan.peak.total)


def _packed(lengths: Lengths, most: int, traces: float) -> int:
    """The tokens of a packed row: as ``packing.bins`` fills it for so many traces a step."""
    most, wanted = max(most, lengths.longest), lengths.mean * traces
    return max(lengths.longest, math.ceil(wanted / math.ceil(wanted / most)))


def sequences(sft: Mapping[str, Any], processes: int) -> int:
    """Sequences of an optimizer step, as the recipe writes them."""
    batch = int(sft.get("per_device_train_batch_size") or BATCH)
    return batch * int(sft.get("gradient_accumulation_steps") or ACCUMULATION) * processes


def _epochs(sft: Mapping[str, Any], lengths: Lengths, meant: int) -> float:
    steps = int(sft.get("max_steps") or -1)
    if steps < 1:
        return float(sft.get("num_train_epochs") or EPOCHS)
    return steps * meant / max(lengths.count, 1)


def _ways(
    sft: Mapping[str, Any], work: Work, *, meant: int, processes: int, packing: bool
) -> Iterator[Work]:
    """From the fastest to the one that takes least memory."""
    each = max(meant // processes, 1)
    rows, steps = sft.get("per_device_train_batch_size"), sft.get("gradient_accumulation_steps")
    if rows is None:  # one row at a time: nothing is padded, and it is as fast on a CPU
        rows = max(each // int(steps), 1) if steps and not packing else 1
    if steps is None:
        steps = max(math.ceil(each / int(rows)), 1)
    for way in _checkpointing(sft):
        yield replace(work, rows=int(rows), accumulation=int(steps), checkpointing=way)


def _checkpointing(sft: Mapping[str, Any]) -> tuple[Checkpointing, ...]:
    names = [name for name in NAMES if sft.get(name) is not None]
    if not names:
        return ("none", "full")
    said, told = sft[names[0]], (sft.get(f"{name}_kwargs") or {} for name in NAMES)
    selective = any(one.get("selective") for one in told)
    return (("selective" if selective else "full") if said else "none",)


def _chosen(sft: Mapping[str, Any], work: Work) -> dict[str, Any]:
    values = {
        "per_device_train_batch_size": work.rows,
        "gradient_accumulation_steps": work.accumulation,
        NAMES[-1]: work.checkpointing != "none",
    }
    said = {key for key in sft if sft[key] is not None}
    return {
        key: value
        for key, value in values.items()
        if said.isdisjoint(NAMES if key in NAMES else (key,))
    }


def _two(value: float) -> str:
    """A number for people, of two digits or more."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def duration(hours: float) -> str:
    """A time for people: minutes, hours or days."""
    if hours < 1:
        return f"{max(hours * 60, 1):.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def gib(size: float) -> str:
    """A size for people."""
    return f"{size / GIB:.1f} GiB"
