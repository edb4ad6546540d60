"""Compiles a recipe's rules and judges rows by them. Does not measure text and does not select.

A rule is a polars SQL expression over one row: its columns and its signals. The first broken rule
is the row's reason. What cannot be decided (null) is never a pass: the reason is
``<rule>_unknown``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from distill.errors import UserError, first_line, nearest
from distill.rows import SCHEMA
from distill.signals import COSTLY, MODULES, Signal, all_columns, owner
from distill.signals.settings import PLAIN, Settings, refuse_unserved
from distill.sql import looks_across, parse_sql

HERE = "_"  # stands for a part of an expression in the two that follow
SIGNED = pl.col(HERE) + pl.lit(0, pl.Int64)  # an integer gets a sign, a float stays one
NUMBER = pl.col(HERE).fill_nan(None)


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
    extra: tuple[str, ...]  # those of ``needed`` that no rule reads
    settings: Settings  # what the recipe tells its signals


def compile(
    rules: Mapping[str, str],
    where: str,
    *,
    measure: Sequence[str] = (),
    settings: Settings = PLAIN,
) -> Rules:
    """The rules of a recipe, each checked against the columns that exist.

    ``measure`` names signals that are wanted in the result although no rule reads them.

    Raises:
        UserError: not SQL, an unknown column, not true-or-false, or looking beyond its own row; or
            a setting that names what is not there, or is missing for a signal that needs it.
    """
    checked = tuple(_rule(name, sql, f"{where}: rules.{name}") for name, sql in rules.items())
    for rule in checked:
        if rule.name.endswith("_unknown") and rule.name.removesuffix("_unknown") in rules:
            msg = f"{where}: rules.{rule.name}: is what undecided rows are called; rename the rule"
            raise UserError(msg)
    for name in measure:
        if owner(name) is None:
            msg = f"{where}: measure: no signal {name!r}; {nearest(name, all_columns())}"
            raise UserError(msg)
    read = {name for rule in checked for name in rule.columns}
    needed = tuple(name for name in all_columns() if name in read or name in measure)
    extra = tuple(name for name in needed if name not in read)
    refuse_unserved(settings, where, needed)
    return Rules(where, checked, needed, extra, settings)


def judge(frame: pl.DataFrame, rules: Rules) -> pl.Series:
    """The reason of each row of a measured table; null where every rule holds.

    Raises:
        UserError: a rule fails on a value, such as a cast of a text that is no number.
    """
    reason = pl.Series("reason", [None] * frame.height, dtype=pl.String)
    for rule in rules.rules:
        reason = _or_broken(reason, frame, rule, rules.where)
    return reason


def measure_and_judge(
    frame: pl.DataFrame, rules: Rules, *, all_signals: bool = False
) -> pl.DataFrame:
    """id, sample, the signals and the reason (null: passed) of each row, in the order of ``frame``.

    A module of signals is measured whole if any of its columns is needed. Costly ones are measured
    only on the rows that passed the rules before the first that needs them, and are null elsewhere;
    ``all_signals`` measures every signal on every row.

    Raises:
        UserError: as in ``judge``.
    """
    wanted = MODULES if all_signals else _modules(rules.needed)
    now = [module for module in wanted if all_signals or module.COST < COSTLY]
    table = frame.hstack(
        [column for m in now for column in m.measure(frame, rules.settings).get_columns()]
    )
    reason = pl.Series("reason", [None] * frame.height, dtype=pl.String)
    for rule in rules.rules:
        table = _measured(table, frame, rule.columns, reason, rules.settings)
        reason = _or_broken(reason, table, rule, rules.where)
    table = _measured(table, frame, rules.extra, reason, rules.settings)
    names = [name for module in wanted for name in module.COLUMNS]
    return table.select("id", "sample", *names, reason)


def _rule(name: str, sql: str, at: str) -> Rule:
    try:
        expression = _exact(sql)
        columns = tuple(dict.fromkeys(expression.meta.root_names()))
    except pl.exceptions.PolarsError as error:
        msg = f"{at}: not an SQL expression: {first_line(error)}"
        raise UserError(msg) from None
    if "SELECT" in sql.upper().split() or "(SELECT" in sql.upper():
        msg = f"{at}: {sql!r}: holds a query; write an expression over one row's columns"
        raise UserError(msg)
    known = {**dict(SCHEMA), **all_columns()}
    for column in columns:
        if column not in known:
            msg = f"{at}: no such column {column!r}; {nearest(column, known)}"
            raise UserError(msg)
    if not columns:
        msg = f"{at}: {sql!r}: names no column, so it decides nothing"
        raise UserError(msg)
    if looks_across(expression):
        msg = f"{at}: {sql!r}: looks at other rows; a rule judges each row by itself"
        raise UserError(msg)
    _check_type(expression, {column: known[column] for column in columns}, at)
    return Rule(name, sql, columns)


def _check_type(expression: pl.Expr, schema: Mapping[str, Any], at: str) -> None:
    blank = _signed(pl.DataFrame(schema=schema))
    try:
        results = [frame.select(expression) for frame in (blank, blank.clear(2))]
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
    """``reason``, and where it is null yet, what this rule says: it is asked of no other row."""
    alive = reason.is_null()
    values = _signed(table.select(rule.columns).filter(alive))
    try:
        holds = values.select(holds=_exact(rule.sql)).to_series()
    except pl.exceptions.PolarsError as error:
        msg = f"{where}: rules.{rule.name}: fails on this data: {first_line(error)}"
        raise UserError(msg) from None
    unknown = pl.lit(f"{rule.name}_unknown")
    says = pl.when(holds.is_null()).then(unknown).when(~holds).then(pl.lit(rule.name))
    return reason.clone().scatter(alive.arg_true(), pl.select(says).to_series())


def _signed(table: pl.DataFrame) -> pl.DataFrame:
    """The same values as a rule counts: integers with a sign, unknown instead of NaN."""
    whole, real = pl.selectors.integer(), pl.selectors.float()
    return table.with_columns(whole.cast(pl.Int64, strict=False), real.fill_nan(None))


def _exact(sql: str) -> pl.Expr:
    """The expression, but 3 - LENGTH(gold) can be below zero, and 0 / 0 is unknown.

    polars counts lengths without a sign, so that 3 - 5 is 4294967294, and takes NaN for larger than
    every number.
    """
    tree = orjson.loads(parse_sql(sql).meta.serialize(format="json"))
    return pl.Expr.deserialize(orjson.dumps(_mended(tree)), format="json")


def _mended(tree: Any) -> Any:
    """The expression's tree with a sign at what is subtracted from, or multiplied, and no NaN."""
    if isinstance(tree, list):
        return [_mended(inner) for inner in tree]
    if not isinstance(tree, dict):
        return tree
    whole = {key: inner if key == "Literal" else _mended(inner) for key, inner in tree.items()}
    match whole:
        case {"BinaryExpr": {"op": "Minus" | "Multiply", "left": left} as parts}:
            return {"BinaryExpr": parts | {"left": _around(left, SIGNED)}}
        case {"Function": {"function": {"Sql": {"Binary": "Minus" | "Mul"}}, "input": [a, b]} as f}:
            return {"Function": f | {"input": [_around(a, SIGNED), b]}}
        case {"BinaryExpr": {"op": "TrueDivide" | "Divide"}}:
            return _around(whole, NUMBER)
        case {"Function": {"function": {"Sql": {"Binary": "Div"}}}}:
            return _around(whole, NUMBER)
    return whole


