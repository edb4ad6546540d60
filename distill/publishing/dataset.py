"""The card of a filtered set: how much was read, dropped and why, and what is in it.

It only says what the report and the rows say, and does not guess a licence.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.publishing.markdown import code, front_matter, page, recipe, table
from distill.rows import SCHEMA
from distill.verify.isolation import UNSAFE

# The Hub's own names (hub-docs, datasetcard.md), each with the smallest row count above it.
SIZES = (
    ("n<1K", 1_000),
    ("1K<n<10K", 10_000),
    ("10K<n<100K", 100_000),
    ("100K<n<1M", 1_000_000),
    ("1M<n<10M", 10_000_000),
    ("10M<n<100M", 100_000_000),
)
TOKENS = ("prompt_tokens", "reasoning_tokens", "completion_tokens")
COUNTED = ("domain", "source", "teacher")
LISTED = 30  # values of one column on the card; one line sums up the rest
FIELDS = {
    "id": "of the question; (id, sample) is the key",
    "sample": "0 … k-1: which answer to that question",
    "domain": "math, code, stem, logic or general",
    "source": "where the question comes from",
    "messages": "what the teacher was asked; null if unknown",
    "gold": "reference answer, or JSON of tests; null if none",
    "verify": "how the answer can be checked; null if nothing to check against",
    "reasoning": "the teacher's thinking, tags removed; empty if none",
    "response": "what follows the thinking",
    "finish_reason": "stop, length, …; null if unknown",
    "teacher": "model name as the server reported it; null if unknown",
    "prompt_tokens": "from usage; null if unknown",
    "reasoning_tokens": "from usage; null if unknown",
    "completion_tokens": "from usage, reasoning included; null if unknown",
    "cost_usd": "by the recipe's price table; null if unknown",
}
LIMITS = """\
- The answers were written by models. A rule only catches what it measures: a kept row can still \
be wrong.
- `license: other`: distill does not know which terms apply. Those of the teacher, and those of \
the sources of the questions, do; read them before you train on this set or pass it on.
- The counts above are of this set as it was pushed."""


def dataset_card(report: Mapping[str, Any], shards: Sequence[Path], *, repo_id: str) -> str:
    """README.md of a filtered set: ``report`` is its report.json, ``shards`` its kept/*.parquet.

    Raises:
        UserError: the report's numbers do not add up, or do not match the shards.
    """
    rows = pl.scan_parquet(list(shards), glob=False)
    kept = int(rows.select(pl.len()).collect().item())
    _check(report, kept)
    meta = {
        "license": "other",
        "pretty_name": repo_id.rpartition("/")[2],
        "task_categories": ["text-generation"],
        "size_categories": [next((n for n, top in SIZES if kept < top), "100M<n<1B")],
        "tags": ["reasoning", "distillation", "distill"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
            }
        ],
    }
    return page(
        front_matter(meta),
        f"# {repo_id.rpartition('/')[2]}",
        f"{kept:,} reasoning traces, filtered with distill.",
        "## Use",
        code("python", _usage(repo_id)),
        "## What was kept",
        _funnel(report),
        *(_counts(rows, name) for name in COUNTED),
        "## Tokens",
        _tokens(rows),
        "## Fields",
        _fields(rows.collect_schema()),
        *recipe(report.get("recipe")),
        "## Limits",
        *_unsafe(report.get(UNSAFE)),
        LIMITS,
    )


def _unsafe(counts: Any) -> tuple[str, ...]:
    """A warning if programs could have read what they were checked against."""
    if not isinstance(counts, Mapping):
        return ()
    return (
        f"**Programs of {counts.get('kept')} kept rows were checked without a sandbox** "
        f"(`--unsafe-no-sandbox`, column `{UNSAFE}`): a hostile one may have passed.",
    )


def _check(report: Mapping[str, Any], rows: int) -> None:
    numbers = {}
    for name in ("read", "kept", "dropped"):
        numbers[name] = report.get(name)
        if type(numbers[name]) is not int:
            msg = f"report.json: {name}: missing or no number; next: run distill filter again"
            raise UserError(msg)
    reasons = report.get("reasons")
    if numbers["kept"] != rows:
        msg = f"report.json: kept: {numbers['kept']}, but kept/ holds {rows} rows"
    elif numbers["read"] != numbers["kept"] + numbers["dropped"]:
        msg = "report.json: read: {read} is not kept {kept} + dropped {dropped}".format(**numbers)
    elif reasons is not None and _total(reasons) != numbers["dropped"]:
        msg = f"report.json: reasons: do not add up to dropped {numbers['dropped']}"
    else:
        return
    raise UserError(msg + "; next: run distill filter again")


def _total(reasons: Any) -> int | None:
    counts = list(reasons.values()) if isinstance(reasons, Mapping) else []
    whole = isinstance(reasons, Mapping) and all(type(count) is int for count in counts)
    return sum(counts) if whole else None


def _usage(repo_id: str) -> str:
    return (
        "from datasets import load_dataset\n\n"
        f'rows = load_dataset("{repo_id}", split="train")\n'
        'print(rows[0]["reasoning"], rows[0]["response"])'
    )


def _funnel(report: Mapping[str, Any]) -> str:
    read = report["read"]
    reasons = report.get("reasons")
    if reasons is None:
        reasons = {"dropped": report["dropped"]}
    steps = [("read", read), *reasons.items(), ("kept", report["kept"])]
    # A reason may be called "read" or "kept" too; the second column tells them apart.
    kinds = ["", *("dropped" for _ in reasons), ""]
    lines = [
        (name, kind, count, f"{count / read:.1%}" if read else "")
        for (name, count), kind in zip(steps, kinds, strict=True)
    ]
    return table(("step", "", "rows", "share"), lines)


def _counts(rows: pl.LazyFrame, name: str) -> str:
    if name not in rows.collect_schema():
        return ""
    found = rows.group_by(name).len("rows").sort("rows", name, descending=[True, False]).collect()
    lines = [("(unknown)" if value is None else value, n) for value, n in found.iter_rows()]
    rest = lines[LISTED:]
    if rest:
        lines = [*lines[:LISTED], (f"({len(rest)} more)", sum(n for _, n in rest))]
    return table((name, "rows"), lines)


def _tokens(rows: pl.LazyFrame) -> str:
    schema = rows.collect_schema()
    lines = []
    for name in TOKENS:
        if name not in schema:
            continue
        values = rows.select(name).drop_nulls().collect()[name]
        if values.len():
            cuts = [round(values.quantile(q, "nearest") or 0) for q in (0.5, 0.9, 0.99, 1.0)]
            mean = round(values.cast(pl.Float64).mean() or 0)  # type: ignore[arg-type]
            lines.append((name, values.len(), int(values.cast(pl.UInt64).sum()), mean, *cuts))
    if not lines:
        return "No row says how many tokens it has."
    head = ("tokens", "rows that say", "total", "mean", "median", "90 %", "99 %", "longest")
    return table(head, lines)


def _fields(schema: pl.Schema) -> str:
    ours = [name for name in SCHEMA.names() if name in schema]
    more = [name for name in schema.names() if name not in SCHEMA]
    lines = [(name, _kind(schema[name]), FIELDS[name]) for name in ours]
    lines += [(name, _kind(schema[name]), "further column of this set") for name in more]
    return table(("field", "type", "meaning"), lines)


def _kind(kind: pl.DataType) -> str:
    if isinstance(kind, pl.List):
        inner = kind.inner
        if isinstance(inner, pl.Struct):
            return f"list of {{{', '.join(field.name for field in inner.fields)}}}"
        return f"list of {_kind(inner)}"  # type: ignore[arg-type]
    return str(kind).lower()
