"""Single values of other people's lines: as text, as a number, or opened if they are JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

DEEPEST = 32  # levels of lists and objects; a reply in a batch has ten
# Beginnings of lists and objects as Python prints them; JSON has no single quotes.
_PRINTED = ("[{'", "['", "{'", "[ {'", "array([")


def words(value: Any) -> str | None:
    """A text; None if the value is none."""
    if isinstance(value, str):
        return value
    # Parquet files of some writers do not say that bytes are text
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def text(value: Any) -> str | None:
    """A text or a number as text; None for everything else."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return words(value)


def number(value: Any) -> int | None:
    """A whole number of 32 bits without a sign; None for everything else."""
    if value is None:
        return None
    value = _read(value)
    if isinstance(value, float) and value.is_integer():  # pandas writes 12.0 beside nulls
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
    return value if whole else None


def real(value: Any) -> float | None:
    """A finite number; None for everything else."""
    value = _read(value)
    found = float(value) if isinstance(value, (int, float)) else math.nan
    return found if math.isfinite(found) else None


def _read(value: Any) -> Any:
    """A number that a text holds, as all of a CSV's do; else the value itself."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def first(line: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first value under one of these names that is not null."""
    for name in names:
        if (value := line.get(name)) is not None:
            return value
    return None


def opened(value: Any) -> Any:
    """The list or object that a text holds as JSON (as in every CSV); else the value itself."""
    found = words(value)
    if found is None or not found.lstrip().startswith(("[", "{")):
        return value
    try:
        inner = orjson.loads(found)
    except orjson.JSONDecodeError:
        return value
    return value if is_deep(inner) else inner


def is_deep(value: Any) -> bool:
    """Whether it has more than DEEPEST levels: nothing that is read has, and they would end us."""
    if not isinstance(value, (dict, list)):
        return False
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner for one in level for inner in _inside(one) if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def is_printed(value: Any) -> bool:
    """Whether it is a list or an object as Python prints it, which is not JSON."""
    found = words(value)
    return found is not None and found.lstrip().startswith(_PRINTED) and opened(found) is value
