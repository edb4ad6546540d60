"""Predicted memory and time of student recipes on other machines: python -m bench.plan [RECIPE…].

Needs no model and no torch: the shapes of the known bases are in a table.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from bench.machine import ROOT
from distill.recipes.students import StudentRecipe
from distill.training.memory import GIB, Work, adapter_targets
from distill.training.plan import Lengths, Plan, choose, duration
from distill.training.shape import Shape
from distill.training.speed import Device

# layers, hidden, heads, key-value heads, MLP, vocabulary, tied: their config.json on the Hub
QWEN = {
    "0.5B": (24, 896, 14, 2, 4864, 151936, True),
    "1.5B": (28, 1536, 12, 2, 8960, 151936, True),
    "3B": (36, 2048, 16, 2, 11008, 151936, True),
    "7B": (28, 3584, 28, 4, 18944, 152064, False),
    "14B": (48, 5120, 40, 8, 13824, 152064, False),
    "32B": (64, 5120, 40, 8, 27648, 152064, False),
    "72B": (80, 8192, 64, 8, 29568, 152064, False),
}
LLAMA = {
    "1B": (16, 2048, 32, 8, 8192, 128256, True),
    "3B": (28, 3072, 24, 8, 8192, 128256, True),
    "8B": (32, 4096, 32, 8, 14336, 128256, False),
    "70B": (80, 8192, 64, 8, 28672, 128256, False),
}
SMOLLM = {"135M": (30, 576, 9, 3, 1536, 49152, True)}
# name of a device: count, GiB, dense bfloat16 FLOP/s: RTX 4090, L40S, H100 (speed.CARDS)
DEVICES = {"1x24": (1, 24, 165e12), "1x48": (1, 48, 362e12)}
DEVICES |= {"1x80": (1, 80, 989e12), "8x80": (8, 80, 989e12)}
# R1 paper v1, 2.4: 800k samples; its tokens are those of the sizing
SETS = {"800k traces": (800_000, 4_300_000_000), "10k traces": (10_000, 53_750_000)}
LONGER = 1.5  # mean length of the trace that a token is in, over the mean length (sigma 0.7)


def known(base: str) -> Shape | None:
    """The shape of a base by its Hub id; None if it is not in the table."""
    if (found := Shape.at(Path(base))) is not None:
        return found
    size = re.search(r"(?i)-(\d+(?:\.\d+)?[BM])\b", base)
    name = base.lower()
    table = QWEN if "qwen2.5" in name else LLAMA if "llama-3" in name else SMOLLM
    if size is None or (row := table.get(size[1].upper())) is None:
        return None
    layers, hidden, heads, pairs, inner, vocab, tied = row
    return Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        query=hidden,
        key=hidden // heads * pairs,
        inner=inner,
        vocab=vocab,
        tied=tied,
        biased="qwen" in name,
    )


def device(name: str) -> Device:
    """A device by a name such as 1x24 or 8x80GB."""
    count, gib, flops = DEVICES[name.lower().removesuffix("gb")]
    return Device(gpu=True, memory=gib * GIB, flops=flops, count=count, name=f"{gib} GB")


def planned(recipe: StudentRecipe, shape: Shape, on: Device, *, traces: int, tokens: int) -> Plan:
    """The plan of a recipe for a set of that size."""
    lora = recipe.lora
    rank = int(lora.get("r", 8)) if lora else 0
    work = Work(
        rank=rank,
        targets=adapter_targets(lora.get("target_modules")) if lora else None,
        quantized=recipe.quantize is not None,
        half_weights=lora is not None,
        half=True,
        half_adapter=recipe.quantize is not None,
        gpu=True,
    )
    longest = int(recipe.sft.get("max_length") or 32768)
    mean = tokens / traces
    lengths = Lengths(
        count=traces, total=tokens, longest=longest, squares=tokens * min(LONGER * mean, longest)
    )
    alone = choose(
        shape,
        work,
        on,
        lengths,
        sft=recipe.sft,
        traces_per_step=getattr(recipe, "traces_per_step", None),
        packing=True,
        epochs=float(recipe.sft.get("num_train_epochs", 3)),
    )
    if on.count == 1 or alone.share <= 1:
        return alone
    return choose(
        shape,
        replace(work, shards=on.count),
        on,
        lengths,
        sft=recipe.sft,
        traces_per_step=getattr(recipe, "traces_per_step", None),
        packing=True,
        epochs=float(recipe.sft.get("num_train_epochs", 3)),
    )


def line(recipe: StudentRecipe, shape: Shape, name: str, method: str) -> str:
    """One row of the table."""
    on = device(name)
    plans = [planned(recipe, shape, on, traces=n, tokens=m) for n, m in SETS.values()]
    one = plans[0]
    base = recipe.base.rpartition("/")[2]
    size = f"{one.peak.total / GIB:.0f} GiB"
    if one.share > 1:
        return f"| {base} | {method} | {name} | {size}: too much | | | | |"
    way = one.work.checkpointing + (", FSDP2" if one.work.shards > 1 else "")
    times = [duration(plan.hours) for plan in plans]
    return f"| {' | '.join((base, method, name, size, way, f'{one.tokens_per_s:,.0f}', *times))} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", type=Path)
    parser.add_argument("--on", action="append", choices=[*DEVICES, *(f"{d}GB" for d in DEVICES)])
    given = parser.parse_args(arguments)
    paths = given.recipes or sorted((ROOT / "students").glob("*.yaml"))
    head = ("base", "method", "device", "peak", "checkpointing", "tokens/s", *SETS)
    out = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for path in paths:
        recipe = StudentRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        shape = known(recipe.base)
        if shape is None:
            out.append(f"| {recipe.base} | its shape is not known | | | | | | |")
            continue
        method = f"LoRA r{recipe.lora.get('r', 8)}" if recipe.lora else "full"
        method += f" {recipe.quantize}" if recipe.quantize else ""
        out += [line(recipe, shape, name, method) for name in given.on or DEVICES]
    sys.stdout.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
