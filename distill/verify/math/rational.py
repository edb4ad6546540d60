r"""Reads a plain number exactly, with its unit and percent sign.

A number is an integer, decimal, fraction, mixed number, or one of these times a power of ten.
Anything longer than LONGEST characters, or beyond 10^±LARGEST, is compared as text, so that no
answer can waste memory or hit Python's limit of 4,300 digits.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from distill.verify.math.units import convert, unit

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
    rf"(?:({DECIMAL})\s?(?:\\times|\\cdot|\*|x)\s?)?(?:10|\{{10\}})\s?\^\s?(?:\{{\s?([+-]?[0-9]{{1,4}})\s?\}}|([0-9])(?![0-9]))"
)
_EXPONENT_OR_E = re.compile(r"-?(?!1e)[0-9]+e[-+][0-9]+")  # 2e-1 may be 2e - 1, with Euler's e
_EXPONENT = re.compile(rf"({DECIMAL})[eE]([+-]?[0-9]{{1,4}})(?![0-9])")
_PLAIN = re.compile(DECIMAL)
# 1.250,75 and 1 250,75 (a decimal comma after groups), 12,34,567 (lakhs)
_COMMA_DECIMAL = re.compile(r"([1-9][0-9]{0,2}(?:[. ][0-9]{3})+),([0-9]{1,6})(?![0-9,.])")
_MONEY_COMMA = re.compile(r"([0-9]{1,9}),([0-9]{1,2})(?=\s?(?:[€£₽]|EUR|euros?|$))")  # €12,75
_GROUPS = re.compile(
    r"([1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:_[0-9]{3}){2,}|(?:'[0-9]{3})+(?=\.[0-9]|(?![.,]))))"
    r"(?:(?<=\d'\d\d\d)(\.[0-9]{1,20}))?(?![0-9.,'_])"
)
_LAKHS = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?![0-9,])")
# 0.1\overline{6}, 0.(3), 0.333\ldots: the digits before the repetition, and those that repeat
_REPEATING = re.compile(
    r"([0-9]{1,20})[.,]([0-9]{0,40}|[0-9]{1,12}(?: [0-9]{1,12}){1,9}(?= ?\\ld))"
    r"(?:((?:\s?\\(?:overline|bar|dot|overset\s?\{\.\})\s?(?:\{[0-9]{1,120}\}|[0-9]))+"
    r"(?:[0-9]{0,20}\\dot\s?(?:\{[0-9]\}|[0-9]))?)|\(([0-9]{1,120})\)|(?<=[0-9]{3})\s?\\ldots)"
)
# 22°30' and 22°30'15"
_DEGREES = re.compile(r"([0-9]{1,6})° ?([0-9]{1,2})'(?!') ?(?:([0-9]{1,2}) ?(?:''|\"))?$")
# 1 h 30 min, 5 feet and 3 inches: each part is less than one of the part before
_MEASURES = re.compile(r"(?:[0-9]{1,9} ?[a-zA-Z]{1,10}\.?(?: and|,)?(?: |$)){2,4}")
_MEASURE = re.compile(r"([0-9]{1,9}) ?([a-zA-Z]{1,10})")
_AGAIN = re.compile(r"([0-9])\1{2,}$|([0-9]{2,20}?)\2+$")
_CURRENCY = re.compile(r"(?:([€£¥₹₽])|(USD|EUR|GBP|INR|CNY|RMB|US|Rs\.?)(?=[ 0-9.]))\s?")
_PERCENT = re.compile(
    r"\s?(?:%|per ?cent(?:age)?\b|pct\b\.?|prozent\b|por ciento\b|pour ?cent\b)", re.IGNORECASE
)
_TIMES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational, as written."""

    value: Fraction
    percent: bool = False
    decimals: int | None = None  # digits after the point, if written as a decimal
    unit: str = ""  # as written; "" if there is none


