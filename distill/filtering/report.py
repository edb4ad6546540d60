"""What became of the rows of a set, in numbers: report.json.

It also says which quota could not be filled, and how many more rows to ask a teacher for at the
share that was kept.
"""

import logging
import math
from typing import Any

import polars as pl

from distill.filtering.judge.agreement import agreement
from distill.filtering.selection import Choice
from distill.recipes.filters import FilterRecipe, Quota
from distill.verify.isolation import UNSAFE

log = logging.getLogger("distill")
LISTED = 1_000  # contaminated rows that the report names; all of them are in dropped/
HIT = tuple(f"contaminated_{name}" for name in ("by", "row", "kind", "share", "text"))


def report(judged: pl.DataFrame, choice: Choice, recipe: FilterRecipe) -> dict[str, Any]:
    """Everything of report.json but the fingerprint; ``judged`` has a line for each row."""
    table = judged.with_columns(choice.reasons, kept=choice.reasons.is_null())
    kept = int(table["kept"].sum())
    reasons = choice.reasons.drop_nulls().value_counts(sort=True)
    return {
        "read": table.height,
        "kept": kept,
        "dropped": table.height - kept,
        "reasons": dict(sorted(reasons.iter_rows(), key=lambda pair: (-pair[1], pair[0]))),
        "domains": _by(table, "domain"),
        "sources": _by(table, "source"),
        **({"contaminated": _contaminated(table)} if recipe.decontaminate else {}),
        **({"duplicates": _duplicates(choice.duplicates)} if recipe.select.dedupe else {}),
        **_unsafe(table),
        **_judge(judged),
        **({"quotas": _quotas(table, recipe)} if recipe.select.quota else {}),
        "recipe": recipe.model_dump(mode="json"),
    }


def _unsafe(table: pl.DataFrame) -> dict[str, dict[str, int]]:
    """How many rows were checked by running their programs without a jail, if any."""
    if "verdict_detail" not in table.columns:
        return {}
    rows = table.filter(pl.col("verdict_detail").str.starts_with(UNSAFE))
    counts = {"read": rows.height, "kept": int(rows["kept"].sum())}
    return {UNSAFE: counts} if rows.height else {}


def _judge(judged: pl.DataFrame) -> dict[str, Any]:
    """How far the judge and the rules agree, if there is a judge."""
    found = agreement(judged) if "verdict_judge" in judged.columns else None
    if found is None:
        return {}
    log.info("%s", found.line())
    return {"judge": found.json()}


def _by(table: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counted = table.group_by(column).agg(pl.len(), pl.col("kept").sum()).sort(column)
    return {name: {"read": read, "kept": kept} for name, read, kept in counted.iter_rows()}


def _contaminated(table: pl.DataFrame) -> dict[str, Any]:
    hits = table.filter(pl.col("reason") == "contaminated").sort("id", "sample")
    by = hits.group_by("contaminated_by").len().sort("contaminated_by")
    names = {column: column.removeprefix("contaminated_") for column in HIT}
    listed = hits.head(LISTED).select("id", "sample", *HIT).rename(names | {HIT[0]: "benchmark"})
    unknown = int((~table["_compared"]).sum())
    if unknown:
        log.warning(
            "%d rows do not say their question: only their answers were compared with the "
            "benchmarks",
            unknown,
        )
    return {
        "rows": hits.height,
        "questions_unknown": unknown,
        "benchmarks": dict(by.iter_rows()),
        "hits": listed.to_dicts(),
    }


def _duplicates(copies: pl.DataFrame) -> dict[str, int]:
    exact = int((copies["jaccard"] == 1.0).sum())
    return {
        "groups": copies["keeps_row"].n_unique(),
        "exact": exact,
        "near": copies.height - exact,
    }


def _quotas(table: pl.DataFrame, recipe: FilterRecipe) -> list[dict[str, Any]]:
    found = []
    for domain, quota in recipe.select.quota.items():
        mine = table.filter(pl.col("domain") == domain)
        found += [_quota(mine, domain, None, quota.total)] if quota.total is not None else []
        found += [_of_source(mine, domain, name, quota) for name in quota.sources]
    return found


def _of_source(mine: pl.DataFrame, domain: str, source: str, quota: Quota) -> dict[str, Any]:
    rows = mine.filter(pl.col("source") == source)
    return _quota(rows, domain, source, quota.sources[source])


def _quota(rows: pl.DataFrame, domain: str, source: str | None, wanted: int) -> dict[str, Any]:
    """What was wanted and kept; ``ask``: answers to generate, null if no row was kept."""
    kept = int(rows["kept"].sum())
    usable = kept + int((rows["reason"] == "quota").sum())
    share = usable / rows.height if rows.height else 0.0
    short = max(wanted - kept, 0)
    return {
        "domain": domain,
        "source": source,
        "wanted": wanted,
        "kept": kept,
        "short": short,
        "keep_rate": round(share, 4),
        "ask": 0 if not short else math.ceil(short / share) if share else None,
    }
