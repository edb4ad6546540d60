"""How large an SQL expression may be, and how much text it may make of a row's.

polars has no such limits: too many terms overflow its stack, and a pad of a billion characters
aborts the process. Every limit here is refused before a row is read.
"""

import re
from itertools import accumulate
from typing import Any

import polars as pl

LONGEST = 100_000  # characters: a list of 8,000 ids fits
TERMS = 1_000  # names, operators and brackets; polars crashes between 2,000 and 20,000
COPIES = 200_000  # terms after polars has written some of them several times
DEEPEST = 127  # levels of polars' JSON, which its own reader allows; 60 ANDs in a row fit
GROWTH = 100  # times the text of a column
_COLUMN = 1_000  # characters that a column counts as; so 100,000 may be made of nothing

# Names and signs. A number or a quoted word is none: a list of ids is long, but not deep. Only a
# single word, so that no other kind of quote around can hide terms from this count.
_TERM = re.compile(r"'\w*'|\d[\w.]*|([^\W\d]\w*|[^\s\w,'.])")
# What polars writes as several copies of what it is given: up to two, up to four.
_TWICE = re.compile(r"\b(?:BETWEEN|NULLIF|DAYOFWEEK|EXTRACT|DATE_PART)\b", re.IGNORECASE)
_FOUR_TIMES = re.compile(
    r"\b(?:SPLIT_PART|LEFT|RIGHT|SUBSTR|SUBSTRING|LPAD|RPAD|ARRAY_GET)\b|\[(?!\s*-?\d+\s*\])",
    re.IGNORECASE,
)
_LITERAL = r"\s*(?:[-+]?[\d.]+|'[^'\\]*')\s*"
_IN = re.compile(rf"\bIN\b(?!\s*\({_LITERAL}(?:,{_LITERAL})*\))", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')  # a string of JSON
_LEVELS = {"{": 1, "[": 1, "}": -1, "]": -1}


def refuse_large(text: str) -> None:
    """Refuses a text that polars should not even parse.

    Raises:
        PolarsError: too many characters or terms, or copies of terms.
    """
    if len(text) > LONGEST:
        msg = f"has {len(text):,} characters; at most {LONGEST:,}"
        raise _too(msg, text)
    terms = sum(bool(term) for term in _TERM.findall(text))
    if terms > TERMS:
        msg = f"has {terms:,} terms; at most {TERMS:,}"
        raise _too(msg, text)
    # a list of columns is compared one by one, each time with a copy of what stands before it
    each = (text.count(",") + 1).bit_length()
    bits = len(_TWICE.findall(text)) + 2 * len(_FOUR_TIMES.findall(text))
    bits += each * len(_IN.findall(text))
    if terms << min(bits, 64) > COPIES:
        what = "has too many of BETWEEN, NULLIF, IN, SUBSTR and the like, which may hold each other"
        raise _too(what, text)


def refuse_deep(written: str) -> None:
    """Refuses an expression, as polars writes it in JSON, that polars could not read again.

    Raises:
        PolarsError: it nests too deeply.
    """
    signs = _QUOTED.sub("", written)
    deep = max(accumulate(_LEVELS.get(sign, 0) for sign in signs), default=0)
    if deep > DEEPEST:
        what = f"nests {deep} levels deep; at most {DEEPEST} (some 60 ANDs in a row)"
        raise _too(what)


def refuse_growth(tree: Any) -> None:
    """Refuses an expression that could make far more text than a row has.

    Raises:
        PolarsError: more than GROWTH times, by the lengths and texts that it names; or as much as a
            value says.
    """
    made = _characters(tree)
    if made > GROWTH * _COLUMN:
        what = "a length must be a plain number" if made == float("inf") else "make less"
        msg = f"could make a text more than {GROWTH} times as long as a column's; {what}"
        raise pl.exceptions.SQLSyntaxError(msg)


def _characters(tree: Any) -> float:
    """The most characters of any text within, where each column has _COLUMN."""
    match tree:
        case {"Column": _}:
            return _COLUMN
        case {"Literal": {"Scalar": {"String": text}}}:
            return len(text)
        case {"BinaryExpr": {"op": "Plus", "left": left, "right": right}}:
            return _characters(left) + _characters(right)
        case {"Function": {"function": {"Range": {"IntRanges": _}}, "input": inputs}}:
            return max(map(_number, inputs))
        case {"Function": {"function": {"StringExpr": {} as function}, "input": inputs}}:
            return _of_texts(function, inputs)
        case {"Function": {"function": {"ListExpr": {"Join": _}}, "input": [parts, between]}}:
            return _characters(parts) * (1 + _characters(between))
        case dict():
            return max(map(_characters, tree.values()), default=0)
        case list():
            return max(map(_characters, tree), default=0)
    return 0


def _of_texts(function: Any, inputs: list[Any]) -> float:
    sizes = list(map(_characters, inputs))
    match function:
        case {"ConcatHorizontal": {"delimiter": between}}:
            return sum(sizes) + len(inputs) * len(between)
        case {"PadStart": _} | {"PadEnd": _} | {"ZFill": _}:
            return max(sizes[0], _number(inputs[1]))
        case {"Replace": {"literal": literal}}:
            text, _, new = sizes
            groups = 0 if literal else str(inputs[2]).count("$")  # each may be the whole match
            return text * max(1, new + groups)
    return max(sizes, default=0)


def _number(tree: Any) -> float:
    """The number that is written there; without end where something else is."""
    match tree:
        case {"Literal": {"Dyn": {"Int": number}}}:
            return float(number)
        case {"BinaryExpr": {"left": number, "right": {"Function": {"function": "Sign"}}}}:
            return _number(number)  # the end of generate_series, as polars writes it
    return float("inf")


def _too(what: str, text: str = "") -> pl.exceptions.PolarsError:
    shown = f"{text[:40]}… " if text else ""
    return pl.exceptions.SQLSyntaxError(f"{shown}{what}; split it, or use IN (…) or a pattern")
