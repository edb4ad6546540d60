"""Makes a run's traces/ from its ledger, and answers of bodies that can be read now.

Order and bytes depend on the ledger alone; the manifest is written last, and shards of an earlier
export that are not in it are removed. Never removes what it did not write.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import orjson
import polars as pl

from distill.files.find import is_known
from distill.files.ours import is_ours, refuse_foreign
from distill.files.write import write_json, write_parquet
from distill.ledger import Answered, Ledger
from distill.ledger.unread import adopt, unread
from distill.rows import Message, Problem, Row, Trace, to_frame
from distill.teachers.continuing import joined
from distill.teachers.finish import FINISHED
from distill.teachers.wire import MalformedReply, parse

MANIFEST = "manifest.json"
SHARD_NAME = re.compile(r"part-\d{5}\.parquet")
Part = Literal["reasoning", "response"]
PIECE = 100  # rows that are Python objects at one time
SHARD = 2_000  # rows of one Parquet file: about 40 MB of text at R1's mean length


def export_traces(
    ledger: Ledger,
    out: Path,
    *,
    plan: str,
    problems: int,
    samples: int,
    render: Callable[[Problem], tuple[Message, ...]],
    becomes: Part | None = None,
) -> int:
    """Writes ``out``/part-*.parquet and ``out``/manifest.json; returns the number of rows.

    Without any row there is one shard that holds only the columns.

    Args:
        ledger: of the run.
        out: the folder of the traces.
        plan: answers under which plan.
        problems: of so many problems, from the start of the set.
        samples: the first so many answers of each; what else there is stays in the ledger.
        render: a problem's messages.
        becomes: the answers replace that part of the traces which were their prompts.

    Raises:
        UserError: ``out`` holds files that are not of a run.
    """
    refuse_mixing(out)
    shards: dict[str, int] = {}
    (out / MANIFEST).unlink(missing_ok=True)
    wanted = ledger.answered(plan=plan, problems=problems, samples=samples)
    rows = (_row(answered, render, becomes, samples) for _, answered in wanted)
    for i, part in enumerate(_parts(rows)):
        name = f"part-{i:05}.parquet"
        write_parquet(out / name, part)
        shards[name] = part.height
    for stale in out.glob("part-*.parquet"):
        if SHARD_NAME.fullmatch(stale.name) and stale.name not in shards:
            stale.unlink()
    total = sum(shards.values())
    write_json(out / MANIFEST, {"rows": total, "shards": shards, "plan": plan})
    return total


def refuse_mixing(out: Path) -> None:
    """Raises if an export to ``out`` would replace, or be read together with, someone's files.

    Without its manifest (an export was interrupted) shards count as the run's, and nothing else.
    With it, other files may lie beside them, if they are not data. Hidden files do not matter.

    Raises:
        UserError: names the first such file.
    """
    ours = is_ours(out, {MANIFEST: "plan"})
    shown = sorted(p for p in out.rglob("*") if p.is_file() and p.name[0] != ".")
    others = (p for p in shown if not SHARD_NAME.fullmatch(p.relative_to(out).as_posix()))
    left = {out / MANIFEST} if ours else set()
    refuse_foreign(
        (p for p in others if p not in left and (is_known(p) or not ours)), by="distill generate"
    )


def _parts(rows: Iterator[Row]) -> Iterator[pl.DataFrame]:
    """At least one part: a table without rows still tells a reader its columns."""
    yield _part(rows)
    while (part := _part(rows)).height:
        yield part


def _part(rows: Iterator[Row]) -> pl.DataFrame:
    """The next SHARD rows; few of them at once as Python objects, which are twice the size."""
    tables = [to_frame(islice(rows, PIECE)) for _ in range(SHARD // PIECE)]
    return pl.concat(tables)


def _row(
    answered: Answered,
    render: Callable[[Problem], tuple[Message, ...]],
    becomes: Part | None,
    samples: int,
) -> Row:
    problem, reply = answered.problem, joined(answered.bodies)
    row = Row(
        id=problem.id,
        sample=answered.sample,
        domain=problem.domain,
        source=problem.source,
        messages=render(problem),
        gold=problem.gold,
        verify=problem.verify,
        reasoning=reply.reasoning,
        response=reply.response,
        finish_reason=reply.finish_reason,
        teacher=reply.model,
        prompt_tokens=answered.prompt_tokens,
        reasoning_tokens=answered.reasoning_tokens,
        completion_tokens=answered.completion_tokens,
        cost_usd=answered.cost_usd,
    )
    if becomes is None or problem.fields is None:
        return row
    return _replaced(row, becomes, Trace.read(problem.fields), samples)


def _replaced(row: Row, becomes: Part, trace: Trace, samples: int) -> Row:
    """The trace that was the prompt, with one part replaced by the answer.

    Its counts of tokens are unknown: those of the answer are not those of the trace.
    """
    return replace(
        row,
        id=trace.id,
        sample=trace.sample * samples + row.sample,
        messages=trace.messages,
        teacher=" > ".join(filter(None, (trace.teacher, row.teacher))),
        prompt_tokens=None,
        reasoning_tokens=None,
        completion_tokens=None,
        reasoning=row.response if becomes == "reasoning" else trace.reasoning,
        response=row.response if becomes == "response" else trace.response,
    )


def read_again(ledger: Ledger, *, plan: str, samples: int, max_tokens: int) -> int:
    """How many answers that an earlier version could not read are answers now; they were paid for.

    Args:
        ledger: of the run.
        plan: the digest of the plan whose requests count.
        samples: of a problem.
        max_tokens: what an answer was allowed.
    """
    numbers = orjson.dumps(list(range(samples))).decode()
    found = 0
    for kept in unread(ledger):
        try:
            reply = parse(kept.body)
        except MalformedReply:
            continue
        if reply.finish_reason in FINISHED:
            found += adopt(
                ledger,
                kept,
                finish=reply.finish_reason,
                model=reply.model,
                plan=plan,
                samples=numbers,
                max_tokens=max_tokens,
            )
    return found
