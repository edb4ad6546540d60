"""``distill filter``: rows → OUT/kept/, OUT/dropped/ with a reason each, OUT/report.json.

Measures and judges unit by unit, chooses over the whole set by small columns, then writes unit by
unit. What was measured stays in OUT/signals/: after a crash, or for another recipe, only what is
missing is measured. The report is written last.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import Exit
from distill.files.done import fingerprint, is_done
from distill.files.find import left_out
from distill.files.lock import folder_lock
from distill.files.read import frames, own_columns
from distill.files.write import write_parquet
from distill.filtering import stored
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
from distill.filtering.measure import measure
from distill.filtering.prepare import Prepared, prepare
from distill.filtering.report import report
from distill.filtering.selection import choose
from distill.filtering.shuffle import gather, groups, places
from distill.filtering.steps import Job, measured, steps
from distill.filtering.units import Source, Unit, source, units
from distill.filtering.workers import Crew, Engine
from distill.filtering.write import KEPT, write, write_empty
from distill.signals.settings import Settings
from distill.terminal.progress import progress

log = logging.getLogger("distill")


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
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
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
        workers: processes that measure and write; the result is the same for any number.
        engine: ``local`` processes, or ``ray`` tasks (a cluster where RAY_ADDRESS names one; every
            machine of it must see DATA and ``out``).
        all_signals: measure everything on every row, for audits.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: run each answer's code in a jail of its own.
        dry_run: check recipe and data; write nothing.
        force: replace the result of another recipe or input.

    Raises:
        UserError: recipe or data unusable; data in the result that it replaces, or changed while
            it was read; or ``out`` holds what distill did not make.
    """
    folder = Path(out)
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(recipe, folder, overrides, settings, all_signals=all_signals)
    refuse_own_input(data, folder)
    if names := left_out(data):
        log.warning("not read, of kinds that distill does not read: %s", ", ".join(names[:5]))
    if dry_run:
        rows = sum(frame.height for frame in frames(data, limit=limit))
        log.info("would judge %d rows by %d rules", rows, len(ready.recipe.rules))
        return Exit.DONE
    return _result(ready, source(data), limit, Crew(workers, engine), force=force)


def _result(ready: Prepared, found: Source, limit: int | None, crew: Crew, *, force: bool) -> Exit:
    """Makes the result, unless it is there."""
    folder = ready.job.folder
    wanted = _wanted(ready, found, limit)
    with folder_lock(folder):
        if is_done(folder / REPORT, wanted, force=force):
            (folder / UNFINISHED).unlink(missing_ok=True)  # the last kill may have left it
            log.info("already done: %s", folder / REPORT)
            return Exit.DONE
        refuse_unsafe(folder)
        made = units(found, folder / ROWS, limit=limit)
        _refuse_unjailed(made, ready)
        clear(folder)
        if ready.job.judging:
            ready.job.judging.collect()
        said = _filtered(made, ready, crew)
        found.refuse_changed()
        finish(folder, made, said | {"fingerprint": wanted})
    _warn_of_unknown(said, ready.recipe.rules)
    log.info("kept %d of %d rows: %s", said["kept"], said["read"], folder / KEPT)
    return Exit.DONE


def _wanted(ready: Prepared, found: Source, limit: int | None) -> str:
    modules = stored.known(measured(steps(ready.job)))
    return fingerprint(
        recipe=ready.recipe.model_dump(mode="json"),
        data=found.digest,
        judge=ready.job.judging.digest if ready.job.judging else None,
        files=dict(ready.job.files),
        versions={module.__name__: module.VERSION for module in modules},
        limit=limit,
        all_signals=ready.job.all_signals,
    )


def _refuse_unjailed(made: Sequence[Unit], ready: Prepared) -> None:
    """Refuses before anything is measured, if answers' code is to be run and no jail is there."""
    asked = "verdict" in ready.job.rules.needed or ready.job.all_signals
    if not asked or ready.job.rules.settings.unsafe_no_sandbox:
        return
    kinds = (
        own_columns(path, ["verify"])["verify"] for path in dict.fromkeys(u.path for u in made)
    )
    if any((kind == "code").any() for kind in kinds):
        from distill.jail.probe import jail_or_refuse

        jail_or_refuse()


def _filtered(made: Sequence[Unit], ready: Prepared, crew: Crew) -> dict[str, Any]:
    """Measures, chooses and writes every row; returns what the report says of it."""
    job, select = ready.job, ready.recipe.select
    judged = _judged(made, ready, crew)
    near = partial(near_copies, units=made, near=select.near, scratch=job.folder / TEXTS, crew=crew)
    choice = choose(judged, select, ready.by, near)
    fates = judged.select("id", "sample", "text_bytes", choice.reasons)
    fates = fates.with_columns(places(fates)) if select.shuffle else fates
    _write(made, fates.drop("id", "sample", "text_bytes"), job, crew)
    if select.dedupe is not None:
        write_parquet(job.folder / DUPLICATES, _named(choice.duplicates, judged))
    return report(judged, choice, ready.recipe)


def _judged(made: Sequence[Unit], ready: Prepared, crew: Crew) -> pl.DataFrame:
    """What selection looks at, of every row."""
    small = []
    with progress("measured", made[-1].after) as shown:
        for table in crew.map(partial(measure, job=ready.job), made):
            small.append(table)
            shown.advance(table.height)
    return pl.concat(small)


def _write(made: Sequence[Unit], fates: pl.DataFrame, job: Job, crew: Crew) -> None:
    tasks = ((unit, fates[unit.before : unit.after]) for unit in made)
    with progress("written", made[-1].after) as shown:
        for rows in crew.map(partial(write, job=job), tasks):
            shown.advance(rows)
    for _ in crew.map(gather, groups(job.folder)):
        pass
    write_empty(job)


def _named(copies: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """The same with keys instead of places in the set."""
    gone, stays = (judged[copies[name]] for name in ("row", "keeps_row"))
    return pl.DataFrame(
        [
            *gone.select("id", "sample"),
            *stays.select(keeps_id="id", keeps_sample="sample"),
            copies["jaccard"],
        ]
    )


def _warn_of_unknown(said: dict[str, Any], rules: dict[str, str]) -> None:
    """Says what to do where a rule had nothing to decide by: usually a column that is not there."""
    for name, rule in rules.items():
        count = said["reasons"].get(f"{name}_unknown", 0)
        if count:
            log.warning(
                "%d rows do not say what rule %s asks for and were dropped; to let them pass: "
                '--set "rules.%s=COALESCE(%s, TRUE)"',
                count,
                name,
                name,
                rule,
            )
