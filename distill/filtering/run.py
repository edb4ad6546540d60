"""One ``distill filter``, from DATA to the report.

Measures and judges unit by unit, selects over the whole set by small columns, then writes unit by
unit. The report is written last.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import Exit, UserError, nearest
from distill.files.done import fingerprint, is_done
from distill.files.find import left_out
from distill.files.inputs import Data, inputs_of
from distill.files.lock import folder_lock
from distill.files.read import frames, own_columns
from distill.files.write import read_json, write_parquet
from distill.filtering.copies import near_copies
from distill.filtering.folder import (
    DUPLICATES,
    REPORT,
    ROWS,
    TEXTS,
    UNFINISHED,
    clear,
    finish,
    refuse_own_input,
    refuse_unsafe,
)
from distill.filtering.lacks import lacks, say, shell_line
from distill.filtering.measure import measure
from distill.filtering.prepare import Prepared
from distill.filtering.report import report
from distill.filtering.rules import Rule
from distill.filtering.selection import choose
from distill.filtering.shuffle import gather, groups, places
from distill.filtering.steps import Job
from distill.filtering.units import Source, Unit, source, units
from distill.filtering.workers import Workers
from distill.filtering.write import KEPT, write, write_empty
from distill.recipes.filters import FilterRecipe
from distill.terminal.progress import progress
from distill.verify.own import digests

log = logging.getLogger("distill")


def run_filter(
    ready: Prepared,
    data: Data,
    *,
    limit: int | None,
    workers: Workers,
    dry_run: bool,
    force: bool,
    again: Sequence[str] = (),
) -> Exit:
    """Filters DATA as the recipe says; see ``distill.filter`` for the arguments.

    ``again``: the words of a command that does the same, for what is said to the user.

    Raises:
        UserError: DATA is unusable, inside the result that it would replace, or changed while it
            was read; or the folder holds what distill did not make.
    """
    refuse_own_input(data, ready.job.folder)
    if names := [name for one in inputs_of(data) for name in left_out(one.data)]:
        log.warning("not read, of kinds that distill does not read: %s", ", ".join(names[:5]))
    if dry_run:
        rows = sum(frame.height for frame in frames(data, limit=limit, mapped=ready.mapped))
        log.info("would judge %d rows by %d rules", rows, len(ready.recipe.rules))
        return Exit.DONE
    return _result(ready, source(data), limit, workers, force=force, again=again)


def _result(
    ready: Prepared,
    found: Source,
    limit: int | None,
    workers: Workers,
    *,
    force: bool,
    again: Sequence[str],
) -> Exit:
    """Makes the result, unless it is there. One that kept nothing is replaced by another."""
    folder = ready.job.folder
    wanted = _fingerprint(ready, found, limit)
    with folder_lock(folder):
        if is_done(folder / REPORT, wanted, force=force or _kept_nothing(folder, ready.recipe)):
            (folder / UNFINISHED).unlink(missing_ok=True)  # a kill just before the end leaves it
            log.info("already done: %s", folder / REPORT)
            return Exit.DONE
        refuse_unsafe(folder)
        made = units(found, folder / ROWS, limit=limit, mapped=ready.mapped)
        _refuse_unjailed(made, ready.job)
        _refuse_unmatched(made, ready)
        clear(folder)
        if ready.job.judging:
            ready.job.judging.collect()
        said = _filtered(made, ready, workers)
        found.refuse_changed()
        lacking = lacks(made, ready.job.rules, judged=ready.job.judging is not None)
        finish(folder, made, said | {"fingerprint": wanted})
    lacked = {rule.name for lack in lacking for rule in lack.rules}
    _warn_of_unknown(said, [rule for rule in ready.job.rules.rules if rule.name not in lacked])
    say(lacking, said, again)
    log.info("kept %d of %d rows: %s", said["kept"], said["read"], folder / KEPT)
    return Exit.DONE


def _kept_nothing(folder: Path, recipe: FilterRecipe) -> bool:
    """Whether a result of another recipe is there and kept no row: the first try, changed now."""
    there = read_json(folder / REPORT)
    known = isinstance(there, dict) and isinstance(there.get("fingerprint"), str)
    return (
        known and there.get("kept") == 0 and there.get("recipe") != recipe.model_dump(mode="json")
    )


def _fingerprint(ready: Prepared, found: Source, limit: int | None) -> str:
    return fingerprint(
        recipe=ready.recipe.model_dump(mode="json"),
        data=found.digest,
        judge=ready.job.judging.digest if ready.job.judging else None,
        files=dict(ready.job.files),
        versions=_versions(ready.job),
        limit=limit,
        all_signals=ready.job.all_signals,
        **({"checks": checks} if (checks := digests(ready.job.rules.settings.checks)) else {}),
    )


def _versions(job: Job) -> dict[str, int | str]:
    """Of the signals that the result depends on."""
    used = [step for step in job.steps if not isinstance(step, Rule)]
    return {module.__name__: module.VERSION for module in used}


def _refuse_unjailed(made: Sequence[Unit], job: Job) -> None:
    """Refuses, before anything is measured, to run the answers' code where there is no jail."""
    asked = "verdict" in job.rules.needed or job.all_signals
    if not asked or job.rules.settings.unsafe_no_sandbox:
        return
    paths = dict.fromkeys(unit.path for unit in made)
    if any((own_columns(path, ["verify"])["verify"] == "code").any() for path in paths):
        from distill.jail.probe import jail_or_refuse

        jail_or_refuse()


