"""Compares single values: numbers with their units, formulas, words.

``wrong`` needs both sides read in full; where a mark of either is unknown, the outcome is open.
"""

import re
from dataclasses import replace
from fractions import Fraction

from distill.verify.math import notations, phrases
from distill.verify.math.expression import parse, symbols
from distill.verify.math.notations import Based, Ratio, Residue
from distill.verify.math.probe import constant, equal
from distill.verify.math.rational import Number, may_be_euler
from distill.verify.math.relations import equivalent, same_set, solution
from distill.verify.math.units import alike, convert, known, scales
from distill.verify.math.values import Approximate, Listed, Text, Value

# (same, method): same is None if it is open.
Outcome = tuple[bool | None, str]
UNKNOWN: Outcome = (None, "needs_symbolic")
# A value rounded to this many decimals or more counts as exact (Math-Verify's default).
ROUNDED = 6
# Letters that may be a unit behind a number: 5m, 8N.
_UNITS = frozenset("smglhLNJWVAKCFTHtRPBk")
_SET_NAME = re.compile(r"[A-Z](?:_\w|'|\^c)?|\\bar[A-Z]|\\overline[A-Z]")
# Its constant has no name of its own, if the formula has x or t and no other c.
_I, _J = (re.compile(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z])") for letter in "ij")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
_INTEGRATION = re.compile(r"(.*)\+ ?([cCkK])", re.DOTALL)


def same_numbers(gold: Number, answer: Number) -> Outcome:
    """Equal as rationals; a percent sign on one side only may mean 1/100 or be left out."""
    a, b = gold.value, answer.value
    if gold.unit or answer.unit:
        if gold.unit and answer.unit:
            if (value := convert(b, answer.unit, gold.unit)) is not None:
                if value not in (a, b) and abs(value - a) * 100 < abs(a):
                    return None, "units"  # 32.8 ft are about 10 m
                answer = replace(answer, value=value)
                b = value
            elif known(gold.unit) or known(answer.unit) or not alike(gold.unit, answer.unit):
                return None, "units"
        elif a != b and scales(*((a, b, gold.unit) if gold.unit else (b, a, answer.unit))):
            return None, "units"  # 2 minutes and 120
    if a == b and not ((gold.percent and answer.unit) or (answer.percent and gold.unit)):
        return True, "rational"
    if gold.percent != answer.percent:
        if gold.unit or answer.unit:
            return None, "units"
        a, b = (a, b) if gold.percent else (b, a)
        return a == b * 100, "percent"
    for whole, decimal in ((gold, answer), (answer, gold)):
        if not _is_finite_decimal(whole.value) and (found := _rounds(whole.value, decimal)):
            return found
    thousand = {a, b} == {a, a * 1000} or {a, b} == {b, b * 1000}
    if thousand and 3 in (gold.decimals, answer.decimals):
        return None, "separator"  # 1.234 may be 1,234
    return False, "rational"


def _rounds(whole: Fraction, decimal: Number, *, least: int = 2) -> Outcome | None:
    """Compares a value with what may be its rounding (1/3, 0.33); None if it is not."""
    places = decimal.decimals or 0
    if places < least or places > 50 or abs(whole - decimal.value) > Fraction(1, 10**places):
        return None
    return (True, "rounded") if places >= ROUNDED else (None, "rounded")


def _is_finite_decimal(value: Fraction) -> bool:
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def same_notations(gold: Value, answer: Value) -> Outcome:
    """Compares a number in another base, a ratio, a time or a residue."""
    kinds = (Based, Ratio, Residue)
    if isinstance(gold, kinds) and isinstance(answer, kinds):
        return notations.alike(gold, answer), "notation"
    if isinstance(gold, kinds) and isinstance(answer, Number):
        return notations.against(gold, answer, asked=True), "notation"
    if isinstance(answer, kinds) and isinstance(gold, Number):
        return notations.against(answer, gold, asked=False), "notation"
    written = [
        ":".join(map(str, one.parts)) if isinstance(one, Ratio) else getattr(one, "plain", "")
        for one in (gold, answer)
    ]
    return same_ratio(*written), "notation"


def same_texts(gold: Text, answer: Text) -> Outcome:
    """Compares formulas by their values, relations and sets as such, and words by their meaning."""
    if gold.text == answer.text:
        return True, "string"
    if _differ(gold.unit, answer.unit):
        return None, "units"
    meant = phrases.meaning(gold.plain), phrases.meaning(answer.plain)
    if meant[0] is not None and meant[1] is not None:
        if meant[0] == meant[1]:
            return True, "words"
        return (False if phrases.contrary(*meant) else None), "words"  # type: ignore[arg-type]
    if gold.text.isalpha() and len(gold.text) == 1 == len(answer.text) and answer.text.isalpha():
        if gold.text.casefold() != answer.text.casefold():
            return False, "letter"  # two different choices, or two different variables
        return (True if gold.text in "ABCDEFGHIJ" else None), "letter"
    wordy = len(gold.text) > 1 and (gold.text.isalpha() or answer.text.isalpha())
    wordy = wordy and (len(gold.text) > 2 or gold.text.isupper() == answer.text.isupper())  # CO, Co
    if wordy and phrases.bare(gold.plain) == phrases.bare(answer.plain):
        return True, "words"
    if gold.text.count(r"\c") and _joined(gold.text) == _joined(answer.text):
        return True, "string"
    if (found := same_set(gold, answer)) is not None:
        return found, "interval"
    if (found := same_ratio(gold.plain, answer.plain)) is not None:
        return found, "notation"
    if (found := equivalent(gold.plain, answer.plain)) is not None:
        return found, "relation"
    for known_, other in (meant, (gold, answer)), (meant[::-1], (answer, gold)):
        if known_[0] in phrases.NO_NUMBER and constant(other[1].plain) is not None:
            return False, "words"
    return _formulas(gold.plain, answer.plain)


