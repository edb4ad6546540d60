"""What a run, a filtered set, a student or scores hold, in one table.

Only reads, also while the run is going on; with ``repair`` a damaged ledger is repaired instead.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from distill.errors import UserError
from distill.files.done import fingerprint
from distill.files.write import read_json
from distill.ledger import DOUBTED, Ledger, salvage, sums
from distill.ledger.explain import not_opened
from distill.ledger.saved import refuse_saved
from distill.teachers.wire import parse
from distill.terminal.screen import Cell, Column, Sheet, show

Line = tuple[str, str]


def show_status(paths: Sequence[Path], *, repair: bool) -> None:
    """Prints one table with a section for each folder, in the order given.

    Raises:
        UserError: as ``distill.status``.
    """
    sections: list[list[Sequence[Cell]]] = []
    for path in paths:
        title, lines = _repaired(path) if repair else describe(path)
        sections.append([((title, "bold"), str(path)), *lines])
    show(Sheet(columns=[Column(wraps=False), Column()], sections=sections))


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
        return "filtered set", list(_set(report))
    if (trained := read_json(path / "train.json")) is not None:
        return "student", list(_student(trained))
    if (path / "train.jsonl").exists():
        return "unfinished student", list(_training(path))
    refuse_saved(path / "ledger.sqlite")
    msg = f"{path}: no run, filtered set, student or scores in it"
    raise UserError(msg)


def _repaired(path: Path) -> tuple[str, list[Line]]:
    """What a repair of a run's ledger brought."""
    found = salvage.repair(path, parse=parse)
    if found is None:
        return "run", [("ledger", "sound: nothing to repair")]
    rows = [
        (n, f"{kept:,} kept, {lost:,} known to be lost") for n, (kept, lost) in found.rows.items()
    ]
    next_step = "the run's distill generate asks again for what was lost"
    named = [("damage", found.damage)]
    if found.kept_as is not None:
        named.append(("kept as", found.kept_as.name))
    return "repaired run", [*named, *rows, ("next", next_step)]


def _run(path: Path) -> Iterator[Line]:
    ledger = Ledger(path / "ledger.sqlite", read_only=True)
    try:
        yield from _asked(ledger)
        yield from _spent(ledger)
        yield from (
            (f"error × {count:,}", reason) for reason, count in sums.reasons(ledger).items()
        )
    except sqlite3.DatabaseError as error:
        msg = (
            f"{path / 'ledger.sqlite'}: cannot be read: {error}; "
            f"next: distill status --repair {path}"
        )
        raise not_opened(ledger.path, error) or UserError(msg) from None
    finally:
        ledger.close()


def _asked(ledger: Ledger) -> Iterator[Line]:
    wanted: Any = ledger.meta("wanted") or {"problems": 0, "samples": 0}
    plan: Any = ledger.meta("plan")
    digest = fingerprint(plan=plan)
    problems, samples, correct = wanted["problems"], wanted["samples"], wanted.get("correct")
    states = sums.states(ledger, plan=digest, problems=problems, samples=samples)
    yield "teacher", str(plan["who"]) if plan else "unknown"
    if correct is None:
        asked = problems * samples
        yield "asked", f"{asked:,} ({problems:,} problems × {samples})"
    else:
        yield "asked", f"{problems:,} problems, until {correct} right, at most {samples} answers"
    yield "answered", f"{states.get('done', 0):,}"
    for name, text in (("failed", "refused for good"), ("quarantined", "kept, no success")):
        if states.get(name):
            yield text, f"{states[name]:,}"
    if correct is None:
        yield "left", f"{max(0, asked - sum(states.values())):,}"
    else:
        yield from _found(
            ledger,
            sums.found(ledger, plan=digest, problems=problems, samples=samples, correct=correct),
        )
    cut, completed = sums.cut(ledger, plan=digest, problems=problems, samples=samples)
    if cut or completed:
        yield "cut at the limit", f"{cut:,}" + (f", completed {completed:,}" if completed else "")


def _found(ledger: Ledger, found: sums.Found) -> Iterator[Line]:
    """What asking until enough were right brought, and what each right answer cost."""
    yield "solved", f"{found.solved:,} of {found.problems:,} asked"
    yield "rescued", f"{found.rescued:,} that the first answers alone would have lost"
    if found.correct:
        tokens = sums.totals(ledger).completion_tokens / found.correct
        usd = sums.spent_usd(ledger) / found.correct
        cost = f"{tokens:,.0f} completion tokens" + (f", ${usd:,.4f}" if usd else "")
        yield "a right answer", f"{cost} ({found.correct:,} of them)"


def _spent(ledger: Ledger) -> Iterator[Line]:
    total = sums.totals(ledger)
    yield "tries", f"{total.tries:,}"
    yield (
        "tokens",
        f"{total.prompt_tokens:,} prompt, {total.completion_tokens:,} completion",
    )
    if spent := sums.spent_usd(ledger):
        yield "spent at most", f"${spent:,.4f}"
    doubted: Any = ledger.meta(DOUBTED) or {}
    for name, count in doubted.items():
        yield "usage not believed", f"of {count:,} answers of {name}"
    yield "first to last try", f"{total.span_s:,.0f} s"
    shares = sums.shares(ledger)
    for share in shares if len(shares) > 1 else ():
        cost = f", ${share.spent_usd:,.4f}" if share.spent_usd else ""
        yield (
            f"by {share.endpoint}",
            f"{share.answers:,} answers in {share.tries:,} tries, "
            f"{share.completion_tokens:,} completion tokens{cost}",
        )


def _set(report: dict[str, Any]) -> Iterator[Line]:
    read = report["read"]
    yield "read", f"{read:,}"
    for reason, count in report["reasons"].items():
        yield f"dropped: {reason}", f"{count:,} ({count / read:.1%})"
    yield "kept", f"{report['kept']:,} ({report['kept'] / read:.1%})"


def _student(trained: dict[str, Any]) -> Iterator[Line]:
    yield "base", str(trained["base_model"])
    yield "trained on", f"{trained['examples']:,} traces, {trained['trained_tokens']:,} tokens"
    loss = trained["loss"]
    yield "steps", f"{trained['steps']:,} in {trained['wall_s']:,.0f} s on {trained['device']}"
    yield "loss", f"{_loss(loss['first'])} → {_loss(loss['last'])}"
    for reason, count in trained.get("skipped", {}).items():
        yield f"skipped: {reason}", f"{count:,}"


def _training(path: Path) -> Iterator[Line]:
    whole, _, _ = (path / "train.jsonl").read_bytes().rpartition(b"\n")  # it may be being written
    steps = [orjson.loads(line) for line in whole.splitlines()]
    yield "steps", f"{len(steps):,}" + (f" in {steps[-1]['wall_s']:,.0f} s" if steps else "")
    if steps:
        yield "loss", f"{_loss(steps[0]['loss'])} → {_loss(steps[-1]['loss'])}"
    kept = [int(found.name.split("-")[1]) for found in path.glob("checkpoints/*/checkpoint-*")]
    yield "last checkpoint", f"step {max(kept):,}" if kept else "none yet"


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
