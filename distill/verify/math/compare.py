"""Decides whether two answers are the same, if that can be done without a symbolic library."""

import re
from collections.abc import Iterable
from fractions import Fraction

from distill.verify.math.probe import constant, equal
from distill.verify.math.rational import Number
from distill.verify.math.relations import (
    INFINITY,
    MINUS_INFINITY,
    Interval,
    apart,
    equivalent,
    union,
)
from distill.verify.math.values import Listed, Text, Value, is_plain, read

# (same, method): same is None if neither numbers and strings nor values at points can decide.
Outcome = tuple[bool | None, str]
UNKNOWN: Outcome = (None, "needs_symbolic")
INFINITE = (INFINITY, MINUS_INFINITY)
# A value rounded to this many decimals or more counts as exact (Math-Verify's default).
ROUNDED = 6
# Words that may state the number, in another unit (a dozen) or as a numeral (XII); and those for 0.
_NUMERAL = re.compile(
    r"\b(?:zero|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twent|thirt"
    r"|fort|fift|sixt|sevent|ninet)(?:een|y|ieth|th)?|hundred|thousand|[mb]illion|dozen|hal(?:f|ves)"
    r"|thirds?|quarters?|fifths?|both|pair|couple|single|once|twice|thrice)\b|\b(?-i:[IVXLCDM]{2,})\b",
    re.IGNORECASE,
)
_NONE = re.compile(r"\b(?:no|none|nothing|nil|never|nobody)\b", re.IGNORECASE)
_BASE = re.compile(r"([0-9A-F]{1,60})_\{?([0-9]{1,2})\}?")
MANY = 400  # pairs of elements that are compared; longer lists are only compared as a whole


