"""Compiles a recipe's rules and judges measured rows by them.

A rule is a polars SQL expression over one row: its columns and its signals. The first broken rule
is the row's reason. What cannot be decided (null) does not pass: the reason is
``<rule>_unknown``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from distill.errors import UserError, first_line, nearest
from distill.rows import SCHEMA
from distill.signals import MODULES, Signal, all_columns
from distill.signals.settings import PLAIN, Settings, refuse_unserved
from distill.sql import exact, looks_across, parse_sql


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to drop a row: the row is kept only if ``sql`` is true."""

    name: str
    sql: str
    columns: tuple[str, ...]  # of the row or of signals, in order of first use


@dataclass(frozen=True, slots=True)
class Rules:
    """Checked rules, in the order in which they are tried; small and picklable."""

    where: str  # the recipe's path, for error texts
    rules: tuple[Rule, ...]
    needed: tuple[str, ...]  # signal columns, cheap ones first
    settings: Settings  # of the signals


def compile(
    rules: Mapping[str, str],
    where: str,
    *,
    measure: Sequence[str] = (),
    settings: Settings = PLAIN,
    signals: Sequence[Signal] = MODULES,
) -> Rules:
    """The rules of a recipe, each checked against the columns that exist.

    ``measure`` names signals that are wanted in the result although no rule reads them;
    ``signals`` are all that there are, the user's own too.

    Raises:
        UserError: not SQL, an unknown column, not true-or-false, or looks at other rows; or a
            setting that a signal needs is missing.
    """
    columns = all_columns(signals)
    known = {**dict(SCHEMA), **columns}
    checked = tuple(
        _rule(name, sql, known, f"{where}: rules.{name}") for name, sql in rules.items()
    )
    for rule in checked:
        if rule.name.endswith("_unknown") and rule.name.removesuffix("_unknown") in rules:
            msg = f"{where}: rules.{rule.name}: is what undecided rows are called; rename the rule"
            raise UserError(msg)
    for name in measure:
        if name not in columns:
            msg = f"{where}: measure: no signal {name!r}; {nearest(name, columns)}"
            raise UserError(msg)
    read = {name for rule in checked for name in rule.columns}
    needed = tuple(name for name in columns if name in read or name in measure)
    refuse_unserved(settings, where, needed)
    return Rules(where, checked, needed, settings)


def judge(frame: pl.DataFrame, rules: Rules) -> pl.Series:
    """The reason of each row of a measured table; null where every rule holds.

    Raises:
        UserError: a rule fails on a value, such as a cast of a text that is no number.
    """
    reason = pl.Series("reason", [None] * frame.height, dtype=pl.String)
    for rule in rules.rules:
        reason = _or_broken(reason, frame, rule, rules.where)
    return reason


def _rule(name: str, sql: str, known: Mapping[str, Any], at: str) -> Rule:
    try:
        expression = parse_sql(sql)
        columns = tuple(dict.fromkeys(expression.meta.root_names()))
    except pl.exceptions.PolarsError as error:
        msg = f"{at}: not an SQL expression: {first_line(error)}"
        raise UserError(msg) from None
    for column in columns:
        if column not in known:
            msg = f"{at}: no such column {column!r}; {nearest(column, known)}"
            raise UserError(msg)
    if not columns:
        msg = f"{at}: {sql!r}: names no column, so it decides nothing"
        raise UserError(msg)
    if part := looks_across(expression):
        what = f"looks at other rows, or distill does not know it ({part})"
        msg = f"{at}: {sql!r}: {what}; a rule judges each row by itself"
        raise UserError(msg)
    _check_type(expression, {column: known[column] for column in columns}, at)
    return Rule(name, sql, columns)


def _check_type(expression: pl.Expr, schema: Mapping[str, Any], at: str) -> None:
    blank = _signed(pl.DataFrame(schema=schema))
    try:
        signed = exact(expression)
        results = [frame.select(signed) for frame in (blank, blank.clear(2))]
    except pl.exceptions.PolarsError as error:
        msg = f"{at}: cannot be evaluated: {first_line(error)}"
        raise UserError(msg) from None
    kind = results[0].dtypes[0]
    if kind != pl.Boolean:
        msg = f"{at}: gives {kind}; a rule must be true or false, such as total_tokens <= 16384"
        raise UserError(msg)
    if [result.height for result in results] != [0, 2]:
        msg = f"{at}: looks at other rows; a rule judges each row by itself"
        raise UserError(msg)


def _or_broken(reason: pl.Series, table: pl.DataFrame, rule: Rule, where: str) -> pl.Series:
    """``reason``, filled in by this rule where it is still null; no other row is looked at."""
    alive = reason.is_null()
    values = _signed(table.select(rule.columns).filter(alive))
    try:
        holds = values.select(holds=exact(parse_sql(rule.sql))).to_series()
    except pl.exceptions.PolarsError as error:
        msg = f"{where}: rules.{rule.name}: fails on this data: {first_line(error)}"
        raise UserError(msg) from None
    unknown = pl.lit(f"{rule.name}_unknown")
    says = pl.when(holds.is_null()).then(unknown).when(~holds).then(pl.lit(rule.name))
    return reason.clone().scatter(alive.arg_true(), pl.select(says).to_series())


def _signed(table: pl.DataFrame) -> pl.DataFrame:
    """The values as rules see them: integers with a sign, null instead of NaN."""
    whole, real = pl.selectors.integer(), pl.selectors.float()
    return table.with_columns(whole.cast(pl.Int64, strict=False), real.fill_nan(None))
