"""Plants loops and honest lists into R1's own traces; `r1` drops which?  python -m bench.loops

Needs the shared traces. The rules that judge answers are left out, and that on long paragraphs,
which a list without empty lines breaks: only repetition is measured.
"""

import gzip
import json
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from bench.pool import SHARED
from distill.filtering.measure import judged
from distill.filtering.rules import compile
from distill.filtering.steps import Job
from distill.filtering.stored import SCALARS
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.rows import SCHEMA

RULES = ("malformed", "mixed_language", "repetitive", "code_in_thought")
TRACES = 120
Plant = Callable[[str, random.Random], str]  # what is planted into a thought


def traces() -> list[dict[str, Any]]:
    """Some of R1's whole traces with a thought of 1,500 characters or more."""
    with gzip.open(SHARED / "traces.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    whole = [row for row in rows if row["thought_closed"] and row["finish_reason"] == "stop"]
    own = [r for r in whole if r["teacher"] == "deepseek-r1" and len(r["reasoning"]) >= 1_500]
    return random.Random(0).sample(own, TRACES)


def paragraph(times: int) -> Plant:
    return lambda text, draw: "\n\n".join([_one(text, draw)] * times)


def sentence(times: int) -> Plant:
    return lambda text, draw: (_one(text, draw).split(". ")[0] + ". ") * times


def template(times: int) -> Plant:
    tries = [f"Let me try n = {n}: {n} + {3 * n} = {4 * n}, not right." for n in range(times)]
    return lambda _text, _draw: "\n\n".join(tries)


def truths(_text: str, _draw: random.Random) -> str:
    """A truth table of 32 lines."""
    lines = []
    for a, b, c, d, e in product((False, True), repeat=5):
        row = " ".join(
            f"{n} = {'T' if v else 'F'}," for n, v in zip("ABCDE", (a, b, c, d, e), strict=True)
        )
        true = str((a and b) or (c and d) or e).lower()
        lines.append(f"{row} so (A and B) or (C and D) or E is {true}.")
    return "\n".join(lines)


def cases(_text: str, _draw: random.Random) -> str:
    """n^2 + n + 41 for 50 n, each looked at."""
    lines = []
    for n in range(1, 51):
        value = n * n + n + 41
        least = next((d for d in range(2, n + 41) if value % d == 0 and d < value), None)
        says = f"It is divisible by {least}, so it is not prime."
        if least is None:
            says = "No prime up to its root divides it, so it is prime."
        lines.append(f"n = {n}: {n * n} + {n} + 41 = {value}. {says}")
    return "\n\n".join(lines)


def division(_text: str, _draw: random.Random) -> str:
    """1 / 97 by hand."""
    lines, rest = [], 1
    for _ in range(96):
        digit, after = divmod(10 * rest, 97)
        lines.append(f"Bring down 0: {rest}0 / 97 = {digit} remainder {after}.")
        rest = after
    return "\n".join(lines)


def dice(_text: str, _draw: random.Random) -> str:
    """What three dice can show."""
    return "\n".join(f"{throw} sum {sum(throw)}" for throw in product(range(1, 7), repeat=3))


def _one(text: str, draw: random.Random) -> str:
    return draw.choice([p for p in text.split("\n\n") if len(p) > 120] or [text[:200]])


def planted(text: str, plant: Plant, draw: random.Random, *, amid: bool) -> str:
    """The thought with it in the middle or at the end."""
    parts = text.split("\n\n")
    at = len(parts) // 2 if amid else len(parts)
    return "\n\n".join([*parts[:at], plant(text, draw), *parts[at:]])


def dropped(rows: list[dict[str, Any]], plant: Plant | None, *, amid: bool = False) -> int:
    """How many of these traces are dropped once it is planted in each."""
    draw = random.Random(1)
    changed = [
        row
        if plant is None
        else row | {"reasoning": planted(row["reasoning"], plant, draw, amid=amid)}
        for row in rows
    ]
    table = pl.DataFrame([{n: row.get(n) for n in SCHEMA} for row in changed], schema=SCHEMA)
    path = Path(__file__).parents[1] / "filters" / "r1.yaml"
    recipe = load(str(path), FilterRecipe).recipe
    rules = compile({name: recipe.rules[name] for name in RULES}, str(path))
    found = judged(table.select(SCALARS), table, Job(Path(), rules, needed=()))
    return 0 if found is None else int(found["reason"].is_not_null().sum())


LOOPS: dict[str, Plant] = {
    **{f"paragraph x {n}": paragraph(n) for n in (5, 12)},
    **{f"sentence x {n}": sentence(n) for n in (5, 12)},
    **{f"template x {n}": template(n) for n in (60, 120, 1_500)},
}
LISTS: dict[str, Plant] = {
    "truth table": truths,
    "50 cases": cases,
    "long division": division,
    "216 throws": dice,
}
PLANTS = LOOPS | LISTS


def main() -> None:
    """Prints one line for each kind of loop and list."""
    rows = traces()
    print(f"dropped of {TRACES} traces of R1: {dropped(rows, None)} as they are")
    for name, plant in PLANTS.items():
        amid, end = (dropped(rows, plant, amid=where) for where in (True, False))
        print(f"{name:16}  amid {amid:4}  at the end {end:4}")


if __name__ == "__main__":
    main()
