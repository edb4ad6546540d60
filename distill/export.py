"""Makes a run's traces/ from its ledger. Does not ask anything.

Order and bytes depend on the ledger alone; the manifest is written last, and shards of an earlier
export that are not in it are removed. Never removes what it did not write.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from distill.errors import UserError
from distill.files.find import is_known
from distill.files.write import read_json, write_json, write_parquet
from distill.ledger import Answered, Ledger
from distill.rows import Message, Row, to_frame
from distill.teachers.wire import parse

MANIFEST = "manifest.json"
SHARD_NAME = re.compile(r"part-\d{5}\.parquet")
SHARD = 2_000  # rows of one Parquet file: about 40 MB of text at R1's mean length


def export_traces(
    ledger: Ledger,
    out: Path,
    *,
    plan: str,
    render: Callable[[str], tuple[Message, ...]],
) -> int:
    """Writes ``out``/part-*.parquet and ``out``/manifest.json; returns the number of rows.

    Without any row there is one shard that holds only the columns.

    Raises:
        UserError: ``out`` holds files that are not of a run.
    """
    refuse_foreign(out)
    shards: dict[str, int] = {}
    (out / MANIFEST).unlink(missing_ok=True)
    for i, part in enumerate(_parts(ledger.answered(plan=plan), SHARD)):
        name = f"part-{i:05}.parquet"
        write_parquet(out / name, to_frame(_row(a, render) for a in part))
        shards[name] = len(part)
    for stale in out.glob("part-*.parquet"):
        if SHARD_NAME.fullmatch(stale.name) and stale.name not in shards:
            stale.unlink()
    rows = sum(shards.values())
    write_json(out / MANIFEST, {"rows": rows, "shards": shards, "plan": plan})
    return rows


def refuse_foreign(out: Path) -> None:
    """Raises if an export to ``out`` would replace, or be read together with, someone's files.

    Without its manifest (an export was interrupted) shards count as the run's, and nothing else.
    With it, other files may lie beside them, if they are no data. Hidden files are no matter.

    Raises:
        UserError: names the first such file.
    """
    found = read_json(out / MANIFEST)
    mine = isinstance(found, dict) and "plan" in found
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name[0] != "."):
        name = path.relative_to(out).as_posix()
        if SHARD_NAME.fullmatch(name) or (mine and (name == MANIFEST or not is_known(path))):
            continue
        msg = f"{path}: was not made by distill; next: move it away, or choose another -o"
        raise UserError(msg)


def _parts(answers: Iterator[Answered], size: int) -> Iterator[list[Answered]]:
    """At least one part: a table without rows still tells a reader its columns."""
    yield list(islice(answers, size))
    while part := list(islice(answers, size)):
        yield part


def _row(answered: Answered, render: Callable[[str], tuple[Message, ...]]) -> Row:
    problem, reply = answered.problem, parse(answered.body)
    return Row(
        id=problem.id,
        sample=answered.sample,
        domain=problem.domain,
        source=problem.source,
        messages=render(problem.question),
        gold=problem.gold,
        verify=problem.verify,
        reasoning=reply.reasoning,
        response=reply.response,
        finish_reason=reply.finish_reason,
        teacher=reply.model,
        prompt_tokens=reply.prompt_tokens,
        reasoning_tokens=reply.reasoning_tokens,
        completion_tokens=reply.completion_tokens,
        cost_usd=answered.cost_usd,
    )
