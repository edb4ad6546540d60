r"""Notations that are more than a number: other bases, ratios, times, residues, choices.

``52_8`` is 42 and not 52; ``2:4`` is ``1:2``, but as a time 2:04 is not 1:02; ``2 \pmod 5`` is
``7 \pmod 5`` and not ``2 \pmod 7``.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from distill.verify.math.rational import Number

_NAMES = "two three four five six seven eight nine ten eleven twelve"
_BASES = {name: base for base, name in enumerate(_NAMES.split(), 2)} | {"sixteen": 16}
_BASES |= {"x": 16, "b": 2, "o": 8, "binary": 2, "ternary": 3, "octal": 8, "decimal": 10}
_BASES |= {"hexadecimal": 16, "二进制": 2, "三进制": 3, "八进制": 8, "十进制": 10, "十六进制": 16}
_GROUP = r"[ ,](?=[0-9A-F]{3,4}(?![0-9A-F]))"
_BASED = re.compile(
    rf"\(?([0-9](?:[0-9A-Fa-f]|{_GROUP}){{0,60}}|[A-Fa-f]{{1,6}}[0-9][0-9A-Fa-f]{{0,60}}"
    r"|[A-F]{2,6}(?=_\{?1[1-6]))\)? ?"
    r"(?:_ ?\{? ?\(?(?:base[- ]?)?|\(?(?:in )?base[- ]?|[(_{]{0,3}(?:in )?(?=[bhot二三八十]))"
    r"([0-9]{1,2}|[a-z]{3,11}|(?:二|三|八|十|十六)进制)\)? ?\}?"
)
_PREFIXED = re.compile("0([xXbBoO])([0-9A-Fa-f]{1,60})")
_SYSTEM = re.compile("_|base|binary|ternary|octal|decimal|进制")
_PART = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_RATIO = re.compile(rf"({_PART}(?: ?: ?{_PART}){{1,7}})(?: ?([aApP])\.? ?[mM]\b\.?)?")
_TO = re.compile(r"(?<=[0-9])(?: to | ?比 ?)(?=[0-9])")
_RATIO_OF = re.compile(r"(?:(?:an?|the|in the) )?(?:ratio|proportion)(?: of| is)?:? ")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]) ?(?:h|Uhr) ?([0-5][0-9])")  # 19h20
_HOUR = re.compile(r"([0-9]{1,2}) ?([aApP])\.? ?[mM]\b\.?")
_RESIDUE = re.compile(
    r"(?:(-?[A-Za-z](?:\^\{?[0-9]\}?)?) ?\\equiv ?)?(-?[0-9]{1,20}) ?\(? ?(?:\\[bp]?)?mod(?:ulo)?"
    r" ?\{? ?([0-9]{1,20}) ?\}? ?\)?"
)
_MULTIPLES = re.compile(
    r"(?:([A-Za-z]) ?= ?)?([0-9]{1,9})? ?([a-z])(?: ?([+-] ?[0-9]{1,9}))?"
    r" ?[,(]? ?(?:where |with |for )?"
    r"([a-z]) ?\\in ?(?:\\mathbb ?\{? ?Z ?\}?|Z) ?\)?"
)
# Choices and arrangements as other countries write them: C_8^3, C(8,3), {}_8C_3, ^{8}C_3, A_8^3.
_INDEX = r"\{?([0-9]{1,4})\}?"
_TWO = r"\( ?([0-9]{1,4}) ?[,;] ?([0-9]{1,4}) ?\)"
_CHOICES = re.compile(
    rf"(?:\{{\}})?[_^]{_INDEX} ?([CP]) ?_{_INDEX}"
    rf"|(?<![A-Za-z\\])([CPA])(?: ?[_^]{_INDEX} ?[_^]{_INDEX}| ?{_TWO})"
)


@dataclass(frozen=True, slots=True)
class Based:
    """A whole number in another base than ten."""

    digits: str
    base: int

    @property
    def value(self) -> int:
        """As a number."""
        return int(self.digits, self.base)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio, or a clock time; which of the two is not always certain."""

    parts: tuple[Fraction, ...]
    half: str = ""  # of the day: "a" or "p"
    clock: bool = False  # it can be a time

    @property
    def seconds(self) -> Fraction:
        """Since midnight, as far as it says."""
        hours, minutes, seconds = (*self.parts, Fraction(0), Fraction(0))[:3]
        if self.half:
            hours = hours % 12 + (12 if self.half == "p" else 0)
        return hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True, slots=True)
class Residue:
    """A class of whole numbers, all with the same remainder."""

    value: int
    modulus: int
    name: str = ""


Notation = Based | Ratio | Residue


