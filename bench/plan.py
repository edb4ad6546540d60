"""Predicted memory and time of student recipes on other machines: python -m bench.plan [RECIPE…].

Needs no model and no torch: the shapes of the known bases are in a table.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import yaml

from bench.machine import ROOT
from distill.recipes.students import StudentRecipe
from distill.training.cards import CARDS, card, plan_on_cards
from distill.training.memory import GIB, host
from distill.training.plan import ROOM, Lengths, Plan, duration
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
# R1 paper v1, 2.4: 800k samples; its tokens are those of the sizing
SETS = {"800k traces": (800_000, 4_300_000_000), "10k traces": (10_000, 53_750_000)}
MORE = ("16x80", "64x80")  # where a machine of eight needs the host's memory
PREDICTED = re.compile(r"^# Predicted by .*\n(?:#   .*\n)+", re.MULTILINE)
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


def planned(recipe: StudentRecipe, shape: Shape, on: Device, *, traces: int, tokens: int) -> Plan:
    """The plan of a recipe for a set of that size."""
    longest = int(recipe.sft.get("max_length") or 32768)
    mean = tokens / traces
    lengths = Lengths(
        count=traces, total=tokens, longest=longest, squares=tokens * min(LONGER * mean, longest)
    )
    return plan_on_cards(recipe, shape, on, lengths, lora=recipe.lora, sft=recipe.sft)


def line(recipe: StudentRecipe, shape: Shape, name: str, method: str) -> str:
    """One row of the table."""
    plans = [planned(recipe, shape, card(name), traces=n, tokens=m) for n, m in SETS.values()]
    one = plans[0]
    base = recipe.base.rpartition("/")[2]
    size = f"{one.peak.total / GIB:.0f} GiB"
    if one.share > 1:
        return f"| {base} | {method} | {name} | {size}: too much | | | | |"
    way = ", ".join(filter(None, (one.work.checkpointing, one.way)))
    times = [duration(plan.hours) for plan in plans]
    return f"| {' | '.join((base, method, name, size, way, f'{one.tokens_per_s:,.0f}', *times))} |"


def said(path: Path) -> str | None:
    """The lines of a recipe's comment that say what is predicted; None: its base is not known."""
    recipe = read(path)
    if (shape := known(recipe.base)) is None:
        return None
    name = "800k traces" if path.stem.startswith("r1-") else "10k traces"
    traces, tokens = SETS[name]
    parts = []
    for on in (*CARDS, *MORE):
        plan = planned(recipe, shape, card(on), traces=traces, tokens=tokens)
        parts.append(f"{on} GB: {_outcome(plan)}")
        if plan.device.count > 1 and plan.share <= ROOM and not plan.work.offload:
            break
    epochs = recipe.sft.get("num_train_epochs", 3)
    head = f"Predicted by bench.plan for {name} of 5,400 tokens, {epochs:g} epochs; never measured:"
    whole = "; ".join(part.replace(" ", "~") for part in parts) + "."
    lines = [line.replace("~", " ") for line in textwrap.wrap(whole, 96, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in (head, *(f"  {line}" for line in lines)))


def _outcome(plan: Plan) -> str:
    size = f"{plan.peak.total / GIB:.0f} GiB"
    if plan.share > 1:
        return f"{size}, too much"
    if plan.share > ROOM:
        size += " (tight)"
    held = f" and {host(plan.shape, plan.work) / GIB:,.0f} of the host" if plan.work.offload else ""
    return ", ".join(filter(None, (f"{size}{held}", duration(plan.hours), plan.way)))


def update(path: Path) -> None:
    """Writes today's prediction into the comment of a recipe."""
    text = path.read_text(encoding="utf-8")
    if told := said(path):
        path.write_text(PREDICTED.sub(lambda _: told, text), encoding="utf-8")


def read(path: Path) -> StudentRecipe:
    """A recipe's file."""
    return StudentRecipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table as Markdown, or writes the predictions into the recipes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", type=Path)
    parser.add_argument("--on", action="append", choices=[*CARDS, *MORE])
    parser.add_argument("--write", action="store_true", help="into the recipes' comments")
    given = parser.parse_args(arguments)
    paths = given.recipes or sorted((ROOT / "students").glob("*.yaml"))
    if given.write:
        for path in paths:
            update(path)
        return 0
    head = ("base", "method", "device", "peak", "checkpointing", "tokens/s", *SETS)
    out = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for path in paths:
        recipe = read(path)
        shape = known(recipe.base)
        if shape is None:
            out.append(f"| {recipe.base} | its shape is not known | | | | | | |")
            continue
        method = f"LoRA r{recipe.lora.get('r', 8)}" if recipe.lora else "full"
        method += f" {recipe.quantize}" if recipe.quantize else ""
        out += [line(recipe, shape, name, method) for name in given.on or CARDS]
    sys.stdout.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
