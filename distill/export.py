"""Makes a run's traces/ from its ledger. Does not ask anything.

Order and bytes depend on the ledger alone; the manifest is written last, and shards that are not
in it are removed.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from distill.files.write import write_json, write_parquet
from distill.ledger import Answered, Ledger
from distill.rows import Message, Row, to_frame
from distill.teachers.wire import parse

SHARD = 2_000  # rows of one Parquet file: about 40 MB of text at R1's mean length


def export_traces(
    ledger: Ledger,
    out: Path,
    *,
    plan: str,
    render: Callable[[str], tuple[Message, ...]],
) -> int:
    """Writes ``out``/part-*.parquet and ``out``/manifest.json; returns the number of rows."""
    shards: dict[str, int] = {}
    (out / "manifest.json").unlink(missing_ok=True)
    for i, part in enumerate(_parts(ledger.answered(plan=plan), SHARD)):
        name = f"part-{i:05}.parquet"
        write_parquet(out / name, to_frame(_row(a, render) for a in part))
        shards[name] = len(part)
    for stale in out.glob("*.parquet"):
        if stale.name not in shards:
            stale.unlink()
    rows = sum(shards.values())
    write_json(out / "manifest.json", {"rows": rows, "shards": shards, "plan": plan})
    return rows


def _parts(answers: Iterator[Answered], size: int) -> Iterator[list[Answered]]:
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
