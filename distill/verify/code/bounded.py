"""Python's pure functions with a bound on the work that a program's result can cause in them.

They return what Python's own return, or raise ``TooLarge``.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any

# Distinct keys of the same hash: each new one is compared with all of them. Honest data has two.
MAX_SAME_HASH = 16
MAX_BITS = 10_000  # of a number in a sum, which is copied once for each of the others
MAX_PLACES = 1_000  # of a rounding: 10 to the power of it is computed


class TooLarge(Exception):
    """More work than one result may cause."""


def distinct(keys: Iterable[Hashable]) -> list[Hashable]:
    """The keys without those equal to an earlier one.

    Raises:
        TooLarge: more than ``MAX_SAME_HASH`` of them collide.
        TypeError: one cannot be a key.
    """
    same: dict[int, list[Hashable]] = {}
    for key in keys:
        bucket = same.setdefault(hash(key), [])
        if key in bucket:
            continue
        bucket.append(key)
        if len(bucket) > MAX_SAME_HASH:
            text = f"more than {MAX_SAME_HASH} keys of the same hash"
            raise TooLarge(text)
    return [key for bucket in same.values() for key in bucket]


def _dict(values: Any = (), /, **named: object) -> dict[Any, object]:
    if not isinstance(values, dict):  # the keys of a dict were checked when it was decoded
        values = [tuple(one) for one in values]
        distinct(pair[0] for pair in values if pair)
    return dict(values, **named)


def _sum(values: Iterable[Any]) -> object:
    """Takes no start value: with one it would join lists, one by one."""
    whole = list(values)
    if any(isinstance(one, int) and one.bit_length() > MAX_BITS for one in whole):
        text = f"a number of more than {MAX_BITS} bits in a sum"
        raise TooLarge(text)
    return sum(whole)


def _round(number: float, ndigits: int | None = None) -> float:
    if isinstance(ndigits, int) and abs(ndigits) > MAX_PLACES:
        text = f"rounded to more than {MAX_PLACES} places"
        raise TooLarge(text)
    return round(number, ndigits)


# Each takes (nearly) linear time, because a program may return arguments as large as it can make.
# Python itself refuses to write or read numbers of more than 4,300 digits.
FUNCTIONS: dict[str, Callable[..., object]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "bool": bool,
    "dict": _dict,
    "float": float,
    "frozenset": lambda values=(): frozenset(distinct(values)),
    "int": int,
    "isinstance": isinstance,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "round": _round,
    "set": lambda values=(): set(distinct(values)),
    "sorted": sorted,
    "str": str,
    "sum": _sum,
    "tuple": tuple,
    "type": type,
    "isclose": math.isclose,
    "math.isclose": math.isclose,
}
ONE_ARGUMENT = frozenset({"str", "sum", "type"})  # with more arguments they do other things
