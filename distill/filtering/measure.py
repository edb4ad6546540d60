"""Measures and judges one unit, reading its texts only if something is not stored yet."""

from dataclasses import replace

import polars as pl

from distill.filtering import hashes, stored
from distill.filtering.judge.verdicts import ATTACHED, VERDICT, apply_judge_votes
from distill.filtering.rules import Rule, Rules, judge
from distill.filtering.steps import Job, shown
from distill.filtering.units import Unit
from distill.signals import COSTLY, Signal, verdict


def measure(unit: Unit, job: Job) -> pl.DataFrame:
    """``job.needed`` and ``reason`` (null: passed) of each row; what is new is stored in OUT.

    Raises:
        UserError: the file cannot be read, or a rule fails on a value.
    """
    try:
        return _measured(unit, job)
    except (MemoryError, OSError) as error:  # they seldom say of what
        error.add_note(f"in the rows {unit.start:,} to {unit.stop:,} of {unit.path}")
        raise


def _measured(unit: Unit, job: Job) -> pl.DataFrame:
    path = job.folder / stored.FOLDER / f"{unit.name}.parquet"
    old = stored.load(path, unit.key, job.tags)
    table = None if old is None else judged(old, None, job)
    if table is None:
        table = _read_and_judged(unit, old, job)
        stored.save(path, table, unit.key, job.measured, job.tags)
    whole = apply_judge_votes(table)
    if "verdict" in job.needed:  # of rows that this job reaches, whatever else is stored
        whole = whole.with_columns(shown(table, job)["verdict"])
    return whole.select(*job.needed, "reason")


def _read_and_judged(unit: Unit, old: pl.DataFrame | None, job: Job) -> pl.DataFrame:
    tables = []
    at = 0
    for frame in unit.rows():
        known = frame.select(stored.SCALARS) if old is None else old.slice(at, frame.height)
        found = judged(known, frame, job)
        if found is not None:
            tables.append(found)
        at += frame.height
    return pl.concat(tables)


def judged(table: pl.DataFrame, frame: pl.DataFrame | None, job: Job) -> pl.DataFrame | None:
    """``table`` with every value that the job needs, and ``reason`` (null: passed).

    Args:
        table: what is known of the rows, at least ``stored.SCALARS``.
        frame: the rows themselves. Without them the result is None if a text has to be read.
        job: what to measure and to judge by.

    Raises:
        UserError: a rule fails on a value.
    """
    small = None if frame is None else hashes.without_oversized(frame)
    reason = pl.Series("reason", [None] * table.height, dtype=pl.String)
    for step in job.steps:
        if isinstance(step, Rule):
            if small is None and texts_of(step):
                return None
            reason = _or_broken(reason, step, table, small, job.rules)
            continue
        every = step.COST < COSTLY or job.all_signals
        lacking = (reason.is_null() | pl.Series([every])) & ~is_measured(table, step)
        if lacking.any():
            texts = frame if step is hashes else small
            if texts is None:
                return None
            found = step.measure(texts.filter(lacking), job.rules.settings)
            table = _with(table, found, lacking)
        elif not set(step.COLUMNS) <= set(table.columns):
            table = table.with_columns(
                pl.lit(None, kind).alias(n) for n, kind in step.COLUMNS.items()
            )
    return table.with_columns(reason)


def _or_broken(
    reason: pl.Series, rule: Rule, table: pl.DataFrame, texts: pl.DataFrame | None, rules: Rules
) -> pl.Series:
    """``reason``, filled in by this rule where it is still null; other rows are not looked at."""
    alive = reason.is_null()
    read = {"id", *rule.columns, *VERDICT, *ATTACHED}
    part = table.select(name for name in table.columns if name in read).filter(alive)
    names = texts_of(rule)
    said = texts.select(names).filter(alive) if names and texts is not None else None
    return reason.clone().scatter(alive.arg_true(), broken(rule, part, said, rules))


def broken(rule: Rule, table: pl.DataFrame, texts: pl.DataFrame | None, rules: Rules) -> pl.Series:
    """What one rule alone says of each row; ``texts`` has the texts that it reads, if any.

    Raises:
        UserError: the rule fails on a value.
    """
    names = texts_of(rule)
    whole = apply_judge_votes(table)
    if texts is not None and names:
        whole = whole.hstack(texts.select(names))
    return judge(whole, replace(rules, rules=(rule,)))


def texts_of(rule: Rule) -> list[str]:
    """The texts that a rule reads; they are not stored, so every run reads DATA again."""
    return [name for name in rule.columns if name in stored.TEXTS]


def is_measured(table: pl.DataFrame, module: Signal) -> pl.Series:
    """Which rows have a module's values. A costly one never measures a row as all null.

    A verdict ``error`` is our own failure, such as a jail that did not start: it is verified again,
    as is what lacked a program that may be installed by now.
    """
    if not set(module.COLUMNS) <= set(table.columns):
        return pl.Series([False]).new_from_index(0, table.height)
    if module.COST < COSTLY:
        return pl.Series([True]).new_from_index(0, table.height)
    there = pl.any_horizontal(pl.col(name).is_not_null() for name in module.COLUMNS)
    if module is verdict:
        there &= pl.col("verdict") != "error"
        there &= ~pl.col("verdict_method").is_in(verdict.LACKING).fill_null(value=False)
    return table.select(there).to_series()


def _with(table: pl.DataFrame, found: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """``table`` with ``found`` in ``rows``; other rows keep their values."""
    if rows.all():
        return table.with_columns(found.get_columns())
    at = found.with_columns(_row=rows.arg_true())
    every = table.select(_row=pl.int_range(pl.len(), dtype=pl.get_index_type()))
    spread = every.join(at, on="_row", how="left", maintain_order="left").drop("_row")
    known = [c.name for c in spread.get_columns() if c.name in table.columns]
    merged = [spread[n].zip_with(rows, table[n]) for n in known]
    return table.with_columns(spread.drop(known).get_columns()).with_columns(merged)
