r"""Reads a plain number exactly, with its unit and percent sign.

A number is an integer, decimal, fraction, mixed number, or one of these times a power of ten.
Anything longer than LONGEST characters, or beyond 10^±LARGEST, is compared as text, so that no
answer can waste memory or hit Python's limit of 4,300 digits.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 1_000  # characters; well below the 4,300 digits that int() takes
LARGEST = 300  # exponent of ten; the range of a double, far beyond any answer

_DEC = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])|[0-9]+)"
DECIMAL = rf"(?:{_DEC}(?:\.[0-9]*)?|\.[0-9]+)"
_ARG = rf"(?:\{{\s?([+-]?{DECIMAL})\s?\}}|([0-9]))"
_FRAC = re.compile(rf"\\frac\s?{_ARG}\s?{_ARG}")
_MIXED_LATEX = re.compile(rf"([0-9]+)\s?(?=\\frac\s?{_ARG}\s?{_ARG})")
_MIXED = re.compile(r"([0-9]+) ([0-9]+)\s?/\s?([0-9]+)(?![0-9.,])")
_SLASH = re.compile(rf"({DECIMAL})\s?/\s?([+-]?{DECIMAL})(?![0-9.,])")
_POWER = re.compile(
    rf"(?:({DECIMAL})\s?(?:\\times|\\cdot|\*|x)\s?)?10\s?\^\s?(?:\{{\s?([+-]?[0-9]{{1,4}})\s?\}}|([0-9]))"
)
_EXPONENT = re.compile(rf"({DECIMAL})[eE]([+-]?[0-9]{{1,4}})(?![0-9])")
_PLAIN = re.compile(DECIMAL)
_CURRENCY = re.compile(r"[€£¥₹]\s?|(?:USD|EUR|US)\s?(?=[0-9.])")
_PERCENT = re.compile(r"\s?(?:%|percent(?:age)?\b|pct\b\.?)", re.IGNORECASE)
_TIMES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNIT_WORD = re.compile(r"[A-Za-zµμ€£¥²³.'’&/()-]+(?:\^\{?[23]\}?)?|\^\{?[23]\}?")
# A one-letter unit needs a space before it, because in 5m the letter may be a variable. Longer ones
# may follow the number directly.
_LETTER_UNITS = frozenset("msgLlh")
_GLUED = frozenset({
    "€", "£", "¥", "cm", "mm", "km", "dm", "m²", "m³", "cm²", "cm³", "km²", "kg", "mg", "lb", "lbs",
    "oz", "ft", "mph", "km/h", "m/s", "min", "hrs", "kWh", "ml", "mL", "am", "pm",
    "st", "nd", "rd", "th",
})  # fmt: skip
# Words that make the number another number, or one of several: 3 dozen, 5 or 6, 2 more than x.
CHANGING = frozenset({
    "or", "and", "to", "than", "plus", "minus", "times", "over", "pi", "sqrt", "dozen", "dozens",
    "half", "hundred", "thousand", "million", "billion", "trillion", "squared", "cubed",
    "mod", "base", "choose", "either", "between", "through",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational, as written."""

    value: Fraction
    percent: bool = False
    decimals: int | None = None  # digits after the point, if written as a decimal


def read_number(text: str) -> Number | None:
    r"""The number that the whole (plain) text states; None if it states anything else or more.

    >>> read_number(r"-1\frac{1}{2} cm")
    Number(value=Fraction(-3, 2), percent=False, decimals=None)
    >>> read_number("2x") is None
    True
    """
    if len(text) > LONGEST:
        return None
    text = _CURRENCY.sub("", text.strip(), count=1)
    sign = -1 if text.startswith("-") else 1
    if text.startswith(("+", "-")):
        text = text[1:].lstrip()
    found = _leading(text)
    if found is None:
        return None
    value, end, decimals = found
    return _with_rest(sign * value, text[end:], decimals)


def _leading(text: str) -> tuple[Fraction, int, int | None] | None:
    """(value, where it ends, decimals) of the number at the start."""
    if match := _MIXED_LATEX.match(text):
        part = _FRAC.match(text, match.end())
        value = _ratio(part) if part else None
        if part and value is not None:
            return int(match[1]) + value, part.end(), None
    for pattern, read in ((_FRAC, _ratio), (_MIXED, _mixed), (_SLASH, _slash), (_POWER, _power)):
        if match := pattern.match(text):
            value = read(match)
            return None if value is None else (value, match.end(), None)
    if match := _EXPONENT.match(text):
        return _scaled(match[1], match[2], match.end())
    if match := _PLAIN.match(text):
        return _fraction(match[0]), match.end(), len(match[0].partition(".")[2])
    return None


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(",", "").replace(" ", "").removesuffix("."))


def _over(top: str, bottom: str) -> Fraction | None:
    below = _fraction(bottom)
    return _fraction(top) / below if below else None


def _ratio(match: re.Match[str]) -> Fraction | None:
    return _over(match[1] or match[2], match[3] or match[4])


def _mixed(match: re.Match[str]) -> Fraction | None:
    part = _over(match[2], match[3])
    return None if part is None else int(match[1]) + part


def _slash(match: re.Match[str]) -> Fraction | None:
    return _over(match[1], match[2])


def _power(match: re.Match[str]) -> Fraction | None:
    scaled = _scaled(match[1] or "1", match[2] or match[3], match.end())
    return scaled and scaled[0]


def _scaled(digits: str, exponent: str, end: int) -> tuple[Fraction, int, None] | None:
    power = int(exponent)
    if abs(power) > LARGEST:
        return None
    return _fraction(digits) * Fraction(10) ** power, end, None


def _with_rest(value: Fraction, rest: str, decimals: int | None) -> Number | None:
    """The number together with what follows it; None if that is more than a unit."""
    if match := _PERCENT.match(rest):
        rest = rest[match.end() :]
        return Number(value, percent=True, decimals=decimals) if is_unit(rest) else None
    words = rest.split(maxsplit=1)
    if rest[:1] == " " and words and words[0].lower() in _TIMES:
        value *= _TIMES[words[0].lower()]
        rest = " " + words[1] if len(words) > 1 else ""
    return Number(value, decimals=decimals) if is_unit(rest) else None


def is_unit(rest: str) -> bool:
    """Whether what follows a number only says what is counted: nothing, `` cm^2``, `` apples``."""
    if not rest.strip():
        return True
    words = rest.split()
    if len(words) > 12 or not all(_UNIT_WORD.fullmatch(word) for word in words):
        return False
    first = words[0].rstrip(".")
    known = first in _GLUED or (rest[0] == " " and first in _LETTER_UNITS)
    if not known and (rest[0] != " " or sum(map(str.isalpha, first)) < 2):
        return False
    return not any(word.lower().strip(".()'") in CHANGING for word in words)
