"""reasoning_gym's scorers in jails, and the same without one, on the same answers in one run.

    python -m bench.scorers            checks per second and CPU ms of one
    python -m bench.scorers --each     which tasks' questions share a process

Each task of the library that has a scorer of its own gives the same number of problems, with the
answers of two others: right ones are mostly known by their text. Each side runs in a process of its
own and has its library loaded; that is not counted.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from bench.machine import header
from bench.table import table
from bench.verify import alone, jails_cpu, own_cpu

EACH = 20  # problems of a task
SIDES = (
    ("distill, 1 jail", {"workers": 1}),
    ("distill, 2 jails", {"workers": 2}),
    ("distill, no jail", {"workers": 1, "unsafe": True}),
    ("distill, a process for each question", {"workers": 1, "together": 1}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", action="store_true")
    options = parser.parse_args()
    items = alone(_items)
    print(header(Path.cwd()), end="\n\n")
    if options.each:
        print(table(["task", "questions", "may share a process"], alone(_shared, items)))
        return
    rows = []
    for name, how in SIDES:
        labels, wall, cpu = alone(_side, items, **how)
        each = [f"{len(items) / wall:,.0f}", f"{1000 * cpu / len(items):.2f}", f"{wall:.2f}"]
        rows.append([name, *each, ", ".join(f"{n} {label}" for label, n in labels.items())])
    print(table(["side", "checks/s", "CPU ms each", "wall s", f"of {len(items):,}"], rows))


def _items() -> list[tuple[str, str]]:
    from reasoning_gym.dataset import ProceduralDataset
    from reasoning_gym.factory import DATASETS, create_dataset

    found = []
    for task in sorted(set(DATASETS) - {"codeio", "composite"}):
        if DATASETS[task][0].score_answer is ProceduralDataset.score_answer:
            continue
        problems = create_dataset(task, size=EACH, seed=1)
        entries = [problems[number] for number in range(EACH)]
        for number, entry in enumerate(entries):
            answer = str(entry["answer"])
            others = {str(entries[number - away]["answer"]) for away in (1, 2)} - {answer}
            try:
                gold = json.dumps({"task": task, "answer": answer, "metadata": entry["metadata"]})
            except TypeError:
                continue
            found += [(gold, rf"\boxed{{{other}}}") for other in sorted(others)]
    return found


def _side(
    items: list[tuple[str, str]], *, workers: int, unsafe: bool = False, together: int = 0
) -> tuple[dict[str, int], float, float]:
    from distill.verify import Isolation, Item, grade_all
    from distill.verify.workers import asked

    asked.TOGETHER = together or asked.TOGETHER
    how = Isolation(unsafe_no_sandbox=unsafe)
    first = [Item(gold, response, "reasoning_gym") for gold, response in items[: 4 * workers]]
    grade_all(first, workers=workers, isolation=how)
    start, began, wall = jails_cpu(), own_cpu(), time.perf_counter()
    found = grade_all(
        [Item(gold, response, "reasoning_gym") for gold, response in items],
        workers=workers,
        isolation=how,
    )
    took, cpu = time.perf_counter() - wall, own_cpu() - began + jails_cpu() - start
    labels = [verdict.label for verdict in found]
    return {label: labels.count(label) for label in sorted(set(labels))}, took, cpu


def _shared(items: list[tuple[str, str]]) -> list[list[Any]]:
    from distill.verify.kinds import CHECKS
    from distill.verify.workers.harmless import harmless
    from distill.verify.workers.pending import PendingCheck

    counts: dict[str, list[int]] = {}
    for gold, response in items:
        found = CHECKS["reasoning_gym"](gold, response)
        if isinstance(found, PendingCheck):
            count = counts.setdefault(json.loads(gold)["task"], [0, 0])
            count[0] += 1
            count[1] += harmless(found.job)
    return [[task, *map(str, count)] for task, count in counts.items()]


if __name__ == "__main__":
    main()