def _around(inner: Any, outer: pl.Expr) -> Any:
    """The tree of ``outer`` with ``inner`` where it names the column HERE."""
    if isinstance(inner, dict) and "Scalar" in inner.get("Literal", {}):
        return inner  # 0.5: it has a sign
    return _put(orjson.loads(outer.meta.serialize(format="json")), inner)


def _put(tree: Any, inner: Any) -> Any:
    if tree == {"Column": HERE}:
        return inner
    if isinstance(tree, list):
        return [_put(part, inner) for part in tree]
    if isinstance(tree, dict):
        return {key: _put(part, inner) for key, part in tree.items()}
    return tree


def _modules(columns: Sequence[str]) -> list[Signal]:
    return [module for module in MODULES if any(name in module.COLUMNS for name in columns)]


def _measured(
    table: pl.DataFrame,
    frame: pl.DataFrame,
    columns: Sequence[str],
    reason: pl.Series,
    settings: Settings,
) -> pl.DataFrame:
    """``table`` with the modules that these columns still lack, measured where rows passed."""
    for module in _modules(columns):
        if set(module.COLUMNS) <= set(table.columns):
            continue
        passed = reason.is_null()
        found = module.measure(frame.filter(passed), settings).with_columns(row=passed.arg_true())
        rows = pl.DataFrame(
            {"row": pl.int_range(frame.height, dtype=pl.get_index_type(), eager=True)}
        )
        spread = rows.join(found, on="row", how="left", maintain_order="left").drop("row")
        table = table.hstack(spread)
    return table
