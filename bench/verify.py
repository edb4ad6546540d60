"""distill's verifier against Math-Verify alone, on the same pairs in one run.

    python -m bench.verify PAIRS            pairs per CPU second, and how often the labels are met
    python -m bench.verify PAIRS --hostile  the slowest of answers that are made to hang
    python -m bench.verify PAIRS --memory   the memory of both, over 100,000 pairs
    python -m bench.verify PAIRS --table    every pair on which a side and the label disagree
    python -m bench.verify PAIRS --formulas the same on pairs made of the formulas among its answers

PAIRS is a file of JSON lines, gzipped or not, each with ``gold``, ``pred`` or ``response``, and
``label``: true, false, ``correct`` or ``wrong``. If they have a ``kind``, the verdicts are counted
by it. With --formulas each has an ``answer``. Each side runs in a process of its own; the CPU time
of its jails counts, and is shown with and without the starting of sympy. One side is distill
without a jail, as with --unsafe-no-sandbox.
"""

import argparse
import gzip
import json
import logging
import multiprocessing
import os
import re
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.machine import header
from bench.table import table

HOSTILE = {
    "10^{10^{10}}": "10^{10^{10}}",
    "9^{9^{9^9}}": "9^{9^{9^{9}}}",
    "nested factorials": "((10!)!)!",
    "100!!!!": "100!!!!",
    "(10^9)!": "(10^9)!",
    "2,000 parentheses": "(" * 2_000 + "1" + ")" * 2_000,
    "40 parentheses": "(" * 40 + "x" + ")" * 40,
    "200,000 digits": "7" * 200_000,
    "500 digits": r"\sqrt{" + "7" * 500 + "}",
    "Math-Verify #65": r"\dfrac{5^{(5^{(5^{(5^5)})}-4)}-5}{16}",
    "binomial": r"\binom{10^9}{5 \cdot 10^8}",
    "sum": r"\sum_{i=1}^{10^9} i^i",
    "power of a sum": "(x+y+z+w)^{300}",
    "integral": r"\int_0^1 \frac{\sin(x^5)}{\sqrt{x^7+\cos x}} dx",
    "matrix power": r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^{100000000}",
    "set of 3,000": r"\{" + ",".join(map(str, range(3_000))) + r"\}",
    "fractions in fractions": r"\frac{1}{" * 45 + "2" + "}" * 45,
    "a megabyte of prose": "so it is, and " * 70_000,
}
_VALUE = re.compile(r"(?:[^,=<>&]|\{,\})+")  # neither a list nor a relation
# The ways in which an answer keeps its value, and those in which it gets another one.
VERDICTS = ("correct", "wrong", "undecided")
MET = ("correct correct", "wrong wrong", "wrong undecided")  # label and verdict
SAME = ("{}", "{}+0", "0+{}", "1\\cdot({})", r"\frac{{2({})}}{{2}}", "({})+2-2")
OTHER = ("{}+1", "2({})", "-({})", "({})^2", "({})+10^{{-6}}")
Pair = tuple[str, str, bool]


