"""``distill filter``: rows → OUT/kept/, OUT/dropped/ with a reason each, OUT/report.json.

Measures and judges batch by batch, chooses over the whole set by small columns, then writes. Only
those small columns of the whole set are ever in memory. The report is written last.
"""

import hashlib
import logging
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl

from distill.engines import Engine, map_tables
from distill.errors import Exit, UserError
from distill.files.done import data_digest, fingerprint, is_done
from distill.files.find import data_files
from distill.files.lock import folder_lock
from distill.files.read import frames
from distill.files.write import read_json, write_json, write_parquet
from distill.progress import progress
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.rows import SCHEMA
from distill.rules import Rules, measure_and_judge
from distill.rules import compile as compile_rules
from distill.selection import NEEDED, choose, preferred
from distill.signals import MODULES

log = logging.getLogger("distill")
PARTS = ("kept", "dropped", "signals")
UNFINISHED = ".unfinished"  # stands in OUT from the first deletion to the report
SHARD = 2_000  # rows of one written Parquet file
TEXTS = ("messages", "gold", "reasoning", "response")
SCALARS = [name for name in SCHEMA.names() if name not in TEXTS]  # small enough to hold of all rows


def filter(
    recipe: str,
    data: str | Path,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    workers: int = 1,
    engine: Engine = "local",
    all_signals: bool = False,
    dry_run: bool = False,
    force: bool = False,
) -> Exit:
    """Splits DATA into rows to train on and rows not to, with the reason of every drop.

    Args:
        recipe: name or path of a filters recipe.
        data: a run, a Parquet or JSONL file, a folder, a glob, or hf://datasets/owner/name.
        out: folder of the result.
        overrides: ``key.path=value`` for values of the recipe.
        limit: only the first so many rows.
        workers: processes that measure.
        engine: ``local`` processes, or ``ray`` tasks (a cluster where RAY_ADDRESS names one).
        all_signals: measure everything on every row, for audits.
        dry_run: check recipe and data; write nothing.
        force: replace the result of another recipe or input.

    Raises:
        UserError: recipe or data unusable; data in the result that it replaces, or changed while
            it was read; or ``out`` holds what distill did not make.
    """
    loaded = load(recipe, FilterRecipe, overrides)
    rules = compile_rules(loaded.recipe.rules, str(loaded.path), measure=loaded.recipe.measure)
    order = preferred(loaded.recipe.select, [*SCALARS, *rules.needed], str(loaded.path))
    folder = Path(out)
    _refuse_own_input(data, folder)
    if dry_run:
        rows = sum(frame.height for frame in frames(data, limit=limit))
        log.info("would judge %d rows by %d rules", rows, len(loaded.recipe.rules))
        return Exit.DONE
    wanted = _wanted(loaded.recipe, data, limit=limit, all_signals=all_signals)
    with folder_lock(folder):
        if is_done(folder / "report.json", wanted, force=force):
            (folder / UNFINISHED).unlink(missing_ok=True)  # the last kill may have left it
            log.info("already done: %s", folder / "report.json")
            return Exit.DONE
        began = time.monotonic()
        _clear(folder)
        work = partial(_measure, rules=rules, all_signals=all_signals)
        tables = map_tables(work, frames(data, limit=limit), workers=workers, engine=engine)
        judged = _collect(tables, folder, order)
        final = choose(judged, loaded.recipe.select, order)
        counts = _write(data, folder, final, limit)
        report = _report(counts, judged, final, loaded.recipe)
        _finish(folder, report, fingerprint=wanted, wall_s=round(time.monotonic() - began, 3))
    _warn_of_unknown(report, loaded.recipe.rules)
    log.info("kept %d of %d rows: %s", report["kept"], report["read"], folder / "kept")
    return Exit.DONE


def _wanted(recipe: FilterRecipe, data: str | Path, *, limit: int | None, all_signals: bool) -> str:
    return fingerprint(
        recipe=recipe.model_dump(mode="json"),
        data=data_digest(data),
        versions={module.__name__: module.VERSION for module in MODULES},
        limit=limit,
        all_signals=all_signals,
    )


def _refuse_own_input(data: str | Path, folder: Path) -> None:
    """Keeps DATA apart from what is removed before DATA is read.

    Raises:
        UserError: a file of DATA is in kept/, dropped/ or signals/ of the result's folder.
    """
    replaced = [(folder / name).resolve() for name in PARTS]
    for path in data_files(data):
        places = (path.resolve(), path.parent.resolve() / path.name)  # a link may lead elsewhere
        if any(place.is_relative_to(part) for place in places for part in replaced):
            msg = (
                f"{path}: is in the result that is to be replaced; choose another -o than {folder}"
            )
            raise UserError(msg)


def _clear(folder: Path) -> None:
    """Removes an earlier or interrupted result; the report first, for it says "done".

    Raises:
        UserError: there are folders or a report of the same names that distill did not make.
    """
    report = read_json(folder / "report.json")
    finished = isinstance(report, dict) and "fingerprint" in report
    mine = finished or (folder / UNFINISHED).exists()
    for name in (*PARTS, "report.json"):
        if (folder / name).exists() and not mine:
            msg = f"{folder / name}: was not made by distill filter; choose another -o"
            raise UserError(msg)
    (folder / UNFINISHED).touch()
    (folder / "report.json").unlink(missing_ok=True)
    for name in PARTS:
        shutil.rmtree(folder / name, ignore_errors=True)


