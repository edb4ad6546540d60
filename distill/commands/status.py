"""``distill status``: what a run, a filtered set, a student or scores hold, in one table.

Only reads; works while the run is going on.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill.errors import Exit, UserError
from distill.files.done import fingerprint
from distill.files.write import read_json
from distill.ledger import Ledger

Line = tuple[str, str]


def status(*paths: str | Path) -> Exit:
    """Prints one table with a section for each folder, in the order given.

    A folder may be a run, a filtered set, a student or an evaluation.

    Raises:
        UserError: a folder is none of these.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for path in map(Path, paths):
        title, lines = describe(path)
        table.add_section()
        table.add_row(f"[bold]{title}", escape(str(path)))
        for name, value in lines:
            table.add_row(escape(name), escape(value))
    Console().print(table)
    return Exit.DONE


def describe(path: Path) -> tuple[str, list[Line]]:
    """(kind of folder, name and value of each line).

    Raises:
        UserError: the folder is no result of distill.
    """
    if (scores := read_json(path / "scores.json")) is not None:
        return "scores", list(_scores(scores))
    if (path / "ledger.sqlite").exists():
        return "run", list(_run(path))
    if (report := read_json(path / "report.json")) is not None:
        return "filtered set", list(_set(report, path))
    if (trained := read_json(path / "train.json")) is not None:
        return "student", list(_student(trained, path))
    msg = f"{path}: no run, filtered set, student or scores in it"
    raise UserError(msg)


def _run(path: Path) -> Iterator[Line]:
    ledger = Ledger(path / "ledger.sqlite", read_only=True)
    try:
        wanted: Any = ledger.meta("wanted") or {"problems": 0, "samples": 0}
        plan: Any = ledger.meta("plan")
        states = ledger.states(plan=fingerprint(plan=plan), **wanted) if plan else {}
        tries, prompt, completion, took_s = ledger.totals()
        asked = wanted["problems"] * wanted["samples"]
        yield "teacher", str(plan["who"]) if plan else "unknown"
        yield "asked", f"{asked:,} ({wanted['problems']:,} problems × {wanted['samples']})"
        yield "answered", f"{states.get('done', 0):,}"
        for name, text in (("failed", "refused for good"), ("quarantined", "unknown finish")):
            if states.get(name):
                yield text, f"{states[name]:,}"
        yield "left", f"{max(0, asked - sum(states.values())):,}"
        yield "tries", f"{tries:,}"
        yield "tokens", f"{prompt:,} prompt, {completion:,} completion"
        if ledger.spent_usd():
            yield "spent at most", f"${ledger.spent_usd():,.4f}"
        yield "first to last try", f"{took_s:,.0f} s"
        yield from ((f"error × {count:,}", reason) for reason, count in ledger.reasons().items())
    except sqlite3.DatabaseError as error:
        msg = f"{path / 'ledger.sqlite'}: cannot be read: {error}"
        raise UserError(msg) from None
    finally:
        ledger.close()


def _set(report: dict[str, Any], path: Path) -> Iterator[Line]:
    read = report["read"]
    yield "read", f"{read:,}"
    for reason, count in report["reasons"].items():
        yield f"dropped: {reason}", f"{count:,} ({count / read:.1%})"
    yield "kept", f"{report['kept']:,} ({report['kept'] / read:.1%})"


def _student(trained: dict[str, Any], path: Path) -> Iterator[Line]:
    yield "base", str(trained["base_model"])
    yield "trained on", f"{trained['examples']:,} traces, {trained['trained_tokens']:,} tokens"
    loss = trained["loss"]
    yield "steps", f"{trained['steps']:,} in {trained['wall_s']:,.0f} s on {trained['device']}"
    yield "loss", f"{_loss(loss['first'])} → {_loss(loss['last'])}"
    for reason, count in trained.get("skipped", {}).items():
        yield f"skipped: {reason}", f"{count:,}"


def _scores(scores: dict[str, Any]) -> Iterator[Line]:
    yield "model", str(scores["model"])
    for name, found in scores["benchmarks"].items():
        yield "benchmark", f"{name} (n = {found['n']:,}, k = {found['k']})"
        for metric, score in found.items():
            if isinstance(score, dict) and "ci95" in score:
                low, high = score["ci95"]
                yield metric, f"{score['value']:.1%}  [{low:.1%}, {high:.1%}]"
        yield "labels", ", ".join(f"{k} {v:,}" for k, v in found["labels"].items())
        yield "finish", ", ".join(f"{k} {v:,}" for k, v in found["finish"].items())


def _loss(value: float | None) -> str:
    return "not logged" if value is None else f"{value:.3f}"