def _refuse_unmatched(made: Sequence[Unit], ready: Prepared) -> None:
    """Refuses, before anything is measured, a quota of a domain or source that no row has."""
    quotas = ready.recipe.select.quota
    if not quotas:
        return
    paths = dict.fromkeys(unit.path for unit in made)
    tables = (own_columns(path, ["domain", "source", "verify"]) for path in paths)
    there = pl.concat([table.select("domain", "source").unique() for table in tables])
    for domain, quota in quotas.items():
        sources = there.filter(pl.col("domain") == domain)["source"].unique()
        key = f"{ready.job.rules.where}: select.quota.{domain}"
        if quota.total != 0 and sources.is_empty():
            names = ", ".join(sorted(there["domain"].unique()))
            msg = f"{key}: no row has this domain; DATA has {names}"
            raise UserError(msg)
        for name, wanted in quota.sources.items():
            if wanted and name not in sources:
                msg = f"{key}.sources: no row has the source {name!r}; {nearest(name, sources)}"
                raise UserError(msg)


def _filtered(made: Sequence[Unit], ready: Prepared, workers: Workers) -> dict[str, Any]:
    """Measures, selects and writes every row; returns the report."""
    job, select = ready.job, ready.recipe.select
    judged = _judged(made, job, workers)
    scratch = job.folder / TEXTS
    near = partial(near_copies, units=made, near=select.near, scratch=scratch, workers=workers)
    choice = choose(judged, select, ready.by, near)
    fates = judged.select("id", "sample", "text_bytes", choice.reasons)
    fates = fates.with_columns(places(fates)) if select.shuffle else fates
    _write(made, fates.drop("id", "sample", "text_bytes"), job, workers)
    if select.dedupe is not None:
        write_parquet(job.folder / DUPLICATES, _by_key(choice.duplicates, judged))
    return report(judged, choice, ready.recipe)


def _judged(made: Sequence[Unit], job: Job, workers: Workers) -> pl.DataFrame:
    """What selection looks at, of every row."""
    small = []
    with progress("measured", made[-1].after) as shown:
        for table in workers.map(partial(measure, job=job), made):
            small.append(table)
            shown.advance(table.height)
    return pl.concat(small)


def _write(made: Sequence[Unit], fates: pl.DataFrame, job: Job, workers: Workers) -> None:
    tasks = ((unit, fates[unit.before : unit.after]) for unit in made)
    with progress("written", made[-1].after) as shown:
        for rows in workers.map(partial(write, job=job), tasks):
            shown.advance(rows)
    for _ in workers.map(gather, groups(job.folder)):
        pass
    write_empty(job)


def _by_key(copies: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """The same table with keys instead of row numbers."""
    gone, stays = (judged[copies[name]] for name in ("row", "keeps_row"))
    return pl.DataFrame(
        [
            *gone.select("id", "sample"),
            *stays.select(keeps_id="id", keeps_sample="sample"),
            copies["jaccard"],
        ]
    )


def _warn_of_unknown(said: dict[str, Any], rules: Sequence[Rule]) -> None:
    """Warns of rules that had nothing to decide by, usually because a column is missing."""
    for rule in rules:
        count = said["reasons"].get(f"{rule.name}_unknown", 0)
        if count:
            instead = "looks_whole" if {"finished", "finish_reason"} & set(rule.columns) else "TRUE"
            log.warning(
                "%d rows do not say what rule %s asks for and were dropped; to let them pass: "
                "--set %s",
                count,
                rule.name,
                shell_line([f"rules.{rule.name}=COALESCE({rule.sql}, {instead})"]),
            )