def notation(text: str) -> Notation | None:
    """The reading of a whole (plain) text in one of them."""
    if text[:1] == "0" and (match := _PREFIXED.fullmatch(text)):
        return _in_base(match[2], match[1].lower())
    if _SYSTEM.search(text):
        return _whole_numbers(text) or _based(text)
    if "\\in" in text:
        return _whole_numbers(text)
    if "mod" in text:
        match = _RESIDUE.fullmatch(text)
        return (
            Residue(int(match[2]), int(match[3]), match[1] or "")
            if match and int(match[3])
            else None
        )
    if "h" in text and (match := _CLOCK.fullmatch(text)):
        return Ratio((Fraction(match[1]), Fraction(match[2])), clock=True)
    if match := _RATIO_OF.match(text):
        ratio = _RATIO.fullmatch(_TO.sub(":", text[match.end() :]))
        return ratio and Ratio(tuple(map(Fraction, ratio[1].split(":"))))
    text, ranges = _TO.subn(":", text)  # 5 to 8 may be a range
    if ":" in text and (match := _RATIO.fullmatch(text)):
        written = [part.strip() for part in match[1].split(":")]
        parts = tuple(map(Fraction, written))
        two = all(len(part) == 2 and int(part) < 60 for part in written[1:] if part.isdecimal())
        clock = len(parts) < 4 and two and parts[0] <= 24 and match[1].count(".") == 0
        return Ratio(parts, (match[2] or "").lower(), clock or ranges > 0)
    if text[-1:] in ("m", "M", ".") and (match := _HOUR.fullmatch(text)):
        return Ratio((Fraction(match[1]), Fraction(0)), match[2].lower(), clock=True)
    return None


def _whole_numbers(text: str) -> Residue | None:
    r"""The class of x = 9k + 4, k \in \mathbb{Z}."""
    match = _MULTIPLES.fullmatch(text)
    if match is None or match[3] != match[5] or int(match[2] or 1) < 2:
        return None
    rest = int((match[4] or "0").replace(" ", ""))
    return Residue(rest, int(match[2]), match[1] or "")


def _based(text: str) -> Based | None:
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    return _in_base(re.sub("[ ,]", "", match[1]), match[2])


def _in_base(digits: str, name: str) -> Based | None:
    base = int(name) if name.isdecimal() else _BASES.get(name, 0)
    digits = digits.upper()
    if not 2 <= base <= 16 or any(int(digit, 16) >= base for digit in digits):
        return None
    return Based(digits.lstrip("0") or "0", base)


def alike(gold: Notation, answer: Notation) -> bool | None:
    """Whether they are the same; None if that depends on how they are meant."""
    if isinstance(gold, Based) and isinstance(answer, Based):
        return gold.value == answer.value
    if isinstance(gold, Residue) and isinstance(answer, Residue):
        if gold.name and answer.name and gold.name != answer.name:
            return None
        same_modulus = gold.modulus == answer.modulus
        return same_modulus and (gold.value - answer.value) % gold.modulus == 0
    if isinstance(gold, Ratio) and isinstance(answer, Ratio):
        return _ratios(gold, answer)
    return None


def _ratios(gold: Ratio, answer: Ratio) -> bool | None:
    if gold.half or answer.half:
        if gold.seconds == answer.seconds:
            return True
        if gold.parts == answer.parts and not (gold.half and answer.half):
            return None if gold.half else True  # the half of the day left out, or added
        return False if gold.clock and answer.clock else None
    if gold.parts == answer.parts:
        return True
    if gold.clock and answer.clock and gold.seconds == answer.seconds:
        return True  # 9:00 and 9:00:00
    if len(gold.parts) != len(answer.parts):
        return False
    if gold.clock and answer.clock and abs(gold.seconds - answer.seconds) == 12 * 3600:
        return None  # 1:45 and 13:45
    pairs = list(zip(gold.parts, answer.parts, strict=True))
    (a, b), *_ = pairs
    proportional = bool(a and b) and all(x * b == y * a for x, y in pairs)
    return (None if gold.clock else True) if proportional else False


def against(notation: Notation, number: Number, *, asked: bool) -> bool | None:
    """Whether a number is the same; ``asked``: the notation is the reference, not the answer."""
    if number.percent:
        return None
    if isinstance(notation, Based):
        if notation.value == number.value:
            return True
        # 204 leaves out the base of 204_5; a reference of 204 may have left it out or not
        return (asked or None) if notation.digits == str(number.value) else False
    if isinstance(notation, Residue):
        if notation.value == number.value:
            return True
        same = (number.value - notation.value) % notation.modulus == 0
        return None if same else False
    if len(notation.parts) == 2 and notation.parts[1] and not notation.half:
        if notation.parts[0] / notation.parts[1] == number.value:
            return None if notation.clock else True
        return None if notation.clock else False
    return None


def with_choices(text: str) -> str:
    r"""The formula with choices and arrangements as commands; ``?``: it may be something else.

    >>> with_choices("2C_8^3")
    '2\\binom?{8}{3}'
    """
    return _CHOICES.sub(_chosen, text) if "C" in text or "P" in text or "A" in text else text


def _chosen(match: re.Match[str]) -> str:
    n, sign, k, other, *pairs = match.groups()
    both = sorted((int(x) for x in (n, k, *pairs) if x), reverse=True)
    name = "binom" if (sign or other) == "C" else "perm"
    return rf"\{name}?{{{both[0]}}}{{{both[1]}}}"
