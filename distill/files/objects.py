"""Reads one line of JSON as an object, exactly as it was written."""

import json
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import orjson

from distill.errors import UserError

LARGE = 2.0**63  # from here on orjson may have rounded a whole number


def json_object(text: bytes, path: Path, number: int, *, part: str = "line") -> dict[str, Any]:
    """The object in a line (or another ``part``) of a file.

    Whole numbers beyond 64 bits become texts.

    Raises:
        UserError: it is not UTF-8, not JSON, or not an object.
    """
    try:
        value = orjson.loads(text)
        if _holds_large(value):
            with suppress(RecursionError):
                value = json.loads(text, parse_int=_whole)
    except orjson.JSONDecodeError as error:
        if (repaired := _repaired(text)) is not None:
            return repaired
        kind = "not UTF-8" if not _is_utf8(text) else f"not JSON ({error.msg})"
        msg = f"{_place(path, number, part)}: {kind}; fix or remove the {part}"
        raise UserError(msg) from None
    if not isinstance(value, dict):
        place = _place(path, number, part)
        msg = f"{place}: each {part} must be a JSON object; found {type(value).__name__}"
        raise UserError(msg)
    return value


def _place(path: Path, number: int, part: str) -> str:
    return f"{path}:{number}" if part == "line" else f"{path}: {part} {number}"


def _holds_large(value: Any) -> bool:
    """Whether it may hold a whole number of more than 64 bits, which orjson rounds."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one
        elif isinstance(one, float) and abs(one) >= LARGE:
            return True
    return False


def _whole(digits: str) -> int | str:
    """A whole number, or its digits if polars and orjson have no type for it."""
    return int(digits) if len(digits) < 20 and abs(int(digits)) < LARGE else digits


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


def _repaired(text: bytes) -> dict[str, Any] | None:
    """JSON as only Python's own json writes it, or with numbers beyond the range of a float.

    NaN and infinite numbers become null, half a character U+FFFD.
    """
    try:
        value = json.loads(
            text, parse_constant=lambda _: None, parse_int=_whole, parse_float=_finite
        )
    except (ValueError, RecursionError):
        return None
    whole = json.dumps(value, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    read = orjson.loads(whole.decode("utf-16-le", "replace"))
    return read if isinstance(read, dict) else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
