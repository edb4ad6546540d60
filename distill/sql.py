"""Polars SQL expressions, as recipes write them: which are safe, and which look at one row only.

Everything that rests on how polars writes an expression as JSON is here. polars may change that
form in any version, so what is not known is refused; ``tests/test_sql.py`` names every part.
"""

import re
from typing import Any

import orjson
import polars as pl

from distill.errors import first_line
from distill.sql_size import refuse_deep, refuse_growth, refuse_large

_READERS = re.compile(r"(?:read|scan)_", re.IGNORECASE)  # how polars' table functions begin
_OPERATORS = {
    *("And", "Or", "Xor", "Eq", "NotEq", "EqValidity", "NotEqValidity", "Lt", "LtEq", "Gt", "GtEq"),
    *("Plus", "Minus", "Multiply"),
}
_SQL_OPERATORS = {  # those that polars chooses by the types of both sides
    *("Plus", "Minus", "Mul", "Div", "Rem", "IntDiv"),
    *("Eq", "EqMissing", "Lt", "LtEq", "Gt", "GtEq"),
}
_FUNCTIONS = {
    *("Abs", "ArrayExpr", "Atan2", "Bitwise", "Ceil", "Coalesce", "Erf", "Erfc", "Exp", "FillNull"),
    *("Floor", "ListExpr", "Log", "Log1p", "MaxHorizontal", "MinHorizontal", "Pow", "Sign"),
    *("StringExpr", "StructExpr", "TemporalExpr", "Trigonometry", "Truncate"),
}
DIVISIONS = 8  # each writes what it divides several times, to tell NaN apart
_HERE = "_"  # stands for a part of an expression in the two that follow
_SIGNED = pl.col(_HERE) + pl.lit(0, pl.Int64)  # an integer gets a sign, a float stays one
_NUMBER = pl.col(_HERE).fill_nan(None)


def parse_sql(text: str) -> pl.Expr:
    """The expression that a text is.

    Raises:
        PolarsError: it is none, is larger than ``sql_size`` allows, or holds a query or what would
            open a file.
    """
    refuse_large(text)  # polars crashes at 10,000 terms, and not with an error
    # polars opens files and addresses while it parses. So it first gets the text with longer names,
    # which open nothing: whether such a name is called or only quoted does not depend on its length
    longer = "z" * (len(text) + 1)  # in no text of this length, so different names stay different
    if _READERS.search(text):
        try:
            _parsed(_READERS.sub(rf"\g<0>{longer}", text))
        except pl.exceptions.PolarsError as error:
            said = first_line(error).replace(longer, "")
            if "table function" in said:
                said = f"{said}: no expression opens files"
            raise pl.exceptions.SQLSyntaxError(said) from None
    return _parsed(text)


def _parsed(text: str) -> pl.Expr:
    try:
        made = pl.sql_expr(text)
    except pl.exceptions.PanicException as error:  # no Exception: GREATEST(), say
        msg = f"polars cannot read it: {error}"
        raise pl.exceptions.SQLSyntaxError(msg) from None
    written = made.meta.serialize(format="json")
    if '{"SubPlan":' in written:  # in a literal, quotes are escaped
        msg = "holds a query; write an expression over one row's columns"
        raise pl.exceptions.SQLSyntaxError(msg)
    refuse_deep(written)
    refuse_growth(orjson.loads(written))
    return made


def looks_across(expression: pl.Expr) -> str | None:
    """The first part whose value in a row may depend on other rows; None if there is none.

    polars' own ``meta.is_row_separable`` takes a > AVG(a) for separable.
    """
    return _across(_tree(expression))


def _across(tree: Any) -> str | None:
    match tree:
        case {"Column": _} | {"Literal": _}:
            return None
        case {"Alias": [inner, _]} | {"Cast": {"expr": inner}} | {"Eval": {"expr": inner}}:
            parts = [inner]  # Eval is over the elements of one row's list
        case {"Ternary": {"predicate": condition, "truthy": one, "falsy": other}}:
            parts = [condition, one, other]
        case {"BinaryExpr": {"op": op, "left": left, "right": right}} if op in _OPERATORS:
            parts = [left, right]
        case {"Function": {"function": function, "input": inputs}} if _by_row(function):
            parts = inputs
        case {"Function": {"function": function}}:
            return _name(function)
        case _:
            return _name(tree)
    return next(filter(None, map(_across, parts)), None)


def _by_row(function: Any) -> bool:
    match function:
        case {"Boolean": "Not" | "IsNull" | "IsNotNull"}:
            return True
        case {"Sql": "ToFloat" | {"IsIn": _} | {"Round": _}}:
            return True
        case {"Sql": {"Binary": op}}:
            return op in _SQL_OPERATORS
    return _name(function) in _FUNCTIONS


def _name(tree: Any) -> str:
    return next(iter(tree)) if isinstance(tree, dict) else str(tree)


def exact(expression: pl.Expr) -> pl.Expr:
    """The same expression, but 3 - LENGTH(gold) can be below zero, and 0 / 0 is null.

    polars counts lengths without a sign, so that 3 - 5 is 4294967294, and takes NaN for larger than
    every number. For expressions that do not look across rows.

    Raises:
        PolarsError: it nests too deeply, or divides too often.
    """
    tree = _tree(expression)
    if (times := orjson.dumps(tree).count(b'"Binary":"Div"')) > DIVISIONS:
        msg = f"divides {times} times; at most {DIVISIONS}; split it"
        raise pl.exceptions.SQLSyntaxError(msg)
    written = orjson.dumps(_exact(tree))
    refuse_deep(written.decode())
    return pl.Expr.deserialize(written, format="json")


def _exact(tree: Any) -> Any:
    """The tree with a sign at what is subtracted from or multiplied, and no NaN."""
    if isinstance(tree, list):
        return [_exact(inner) for inner in tree]
    if not isinstance(tree, dict):
        return tree
    whole = {key: inner if key == "Literal" else _exact(inner) for key, inner in tree.items()}
    match whole:
        case {"BinaryExpr": {"op": "Minus" | "Multiply", "left": left} as parts}:
            return {"BinaryExpr": parts | {"left": _around(left, _SIGNED)}}
        case {"Function": {"function": {"Sql": {"Binary": "Minus" | "Mul"}}, "input": [a, b]} as f}:
            return {"Function": f | {"input": [_around(a, _SIGNED), b]}}
        case {"Function": {"function": {"Sql": {"Binary": "Div"}}}}:
            return _around(whole, _NUMBER)
    return whole


def _around(inner: Any, outer: pl.Expr) -> Any:
    """The tree of ``outer`` with ``inner`` in place of the column _HERE."""
    if isinstance(inner, dict) and "Scalar" in inner.get("Literal", {}):
        return inner  # 0.5: it has a sign
    here = pl.col(_HERE).meta.serialize(format="json")
    return orjson.loads(
        outer.meta.serialize(format="json").replace(here, orjson.dumps(inner).decode())
    )


def _tree(expression: pl.Expr) -> Any:
    return orjson.loads(expression.meta.serialize(format="json"))
