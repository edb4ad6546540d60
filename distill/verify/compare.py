"""Tells whether two answers are the same. Does not find them, and says so when it cannot tell."""

from collections.abc import Iterable
from fractions import Fraction

from distill.verify.rational import Number
from distill.verify.values import Listed, Text, Value, is_plain

# (same, method): same is None where numbers and strings alone cannot decide.
Outcome = tuple[bool | None, str]
UNKNOWN: Outcome = (None, "needs_symbolic")


def same(gold: Value, answer: Value) -> Outcome:
    """Whether they are equal, and how that was decided."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return _numbers(gold, answer)
    if isinstance(gold, Text) and isinstance(answer, Text):
        return _texts(gold, answer)
    if isinstance(gold, Listed) and isinstance(answer, Listed):
        return _lists(gold, answer)
    if isinstance(gold, Number):
        return _against_number(gold, answer)
    if isinstance(gold, Listed) and is_plain(gold) and isinstance(answer, Number):
        commas = len(gold.items) == 2 and gold.brackets == ""  # 1,22 may be 1.22
        return (None, "decimal_comma") if commas else (False, "list")
    return UNKNOWN


def _numbers(gold: Number, answer: Number) -> Outcome:
    """Equal as rationals. A percent sign on one side only may be read as 1/100 or be left out."""
    a, b = gold.value, answer.value
    if a == b:
        return True, "rational"
    if gold.percent != answer.percent:
        a, b = (a, b) if gold.percent else (b, a)
        return a == b * 100, "percent"
    if _rounds(gold, answer) or _rounds(answer, gold):
        return None, "rounded"
    return False, "rational"


def _rounds(whole: Number, decimal: Number) -> bool:
    """Whether one is a fraction without a finite decimal and the other its rounding (0.33, 1/3)."""
    places = decimal.decimals or 0
    if places < 2 or places > 50 or _is_finite_decimal(whole.value):
        return False
    return abs(whole.value - decimal.value) <= Fraction(1, 10**places)


def _is_finite_decimal(value: Fraction) -> bool:
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _texts(gold: Text, answer: Text) -> Outcome:
    if gold.text == answer.text:
        return True, "string"
    words = gold.text.isalpha() and answer.text.isalpha()
    if words and len(gold.text) > 1 and gold.text.casefold() == answer.text.casefold():
        return True, "string"
    if words and len(gold.text) == len(answer.text) == 1:
        return False, "letter"  # two different choices, or two different variables
    return UNKNOWN


def _against_number(gold: Number, answer: Value) -> Outcome:
    if isinstance(answer, Text):
        return UNKNOWN if answer.constant else (False, "not_a_number")
    if isinstance(answer, Listed) and _is_compound(answer):
        return None, "compound"
    if isinstance(answer, Listed) and len(answer.items) == 2 and answer.brackets == "":
        left, _, right = answer.text.partition(",")
        if left.lstrip("-").isdecimal() and right.isdecimal() and len(answer.text) < 40:
            digits = Fraction(int(left + right), 10 ** len(right))
            if digits == gold.value and gold.decimals == len(right):
                return True, "decimal_comma"
    return False, "list"


def _is_compound(answer: Listed) -> bool:
    """Whether it may be one quantity in two units: 18 hours and 48 minutes."""
    units = answer.text.replace("and", "", 1)
    return units != answer.text and any(map(str.isalpha, units))


def _lists(gold: Listed, answer: Listed) -> Outcome:
    """Element by element. Sets have no order; whether a bare list has one, the text cannot say."""
    if gold.brackets == answer.brackets and gold.text == answer.text:
        return True, "string"
    if len(gold.items) != len(answer.items):
        plain = is_plain(gold) and is_plain(answer)
        return (False, "list") if plain else UNKNOWN
    kinds = {gold.brackets, answer.brackets}
    in_order = _all(same(a, b)[0] for a, b in zip(gold.items, answer.items, strict=True))
    if len(kinds) == 1 or kinds in ({"", "()"}, {"", "{}"}):
        if in_order is True:
            return True, "list"
        return _other_order(gold, answer, in_order, kinds)
    if in_order is False and _permuted(gold, answer) is False:
        return False, "list"
    # [0, 1) is not (0, 1); whether {1, 3} may stand for (1, 3), the text cannot say
    intervals = all(len(kind) == 2 and "{" not in kind for kind in kinds)
    return (False, "brackets") if intervals else (None, "brackets")


def _other_order(gold: Listed, answer: Listed, in_order: bool | None, kinds: set[str]) -> Outcome:
    if kinds == {"()"} or any("[" in kind or "]" in kind for kind in kinds):
        return (False, "list") if in_order is False else UNKNOWN
    permuted = _permuted(gold, answer)
    if permuted is False:
        return False, "list"
    if permuted and kinds == {"{}"}:
        return True, "list"
    return (None, "order_unclear") if permuted else UNKNOWN


def _permuted(gold: Listed, answer: Listed) -> bool | None:
    """Whether the answer has the elements of gold in some order."""
    if sorted(map(_key, gold.items)) == sorted(map(_key, answer.items)):
        return True
    return False if is_plain(gold) and is_plain(answer) else None


def _key(value: Value) -> str:
    if isinstance(value, Number):
        return f"{value.value.numerator}/{value.value.denominator}"
    if isinstance(value, Listed):
        return value.brackets + ";".join(map(_key, value.items))
    return value.text


def _all(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    if False in found:
        return False
    return None if None in found else True