def read_number(text: str) -> Number | None:
    r"""The number that the whole (plain) text states; None if it states anything else or more.

    >>> read_number(r"-1\frac{1}{2} cm")
    Number(value=Fraction(-3, 2), percent=False, decimals=None, unit='cm')
    >>> read_number("2x") is None
    True
    """
    if len(text) > LONGEST:
        return None
    text = text.strip()
    if may_be_euler(text):
        return None
    if text.isdecimal() and text.isascii():
        return Number(Fraction(int(text)), decimals=0)
    while text.startswith("{") and text.endswith("}") and "{" not in text[1:]:
        text = text[1:-1].strip()
    sign = -1 if text.startswith("-") else 1
    if text.startswith(("+", "-")):
        text = text[1:].lstrip()
    if text[-1:].isalpha() and text[:1].isdigit() and _MEASURES.fullmatch(text):
        return _compound(_MEASURE.findall(text), sign)
    money = _CURRENCY.match(text)
    if money:
        text = text[money.end() :]
    comma = _MONEY_COMMA.match(text)
    if "°" in text and (match := _DEGREES.match(text)):
        whole, minutes, seconds = (int(part or 0) for part in match.groups())
        return Number(sign * (whole + Fraction(60 * minutes + seconds, 3600)), unit="°")
    found: tuple[Fraction, int, int | None] | None
    if comma and (money or comma.end() < len(text)):
        found = Fraction(f"{comma[1]}.{comma[2]}"), comma.end(), len(comma[2])
    else:
        found = _leading(text)
    if found is None:
        return None
    value, end, decimals = found
    if money and text[end:].strip():
        return None
    number = _with_rest(sign * value, text[end:], decimals)
    return replace(number, unit=money[1] or money[2].rstrip(".")) if money and number else number


def _compound(parts: list[tuple[str, str]], sign: int) -> Number | None:
    """What parts in smaller and smaller units measure together, in the smallest."""
    total, last = Fraction(0), parts[-1][1]
    for (_, larger), (digits, smaller) in pairwise(parts):
        part = convert(Fraction(digits), smaller, larger)
        if larger == smaller or part is None or part >= 1:
            return None
    for digits, name in parts:
        total += convert(Fraction(digits), name, last) or 0
    return Number(sign * total, unit=last)


def may_be_euler(text: str) -> bool:
    """Whether an exponent may also be Euler's number: 2e-1."""
    return "e" in text and _EXPONENT_OR_E.fullmatch(text) is not None


def _leading(text: str) -> tuple[Fraction, int, int | None] | None:
    """(value, where it ends, decimals) of the number at the start."""
    if match := _MIXED_LATEX.match(text):
        part = _FRAC.match(text, match.end())
        value = _ratio(part) if part else None
        if part and value is not None:
            return int(match[1]) + value, part.end(), None
    for pattern, read in _FORMS:
        if match := pattern.match(text):
            value = read(match)
            return None if value is None else (value, match.end(), None)
    if match := _EXPONENT.match(text):
        return _scaled(match[1], match[2], match.end())
    if match := _COMMA_DECIMAL.match(text):
        whole = match[1].replace(".", "").replace(" ", "")
        return Fraction(f"{whole}.{match[2]}"), match.end(), len(match[2])
    if match := _GROUPS.match(text):
        decimals = match[2] or ""
        whole = re.sub("[._']", "", match[1])
        return Fraction(whole + decimals), match.end(), max(0, len(decimals) - 1)
    if match := _LAKHS.match(text):
        return _fraction(match[0]), match.end(), 0
    if match := _PLAIN.match(text):
        return _fraction(match[0]), match.end(), len(match[0].partition(".")[2])
    return None


def _repeating(match: re.Match[str]) -> Fraction | None:
    whole, first, marked, bracketed = match.groups()
    first = first.replace(" ", "")
    again = re.sub(r"[^0-9]", "", marked or bracketed or "")
    if not again:  # 0.1666...: its last digits, if they do repeat
        tail = _AGAIN.search(first)
        if tail is None:
            return None
        again, first = tail[1] or tail[2], first[: tail.start()]
    shift = int(10 ** len(first))
    nines = Fraction(10 ** len(again) - 1)
    return Fraction(int(whole + first), shift) + int(again) / nines / shift


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


_FORMS = (
    (_FRAC, _ratio),
    (_MIXED, _mixed),
    (_SLASH, _slash),
    (_POWER, _power),
    (_REPEATING, _repeating),
)


def _with_rest(value: Fraction, rest: str, decimals: int | None) -> Number | None:
    """The number together with what follows it; None if that is more than a unit."""
    if not rest:
        return Number(value, decimals=decimals)
    if match := _PERCENT.match(rest):
        name = unit(rest[match.end() :])
        return None if name is None else Number(value, percent=True, decimals=decimals, unit=name)
    words = rest.split(maxsplit=1)
    if rest[:1] == " " and words and words[0].lower() in _TIMES:
        value *= _TIMES[words[0].lower()]
        rest = " " + words[1] if len(words) > 1 else ""
        decimals = None
    name = unit(rest)
    return None if name is None else Number(value, decimals=decimals, unit=name)