def _warn_of_unknown(report: dict[str, Any], rules: dict[str, str]) -> None:
    """Says what to do where a rule had nothing to decide by: usually a column that is not there."""
    for name, rule in rules.items():
        count = report["reasons"].get(f"{name}_unknown", 0)
        if count:
            log.warning(
                "%d rows do not say what rule %s asks for and were dropped; to let them pass: "
                '--set "rules.%s=COALESCE(%s, TRUE)"',
                count,
                name,
                name,
                rule,
            )


def _finish(folder: Path, report: dict[str, Any], **values: Any) -> None:
    write_json(folder / "report.json", report | values)
    (folder / UNFINISHED).unlink()


def _collect(
    tables: Iterator[pl.DataFrame], folder: Path, order: list[tuple[str, bool]]
) -> pl.DataFrame:
    """Stores every measured table in signals/; returns the columns that selection needs."""
    needed = list(dict.fromkeys([*NEEDED, "source", *(name for name, _ in order)]))
    small = []
    with progress("filter", None) as shown:
        for i, table in enumerate(tables):
            write_parquet(folder / "signals" / f"part-{i:05}.parquet", table)
            small.append(table.select(needed))
            shown.advance(table.height)
    return pl.concat(small)


def _measure(frame: pl.DataFrame, *, rules: Rules, all_signals: bool) -> pl.DataFrame:
    judged = measure_and_judge(frame, rules, all_signals=all_signals)
    hashes = [_hashes(*texts) for texts in _texts(frame)]
    return pl.concat(
        [
            frame.select(SCALARS),
            judged.drop("id", "sample"),
            pl.DataFrame(
                hashes, schema={"prompt_hash": pl.UInt64, "text_hash": pl.UInt64}, orient="row"
            ),
        ],
        how="horizontal",
    )


def _texts(frame: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    for name, messages, reasoning, response in frame.select(
        "id", "messages", "reasoning", "response"
    ).iter_rows():
        asked = [m["content"] for m in messages or () if m["role"] == "user" and m["content"]]
        yield asked[-1] if asked else name, reasoning, response


def _hashes(question: str, reasoning: str, response: str) -> tuple[int, int]:
    """(of the question, of question and answer), NFC-normalised, white space folded."""
    asked = _folded(question)
    return _hash(asked), _hash(f"{asked}\0{_folded(reasoning)}\0{_folded(response)}")


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _write(data: str | Path, folder: Path, reasons: pl.Series, limit: int | None) -> dict[str, int]:
    """Reads DATA again and writes each row to where its reason says; returns rows by folder."""
    waiting: dict[str, list[pl.DataFrame]] = {"kept": [], "dropped": []}
    shards, rows = Counter[str](), Counter[str]()
    start = 0
    signals = sorted((folder / "signals").glob("*.parquet"))
    for frame, path in zip_longest(frames(data, limit=limit), signals):
        measured = _same_rows(frame, path)
        reason = reasons.slice(start, frame.height)
        start += frame.height
        values = measured.drop(*SCHEMA.names(), "prompt_hash", "text_hash", "reason", strict=False)
        whole = pl.concat([frame, values], how="horizontal").with_columns(reason=reason)
        parts = {
            "kept": frame.filter(reason.is_null()),
            "dropped": whole.filter(reason.is_not_null()),
        }
        for name, part in parts.items():
            waiting[name].append(part)
            rows[name] += part.height
            if sum(p.height for p in waiting[name]) >= SHARD:
                _flush(folder / name, waiting[name], shards, name)
    for name, left in waiting.items():
        _flush(folder / name, left, shards, name)
    return dict(rows)


def _same_rows(frame: pl.DataFrame | None, path: Path | None) -> pl.DataFrame:
    """What was measured of exactly these rows: a reason must never land on another row.

    Raises:
        UserError: DATA gave other rows, or more or fewer, than when it was measured.
    """
    if frame is not None and path is not None:
        measured = pl.read_parquet(path)
        hashes = [_hashes(*texts)[1] for texts in _texts(frame)]
        if (
            frame.select(SCALARS).equals(measured.select(SCALARS))
            and measured["text_hash"].to_list() == hashes
        ):
            return measured
    msg = "DATA changed while it was read; run it again"
    raise UserError(msg)


def _flush(folder: Path, parts: list[pl.DataFrame], shards: Counter[str], name: str) -> None:
    """Writes what waits as one shard; the first is written even when empty, for its schema."""
    whole = pl.concat(parts) if parts else None
    parts.clear()
    if whole is not None and (whole.height or not shards[name]):
        write_parquet(folder / f"part-{shards[name]:05}.parquet", whole)
        shards[name] += 1


def _report(
    counts: dict[str, int], judged: pl.DataFrame, final: pl.Series, recipe: FilterRecipe
) -> dict[str, Any]:
    reasons = final.drop_nulls().value_counts(sort=True)
    table = judged.with_columns(kept=final.is_null())
    return {
        "read": judged.height,
        "kept": counts["kept"],
        "dropped": counts["dropped"],
        "reasons": dict(sorted(reasons.iter_rows(), key=lambda pair: (-pair[1], pair[0]))),
        "domains": _by(table, "domain"),
        "sources": _by(table, "source"),
        "recipe": recipe.model_dump(mode="json"),
    }


def _by(table: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counted = table.group_by(column).agg(pl.len(), pl.col("kept").sum()).sort(column)
    return {name: {"read": read, "kept": kept} for name, read, kept in counted.iter_rows()}
