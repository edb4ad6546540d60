"""Brings a run folder up to its recipe: the plan, the problems, and what was left out of them."""

from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from distill.errors import UserError
from distill.files.write import write_atomic
from distill.generating.plan import RequestPlan
from distill.ledger import Ledger, sums
from distill.ledger.explain import translate_sqlite_errors
from distill.problems import LeftOut, ProblemSet

LEFT_OUT = "left_out.jsonl"


def refuse_emptied(out: Path) -> None:
    """A ledger without a byte in a run that has traces was emptied: all would be bought again.

    Raises:
        UserError: it is.
    """
    path = out / "ledger.sqlite"
    if (out / "traces" / "manifest.json").exists() and path.is_file() and not path.stat().st_size:
        msg = f"{path}: is empty, and {out / 'traces'} is not; next: restore it, or another -o"
        raise UserError(msg)


def refuse_another_plan(out: Path, plan: RequestPlan) -> None:
    """Raises where a run would unless forced, before anything is created.

    Raises:
        UserError: ``out`` holds answers to another plan, or its ledger cannot be read.
    """
    path = out / "ledger.sqlite"
    if path.exists():
        with translate_sqlite_errors(path), closing(Ledger(path, read_only=True)) as ledger:
            _refuse_mixing(ledger, plan, out)


def put_plan(ledger: Ledger, plan: RequestPlan, out: Path, *, force: bool) -> None:
    """Records the plan of a new folder; refuses to mix two plans unless forced.

    Raises:
        UserError: ``out`` holds answers to another plan.
    """
    if not force:
        _refuse_mixing(ledger, plan, out)
    ledger.set_meta("plan", plan.values())


def _refuse_mixing(ledger: Ledger, plan: RequestPlan, out: Path) -> None:
    before: Any = ledger.meta("plan")
    now = plan.values()
    if before is not None and before != now and sums.totals(ledger).tries:
        changed = next(k for k in now if before.get(k) != now[k])
        shown = "" if changed == "template" else f" ({before.get(changed)} → {now[changed]})"
        msg = (
            f"{out}: holds answers to another plan: {changed} changed{shown}; choose another -o, "
            "or --force to ask everything again here (old answers stay in the ledger)"
        )
        raise UserError(msg)


def put_problems(ledger: Ledger, problems: ProblemSet, plan: RequestPlan, out: Path) -> None:
    """Brings the set into the ledger, and what was left out of it into a list beside it.

    The list takes its place only once the set is in the ledger; until then the old one counts.

    Raises:
        UserError: as ``ProblemSet.tables``.
    """
    if ledger.meta("problems") == problems.digest:
        return

    def write(part: Path) -> None:
        with part.open("wb") as file:
            tables = problems.tables(note=lambda one: file.write(_line(one)))
            ledger.put_problems(tables, problems.digest, plan=plan.digest)

    path = out / LEFT_OUT
    write_atomic(path, write)
    if not path.stat().st_size:
        path.unlink()


def _line(one: LeftOut) -> bytes:
    try:
        return orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate
        return orjson.dumps({"id": one.id, "reason": one.reason}, option=orjson.OPT_APPEND_NEWLINE)