def _joined(text: str) -> tuple[str, ...]:
    r"""The sets of A \cup B in one order; the text itself if they are joined in two ways."""
    for sign in (r"\cup", r"\cap"):
        parts = text.split(sign)
        if len(parts) > 1 and all(_SET_NAME.fullmatch(part) for part in parts):
            return (sign, *sorted(parts))
    return (text,)


def same_ratio(gold: str, answer: str) -> bool | None:
    r"""Whether two ratios of formulas are the same: \sqrt{3} : 3 and 1 : \sqrt{3}."""
    ours, theirs = gold.split(":"), answer.split(":")
    if not 1 < len(ours) == len(theirs) < 5:
        return None
    found = [
        equal(f"({ours[0]})({theirs[at]})", f"({ours[at]})({theirs[0]})")
        for at in range(1, len(ours))
    ]
    return False if False in found else None if None in found else True


def _formulas(gold: str, answer: str) -> Outcome:
    found = equal(gold, answer)
    ours, theirs = _INTEGRATION.fullmatch(gold), _INTEGRATION.fullmatch(answer)
    varies = ours and theirs and ("x" in ours[1] or "t" in ours[1])
    if found is not True and ours and theirs and varies and ours[2] not in ours[1] + theirs[1]:
        found = equal(gold, f"{theirs[1]}+{ours[2]}") or found
    if found is False and "j" in gold + answer:
        found = _other_unit(gold, answer)
    return UNKNOWN if found is None else (found, "probe")


def _other_unit(gold: str, answer: str) -> bool | None:
    """Compares 3 + 4i with 3 + 4j; 2i and 2j may be two vectors, so they stay open."""
    for one, other in ((gold, answer), (answer, gold)):
        if _J.search(one) and _I.search(other) and not _I.search(one) and not _J.search(other):
            if equal(_J.sub("i", one), other) is not True:
                return False
            alone = equal(_J.sub("(0)", one), "0") is not False
            return None if alone or _LETTER.search(_J.sub("", one)) else True
    return False


def decimal_comma(value: Listed) -> Fraction | None:
    """The value of a list of two numbers if its comma is a decimal comma."""
    left, _, right = value.text.partition(",")
    if len(value.items) != 2 or value.brackets or not (left + right).isascii():
        return None
    digits = left.removeprefix("-")
    if not (digits.isdecimal() and right.isdecimal() and len(digits + right) < 40):
        return None
    return Fraction(f"{left}.{right}")


def is_far(value: Approximate) -> bool:
    """Whether the rounding is not one of the value."""
    exact, rounded = value.exact, value.rounded
    if isinstance(exact, Number):
        size = exact.value if exact.unit == rounded.unit else None
    else:
        size = constant(getattr(exact, "plain", ""))
    step = Fraction(1, 10 ** min(rounded.decimals or 0, 50))
    return size is not None and abs(size - rounded.value) > step


def formula_and_number(formula: Text, number: Number) -> Outcome:
    """Compares a formula, or a word, with a number."""
    if number.percent:
        return None, "percent"
    degrees = "°" if number.unit and convert(Fraction(1), number.unit, "°") == 1 else ""
    radians = degrees and convert(Fraction(1), formula.unit, "rad") == 1
    if not radians and _differ(number.unit, formula.unit):
        return None, "units"
    meaning = phrases.meaning(formula.plain)
    if meaning is not None:
        certain = meaning in phrases.NO_NUMBER or (meaning == r"\emptyset" and number.value)
        return (False, "not_a_number") if certain else (None, "not_a_number")
    if len(formula.text) == 1 and formula.text in "ABCDEFGHIJ":
        return None, "letter"  # of an option
    tree = parse(formula.plain)
    if may_be_euler(formula.plain):
        return (True, "rational") if Fraction(formula.plain) == number.value else UNKNOWN
    if tree is None:
        solved = solution(formula.plain) if "=" in formula.plain else None
        return UNKNOWN if solved in (None, number.value) else (False, "relation")
    sign, n, d = "-" * (number.value < 0), abs(number.value.numerator), number.value.denominator
    written = rf"{sign}\frac{{{n}}}{{{d}}}"
    found = equal(formula.plain, written + degrees)
    if found is not True and number.decimals and (value := constant(formula.plain)) is not None:
        rounded = _rounds(value, number, least=1)
        if rounded:
            return rounded
    if found is False and not degrees and equal(formula.plain, f"{written}°"):
        return None, "units"  # 90 for pi/2
    letters = symbols(tree)
    doubtful = "(" in formula.plain or all(
        one in _UNITS or one.isupper() or one == r"\Omega" for one in letters
    )
    if found is False and len(formula.text) > 1 and letters and doubtful:
        return None, "units"  # 5m may be five metres, 5M five millions, 5 (a) a part
    return UNKNOWN if found is None else (found, "probe")


def _differ(ours: str, theirs: str) -> bool:
    return bool(ours and theirs) and convert(Fraction(1), ours, theirs) != 1