def main() -> None:
    options = _options()
    rows = _rows(options.pairs)
    pairs = _formulas(rows) if options.formulas else list(map(_pair, rows))
    print(header(Path.cwd()), end="\n\n")
    if options.hostile:
        print(alone(_hostile))
    elif options.memory:
        print(alone(_memory, pairs, options.memory))
    elif "kind" in rows[0]:
        print(alone(_by_kind, rows, show=options.table))
    else:
        _compare(pairs, show=options.table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--formulas", action="store_true")
    parser.add_argument("--memory", type=int, nargs="?", const=100_000, metavar="PAIRS")
    return parser.parse_args()


def _rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


def _pair(row: dict[str, Any]) -> Pair:
    said = row["pred"] if "pred" in row else row["response"]
    return str(row["gold"]), str(said), row["label"] in (True, "correct")


def _formulas(rows: list[dict[str, Any]]) -> list[Pair]:
    """Each answer that is a formula in another form, and against one of another value."""
    found = dict.fromkeys(row["answer"] or "" for row in rows)
    golds = [x for x in found if re.search(r"\\(?:sqrt|pi)|\^|[a-z]", x) and _VALUE.fullmatch(x)]
    pairs = []
    for number, gold in enumerate(golds):
        for ways, label in ((SAME, True), (OTHER, False)):
            form = ways[number % len(ways)].format(gold)
            pairs.append((gold, rf"So it is $\boxed{{{form}}}$.", label))
    return pairs


def _by_kind(rows: list[dict[str, Any]], *, show: bool) -> str:
    """How many right and wrong answers of each kind got which verdict."""
    from distill.verify import grade

    counts: dict[str, Counter[str]] = {}
    for row in rows:
        found = grade(row["gold"], row["response"])
        label = found.label if found.label in ("correct", "wrong") else "undecided"
        counts.setdefault(row["kind"], Counter())[f"{row['label']} {label}"] += 1
        if show and f"{row['label']} {label}" not in MET:
            print(f"{row['label']:7}  {label:9}  {found.method:16}", end="  ")
            print(repr(row["gold"][-80:]), "|", repr(row["response"][-80:]))
    total = sum(counts.values(), Counter())
    counts = {**dict(sorted(counts.items())), "all": total}
    met = sum(total[one] for one in MET) / len(rows)
    right = sum(total[f"correct {label}"] for label in VERDICTS)
    lost = total["correct wrong"] / right if right else 0.0
    head = ["kind", *(f"{side}: {x}" for side in ("right", "not") for x in VERDICTS)]
    lines = [
        [kind, *(str(one[f"{side} {x}"]) for side in ("correct", "wrong") for x in VERDICTS)]
        for kind, one in counts.items()
    ]
    said = f"labels met {met:.1%}; right ones called wrong {lost:.1%}"
    return f"{table(head, lines)}\n\n{said}"


def alone(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """What a function returns in a fresh process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args, named)


def _compare(pairs: list[Pair], *, show: bool) -> None:
    sides = {
        "math-verify": alone(_math_verify, pairs),
        "distill": alone(_distill, pairs),
        "distill, no jail": alone(_distill, pairs, unsafe=True),
    }
    rows = []
    for name, (found, start, cpu, wall) in sides.items():
        agreed = sum(one == label for one, (_, _, label) in zip(found, pairs, strict=True))
        each = [f"{len(pairs) / cpu:,.0f}", f"{len(pairs) / (cpu + start):,.0f}"]
        rows.append([name, *each, f"{start:.2f}", f"{cpu:.2f}", f"{wall:.2f}", str(agreed)])
    ratio = [
        float(a.replace(",", "")) / float(b.replace(",", ""))
        for a, b in zip(rows[1][1:3], rows[0][1:3], strict=True)
    ]
    head = ["side", "pairs/CPU s", "with start", "start s", "CPU s", "wall s", f"of {len(pairs):,}"]
    rows.append(["distill / math-verify", *(f"{x:.1f}x" for x in ratio), "", "", "", ""])
    print(table(head, rows))
    if show:
        _show(pairs, *(found for found, *_ in list(sides.values())[:2]))


def _show(pairs: list[Pair], theirs: list[bool], ours: list[bool]) -> None:
    for (gold, pred, label), their, our in zip(pairs, theirs, ours, strict=True):
        if label != their or label != our:
            print(f"label {label!s:5}  math-verify {their!s:5}  distill {our!s:5}", end="  ")
            print(repr(gold[-80:]), "|", repr(pred[-80:]))


def own_cpu() -> float:
    """Seconds of processor that this process took."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _math_verify(pairs: list[Pair]) -> tuple[list[bool], float, float, float]:
    """As it ships: whole texts in, its own timeouts on."""
    logging.disable(logging.CRITICAL)
    start = own_cpu()
    from math_verify import parse, verify

    verify(parse("$1$"), parse("$2$"))
    start, began, wall = own_cpu() - start, own_cpu(), time.perf_counter()
    found = [bool(verify(parse(gold), parse(pred))) for gold, pred, _ in pairs]
    return found, start, own_cpu() - began, time.perf_counter() - wall


def _distill(pairs: list[Pair], *, unsafe: bool = False) -> tuple[list[bool], float, float, float]:
    from distill.verify import Isolation, Item, grade, grade_all

    how = Isolation(unsafe_no_sandbox=unsafe)
    grade("xy=1", r"\boxed{xy=2}", isolation=how)  # the jail is there, and was attacked
    start, began, wall = jails_cpu(), own_cpu(), time.perf_counter()
    verdicts = grade_all([Item(gold, pred) for gold, pred, _ in pairs], isolation=how)
    took = time.perf_counter() - wall
    cpu = own_cpu() - began + jails_cpu() - start
    return [verdict.label == "correct" for verdict in verdicts], start, cpu, took


def descendants() -> list[int]:
    """The processes under this one; jails are among them."""
    found = [os.getpid()]
    for pid in found:
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, path.read_text(encoding="ascii").split())
    return found[1:]


def jails_cpu() -> float:
    """Seconds of processor that the jails of this process took, and what ran in them."""
    total = 0
    for pid in descendants():
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        total += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _hostile() -> str:
    from distill.verify import grade
    from distill.verify.workers.threads import SCORER_THREADS

    rows, worst = [], 0.0
    for name, text in HOSTILE.items():
        for number, gold in enumerate(("5", "x^2+1", text)):
            SCORER_THREADS.close()
            if number:  # a jail is there; it is not for the first, as in a fresh program
                grade("xy=1", r"\boxed{xy=2}")
            began = time.perf_counter()
            verdict = grade(gold, rf"\boxed{{{text}}}")
            took = time.perf_counter() - began
            worst = max(worst, took)
            against = gold if gold != text else "itself"
            jail = "there" if number else "not started"
            label = f"{verdict.label}/{verdict.method}"
            rows.append([name, against, jail, f"{took:.2f}", label])
    rows.append(["worst", "", "", f"{worst:.2f}", ""])
    return table(["answer", "reference", "jail", "s", "verdict"], rows)


def _memory(pairs: list[Pair], count: int) -> str:
    """In rounds over the pairs; the answers that need a jail differ from round to round."""
    from distill.verify import Item, grade_all

    rows, done, number = [], 0, 0
    while done < count:
        fresh = [Item(f"xy={number}", rf"\boxed{{xy={number}.{i}1}}") for i in range(20)]
        grade_all([*(Item(gold, pred) for gold, pred, _ in pairs), *fresh])
        done, number = done + len(pairs) + len(fresh), number + 1
        if number in (1, 2) or number % 10 == 0 or done >= count:
            each = ", ".join(f"{_megabytes(pid):.0f}" for pid in descendants())
            rows.append([f"{done:,}", f"{_megabytes(os.getpid()):.0f}", each])
    return table(["pairs", "host MB", "jails MB"], rows)


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