def same(gold: Value, answer: Value) -> Outcome:
    """Whether they are equal, and how that was decided."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return _numbers(gold, answer)
    gold, answer = _both_signs(gold), _both_signs(answer)
    if isinstance(gold, Text) and isinstance(answer, Text):
        return _texts(gold, answer)
    if isinstance(gold, Listed) and isinstance(answer, Listed):
        return _lists(gold, answer)
    if isinstance(gold, Number):
        return _against_number(gold, answer)
    if isinstance(answer, Number):
        return _number_against(gold, answer)
    return _intervals(gold, answer)  # an inequality against an interval


def _numbers(gold: Number, answer: Number) -> Outcome:
    """Equal as rationals; a percent sign on one side only may mean 1/100 or be left out."""
    a, b = gold.value, answer.value
    if a == b:
        return True, "rational"
    if gold.percent != answer.percent:
        a, b = (a, b) if gold.percent else (b, a)
        return a == b * 100, "percent"
    for whole, decimal in ((gold, answer), (answer, gold)):
        if not _is_finite_decimal(whole.value) and (found := _rounds(whole.value, decimal)):
            return found
    return False, "rational"


def _rounds(whole: Fraction, decimal: Number) -> Outcome | None:
    """Compares a value with what may be its rounding (1/3, 0.33); None if it is not."""
    places = decimal.decimals or 0
    if places < 2 or places > 50 or abs(whole - decimal.value) > Fraction(1, 10**places):
        return None
    return (True, "rounded") if places >= ROUNDED else (None, "rounded")


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
        if gold.text.casefold() == answer.text.casefold():
            return UNKNOWN
        return False, "letter"  # two different choices, or two different variables
    if (found := _intervals(gold, answer)) != UNKNOWN:
        return found
    if (alike := equivalent(gold.whole, answer.whole)) is not None:
        return alike, "relation"
    if (in_base := _in_base(gold.text, answer.text)) is not None:
        return in_base
    if (gold in INFINITE and answer.constant) or (answer in INFINITE and gold.constant):
        return False, "infinity"
    found_equal = equal(gold.plain, answer.plain)
    return UNKNOWN if found_equal is None else (found_equal, "probe")


def _in_base(gold: str, answer: str) -> Outcome | None:
    """Compares two numbers written in the same base: 204_5."""
    left, right = _BASE.fullmatch(gold), _BASE.fullmatch(answer)
    if left is None or right is None or left[2] != right[2]:
        return None
    return left[1].lstrip("0") == right[1].lstrip("0"), "base"


def _base_or_not(digits: str, base: int, number: Number, *, asked: bool) -> Outcome:
    """Compares 204_5 with a number without a base: 54 is its value, 204 leaves out the base.

    If the reference has the base (``asked``), 204 is right too. If only the answer has one, the
    reference may or may not have left it out.
    """
    try:
        value = int(digits, base)
    except ValueError:
        return UNKNOWN
    if value == number.value:
        return True, "base"
    same_digits = digits == str(number.value)
    return (True if asked else None, "base") if same_digits else (False, "base")


def _against_number(gold: Number, answer: Value) -> Outcome:
    if isinstance(answer, Text):
        if not answer.constant:
            says_one = _NUMERAL.search(answer.plain) or (
                not gold.value and _NONE.search(answer.plain)
            )
            return (None, "number_in_words") if says_one else (False, "not_a_number")
        return _value(answer, gold, asked=False)
    if isinstance(answer, Listed) and _is_compound(answer):
        return None, "compound"
    if isinstance(answer, Listed) and gold.decimals and gold.value == _decimal_comma(answer):
        return True, "decimal_comma"
    return False, "list"


def _number_against(gold: Value, answer: Number) -> Outcome:
    if isinstance(gold, Listed):
        if answer.decimals and answer.value == _decimal_comma(gold):
            return True, "decimal_comma"
        return (False, "list") if is_plain(gold) else UNKNOWN
    if isinstance(gold, Text) and answer.decimals:
        left, comma, right = gold.text.partition(",")
        if comma and answer.value == _joined(left, right):
            return True, "decimal_comma"
    return _value(gold, answer, asked=True) if isinstance(gold, Text) else UNKNOWN


def _value(formula: Text, number: Number, *, asked: bool) -> Outcome:
    """Compares a formula without symbols with a number; ``asked``: the formula is the reference."""
    if number.percent:
        return UNKNOWN
    if formula in INFINITE:
        return False, "infinity"
    if match := _BASE.fullmatch(formula.text):
        return _base_or_not(match[1], int(match[2]), number, asked=asked)
    sign, n, d = "-" * (number.value < 0), abs(number.value.numerator), number.value.denominator
    found = equal(formula.plain, rf"{sign}\frac{{{n}}}{{{d}}}")
    places = number.decimals or 0
    if found is not True and places >= 2 and (value := constant(formula.plain)) is not None:
        rounded = _rounds(Fraction(value), number) if abs(value) < 10 ** (14 - places) else None
        if rounded:
            return rounded
    return UNKNOWN if found is None else (found, "probe")


def _decimal_comma(value: Listed) -> Fraction | None:
    """The value of a list of two numbers if its comma is a decimal comma."""
    left, _, right = value.text.partition(",")
    return _joined(left, right) if len(value.items) == 2 and value.brackets == "" else None


def _joined(left: str, right: str) -> Fraction | None:
    sign = -1 if left.startswith("-") else 1
    left = left.removeprefix("-")
    digits = left + right
    if not (left.isdecimal() and right.isdecimal() and digits.isascii() and len(digits) < 40):
        return None
    return sign * Fraction(int(digits), 10 ** len(right))


def _is_compound(answer: Listed) -> bool:
    """Whether it may be one quantity in two units: 18 hours and 48 minutes."""
    units = answer.text.replace("and", "", 1)
    return units != answer.text and any(map(str.isalpha, units))


def _both_signs(value: Value) -> Value:
    r"""The list of both values of a formula with one ``\pm``, also within a list."""
    if isinstance(value, Text) and value.plain.count(r"\pm") == 1 and r"\mp" not in value.plain:
        pair = [read(value.plain.replace(r"\pm", sign)) for sign in "+-"]
        return Listed("", tuple(x for x in pair if x is not None), value.text)
    if isinstance(value, Listed) and value.brackets in ("", "{}") and r"\pm" in value.text:
        items: list[Value] = []
        for item in map(_both_signs, value.items):
            split = isinstance(item, Listed) and item not in value.items
            items.extend(item.items if split and isinstance(item, Listed) else [item])
        return Listed(value.brackets, tuple(items), value.text)
    return value


def _intervals(gold: Value, answer: Value) -> Outcome:
    """Compares them as unions of intervals; a single interval counts as a union."""
    left, right = union(gold), union(answer)
    if left is None or right is None:
        return UNKNOWN
    matches = [[_same_interval(a, b) for b in right] for a in left]
    back = zip(*matches, strict=True)
    equal = _all((_all(map(_any, matches)), _all(map(_any, back))))
    if equal is True:
        return True, "interval"
    # written without overlaps, a union has one form only
    return (False, "interval") if equal is False and apart(left) and apart(right) else UNKNOWN


def _same_interval(a: Interval, b: Interval) -> bool | None:
    if a.brackets != b.brackets:
        return False
    return _all((same(a.low, b.low)[0], same(a.high, b.high)[0]))


def _lists(gold: Listed, answer: Listed) -> Outcome:
    """Compares element by element; sets and bare lists have no order, bracketed ones do."""
    if gold.brackets == answer.brackets and gold.text == answer.text:
        return True, "string"
    kinds = {gold.brackets, answer.brackets}
    if kinds <= {"", "{}"}:
        found = _as_sets(gold, answer)
        return UNKNOWN if found is None else (found, "list")
    in_order, method = _in_order(gold, answer)
    if len(kinds) == 1 or (in_order is True and kinds == {"", "()"}):
        return in_order, method
    if in_order is False:
        asked_in_order = gold.brackets == "()" and not answer.brackets
        if asked_in_order or _as_sets(gold, answer) is False:
            return False, "list"
    # [0, 1) is not (0, 1); whether {1, 3} may mean (1, 3) is unclear
    intervals = all(len(kind) == 2 and "{" not in kind for kind in kinds)
    return (False, "brackets") if intervals else (None, "brackets")


def _in_order(gold: Listed, answer: Listed) -> Outcome:
    if len(gold.items) != len(answer.items):
        return False, "list"
    found = [same(a, b) for a, b in zip(gold.items, answer.items, strict=True)]
    equal = _all(one for one, _ in found)
    if equal is not None:
        return equal, "list"
    open_ = {method for one, method in found if one is None}
    return (None, "rounded") if open_ == {"rounded"} else UNKNOWN


def _as_sets(gold: Listed, answer: Listed) -> bool | None:
    """Whether each element of one is in the other; repeats do not count."""
    left, right = ({_key(item): item for item in value.items} for value in (gold, answer))
    if left.keys() == right.keys():
        return True
    if is_plain(gold) and is_plain(answer):
        return False
    ours = [item for key, item in left.items() if key not in right]
    theirs = [item for key, item in right.items() if key not in left]
    if len(left) * len(right) > MANY:
        return None
    to_gold = (_any(same(a, b)[0] for b in right.values()) for a in ours)
    to_answer = (_any(same(a, b)[0] for a in left.values()) for b in theirs)
    return _all((_all(to_gold), _all(to_answer)))


def _key(value: Value) -> str:
    if isinstance(value, Number):
        return f"{value.value.numerator}/{value.value.denominator}"
    if isinstance(value, Listed):
        # p = 5, q = 2 as an element is (5, 2)
        return value.brackets.replace("()", "") + ";".join(map(_key, value.items))
    return value.text


def _all(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    if False in found:
        return False
    return None if None in found else True


def _any(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    if True in found:
        return True
    return None if None in found else False
