r"""Reads an answer as a number, a notation, a list of answers, one with a name, or text.

Lists have at most DEEPEST levels and MOST elements; beyond that an answer is text.
"""

import re
from dataclasses import dataclass, field, replace

from distill.verify.math import phrases
from distill.verify.math.environments import equations, matrix
from distill.verify.math.expression import parse, symbols
from distill.verify.math.latex import SET_CLOSE, SET_OPEN, canonical, plain
from distill.verify.math.notations import Based, Notation, Ratio, Residue, notation
from distill.verify.math.probe import constant, equal
from distill.verify.math.rational import Number, read_number
from distill.verify.math.units import DENYING, known, unit

DEEPEST = 3  # a list of tuples of sets
MOST = 200  # elements; longer lists are not answers
LONGEST = 5_000  # characters; a longer answer is only compared as it is written

_OPEN, _CLOSE = "([{" + SET_OPEN, ")]}" + SET_CLOSE
_PARTS = re.compile(rf"[()\[\]{{}}{SET_OPEN}{SET_CLOSE},;]|(?<![a-zA-Z\\])(?:and|or)(?![a-z])")
_GROUPED = re.compile(r"(?<=[0-9]),[0-9]{3}(?![0-9])")
_INDEX = r"(?:_ ?(?:\w|\{[\w ,+\\-]{1,16}\}))?"
_ARGUMENTS = r"(?: ?[(\[] ?[^()\[\]=]{1,30} ?[)\]])?"
_WORD_NAME = (
    r"(?!(?:sin|cos|tan|ln|log|exp|lim|sqrt)\b)"
    r"[A-Za-z]{2,20}(?:(?:'|['-]?[A-Za-z]{1,20})?|(?: [A-Za-z']{1,20}){0,6})"
)
_GREEK = (
    r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|varphi|omega|rho|sigma|Delta|triangle|ell"
    r"|epsilon|tau|psi)"
)
_MARKED = (
    r"\\(?:angle|triangle|vec|hat|bar|overline|overrightarrow|widehat|tilde|Delta|delta|mathbb"
    r"|mathcal)"
)
# A left side that only names the answer: x, x_1, f(x), f^{-1}(x), \theta, \angle ABC, |AB|, (x, y),
# \gcd(9, 18), Area. Not 2x + z, because then the whole equation is the answer.
_NAME = re.compile(
    rf"(?:m ?)?(?:{_MARKED} ?)?\{{?(?:[A-Za-z]|[A-Z]{{2,4}})\}}?"
    rf"{_INDEX}(?:'{{1,3}}|\^ ?\*|\^ ?\{{-1\}})?{_ARGUMENTS}"
    rf"|{_GREEK}{_INDEX}"
    rf"|\\?(?:max|min|gcd|lcm|sup|inf|deg|dim|det|Pr|P){_INDEX}{_ARGUMENTS}"
    rf"|{_WORD_NAME}{_ARGUMENTS}"
    # the ratio of two names
    r"|[A-Za-z](?:_(?:\w|\{\w{1,8}\}))? ?: ?[A-Za-z](?:_(?:\w|\{\w{1,8}\}))?"
    r"|\\frac ?\{ ?[A-Z]{1,3} ?\} ?\{ ?[A-Z]{1,3} ?\}"
    r"|\|[A-Z]{1,4}\||\[[A-Z]{3,6}\]|\( ?[A-Za-z](?: ?, ?[A-Za-z]){1,5} ?\)"
)
_LABEL = re.compile(r"([A-Za-z][A-Za-z ]{2,40}): ?(?=[-+\\(\[{0-9$.])")
_MEMBER = re.compile(r"\\(?:in|to|rightarrow)(?![a-zA-Z])")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|equiv|sim|cong|lim)(?![a-zA-Z])")
_COMMAND = re.compile(
    r"\\(?:frac|sqrt|cdot|times|div|binom|pm|mp|pi|approx|infty|log|ln|exp|(?:arc)?(?:sin|cos|tan)"
    r"|cot|sec|csc)(?![a-z])|(?<![A-Za-z\\])[ei](?![A-Za-z])"
)
_LETTER = re.compile(r"[A-Za-z]")
_OTHER_LETTER = re.compile(r"[^\W\d_a-zA-Zα-ωΑ-Ω]")  # of another script: a sentence, not a list
_PROSE = re.compile(r"[A-Za-z]{2,}[ ,]+(?:[A-Za-z]+[ ,]+)*[A-Za-z]{2,}")
_FRENCH = re.compile(r"(?<![\w)}])\](?=[^\[\]]*[,;][^\[\]]*[\[\]])|\[(?=$|\s*\\cup)")


@dataclass(frozen=True, slots=True)
class Text:
    """Anything else: a formula, a relation, a word."""

    text: str  # canonical
    plain: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)  # after a formula: cm in 2\pi cm


@dataclass(frozen=True, slots=True)
class Listed:
    """Several answers, or one with several parts."""

    brackets: str  # "()", "[)", "{}", …; "" for a bare list
    items: "tuple[Value, ...]"
    text: str  # canonical, without the brackets
    plain: str = field(default="", compare=False)  # with its brackets


@dataclass(frozen=True, slots=True)
class Named:
    """A value and what it is called: x = 5, Area = 12."""

    name: str  # canonical
    value: "Value"
    plain: str = field(default="", compare=False)  # the whole equation


@dataclass(frozen=True, slots=True)
class Approximate:
    r"""A value and its rounding: 3\pi \approx 9.42."""

    exact: "Value"
    rounded: Number


Value = Number | Notation | Listed | Named | Approximate | Text


def is_plain(value: Value | None) -> bool:
    """Whether it consists of numbers only."""
    match value:
        case Listed(items=items):
            return all(map(is_plain, items))
        case Named(value=inner) | Approximate(exact=inner):
            return is_plain(inner)
    return isinstance(value, Number | Based | Ratio | Residue)


def understood(value: Value) -> bool:
    """Whether every mark of it is read: numbers, and formulas with a meaning of their own."""
    match value:
        case Listed(items=items):
            return all(map(understood, items))
        case Named(value=inner) | Approximate(exact=inner):
            return understood(inner)
        case Text(plain=text):
            return parse(text) is not None
    return True


def read(answer: str) -> Value | None:
    r"""The value of an answer; None if nothing is left without its typography.

    >>> read(r"$\frac12$")
    Number(value=Fraction(1, 2), percent=False, decimals=None, unit='')
    >>> read("3 or 4").brackets
    ''
    """
    if len(answer) > LONGEST:
        return Text(answer)
    if r"\begin" in answer and (cells := matrix(answer, most=MOST)) is not None:
        return _matrix(cells)
    if r"\\" in answer:
        answer = equations(answer)
    text = plain(answer)
    found = read_plain(text) if text else None
    if r"\$" in answer and isinstance(found, Number) and not found.unit and not found.percent:
        return replace(found, unit="$")
    return found


def read_plain(text: str) -> Value:
    """The value of a text without typography."""
    return _read(text, DEEPEST)


def _matrix(cells: list[list[str]]) -> Listed:
    lines = [
        Listed("row", tuple(_read(x, 1) for x in row), canonical(";".join(row))) for row in cells
    ]
    return Listed("matrix", tuple(lines), "|".join(line.text for line in lines))


def _read(text: str, depth: int) -> Value:
    text = text.strip().rstrip(" .")
    if text[:1].isdigit() and text[-1:].isalnum() and phrases.date(text):
        return _text(text)
    if (found := notation(text) or read_number(text)) is not None:
        return found
    if text[:1].isalpha():
        if (spelt := phrases.number(text[:100])) is not None:
            return Number(spelt)
        if phrases.meaning(text) is not None:
            return _text(text)
    if depth == 0:
        return _text(text)
    if ("]" in text or text.endswith("[")) and _FRENCH.search(text):
        text = _FRENCH.sub(lambda match: "(" if match[0] == "]" else ")", text)
    parts = split(text, grouped=True)
    if len(parts) > 1:
        return _listed("", parts, text, depth, text)
    if (named := _named(text, depth)) is not None:
        return named
    inner = _inside(text)
    if inner is None:
        return _text(text)
    brackets = (text[0] + text[-1]).replace(SET_OPEN, "{").replace(SET_CLOSE, "}")
    parts = split(inner, grouped=False)
    if brackets == "()" and "|" in inner and len(parts) == 1:  # (2 | 3) is a point
        bars = inner.split("|")
        parts = (
            bars if all(read_number(bar) or constant(bar) is not None for bar in bars) else parts
        )
    if len(parts) > 1:
        # {1, 3} without backslashes is not a set: these braces group
        return _listed("" if text[0] == "{" else brackets, parts, inner, depth, text)
    if brackets in ("()", "{}") and text[0] != SET_OPEN:
        return _read(inner, depth - 1)
    return _text(text) if brackets in ("()", "{}") else _listed(brackets, parts, inner, depth, text)


def _listed(brackets: str, parts: list[str], text: str, depth: int, whole: str) -> Value:
    if len(parts) > MOST:
        return _text(whole)
    items = tuple(_read(part, depth - 1) for part in parts)
    if not brackets and any(isinstance(item, Text) and _is_prose(item.plain) for item in items):
        return _text(whole)
    return Listed(brackets, items, canonical(text), whole)


def _is_prose(text: str) -> bool:
    bare = re.sub(r"\\[a-zA-Z]+", " ", text)
    return bool(_OTHER_LETTER.search(bare) or _PROSE.search(bare))


def _text(text: str) -> Text:
    name = _unit_after(text) if (" " in text and text[-1:].isalnum()) or text[-1:] in "}.²³" else ""
    if name:
        return Text(canonical(text), text[: -len(name)].strip(), name.strip())
    return Text(canonical(text), text)


def _unit_after(text: str) -> str:
    """The known unit at the end of a formula, with the space before it; "" if there is none."""
    for match in list(re.finditer(" ", text))[-5:]:
        rest = text[match.start() :]
        short = rest[1:] in ("m", "s", "g", "h", "L") or rest[1:3] in ("m^", "m ")
        if short and _LETTER.search(_COMMAND.sub("", text[: match.start()])):
            continue
        if (
            (short or (len(rest) > 2 and rest[1:3].isalpha()))
            and (found := unit(rest))
            and known(found)
        ):
            return rest
    return ""


def _named(text: str, depth: int) -> Value | None:
    """What a name, a label or a chain of equal values stands for; None if it is none of these.

    A chain counts only if it holds: ``x = 2 + 3 = 5``, not ``7 = 5``.
    """
    if (label := _LABEL.match(text)) and not _denies(label[1]):
        return Named(canonical(label[1]), _read(text[label.end() :], depth - 1), text)
    if r"\approx" in text:
        return _approximate(text, depth)
    for sign in _MEMBER.finditer(text[:80]):
        name, right = text[: sign.start()].strip(), text[sign.end() :]
        if is_name(name) and not _MEMBER.search(right):
            return Named(canonical(name), _read(right, depth), text)
        return None
    if "=" not in text or _RELATION.search(text.replace("|", "")):
        return None
    left, *others = [side.strip() for side in text.split("=")]
    named = len(left) <= 80 and is_name(left)
    fixed = read_number(others[-1]) is not None or constant(others[-1]) is not None
    if not named and (_LETTER.search(_COMMAND.sub("", left)) or not fixed):
        return None
    steps = others[:-1] if named else [left, *others[:-1]]
    last = read_number(others[-1])
    value = others[-1] if last is None else rf"({last.value.numerator})/({last.value.denominator})"
    if not others[-1] or not all(is_name(step) or _holds(step, value) for step in steps):
        return None
    found = _read(others[-1], depth)
    return Named(canonical(left), found, text) if named else found


def is_name(text: str) -> bool:
    """Whether it only names an answer."""
    return _NAME.fullmatch(text) is not None and not _denies(text) and not phrases.is_product(text)


def _denies(name: str) -> bool:
    return not DENYING.isdisjoint(name.lower().split())


def _holds(step: str, value: str) -> bool:
    """Whether a step of a chain has the value; what varies may."""
    tree = parse(step)
    return tree is not None and bool(symbols(tree) or equal(step, value))


def _approximate(text: str, depth: int) -> Value | None:
    left, _, right = text.partition(r"\approx")
    left = left.strip()
    if not left or is_name(left):
        return _read(right, depth) if r"\approx" not in right else None
    exact, rounded = _read(left, depth), read_number(right)
    return None if rounded is None else Approximate(exact, rounded)


def split(text: str, *, grouped: bool) -> list[str]:
    """The non-empty parts between top-level commas, semicolons, "and" and "or".

    ``grouped``: a comma followed by exactly three digits belongs to the number, as in 1,000.
    """
    found, depth = [], 0
    for match in _PARTS.finditer(text):
        sign = match[0]
        if sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        elif depth == 0 and not (sign == "," and grouped and _GROUPED.match(text, match.start())):
            found.append(match)
    if any(match[0] == ";" for match in found):  # p = 5, q = 2; p = 7, q = 2
        found = [match for match in found if match[0] == ";"]
    starts = [0, *(match.end() for match in found)]
    ends = [*(match.start() for match in found), len(text)]
    parts = (text[start:end].strip() for start, end in zip(starts, ends, strict=True))
    return [part for part in parts if part]


def _inside(text: str) -> str | None:
    """The text between the first bracket and its partner at the end."""
    if len(text) < 2 or text[0] not in _OPEN or text[-1] not in _CLOSE:
        return None
    depth = 0
    for match in _PARTS.finditer(text):
        depth += (match[0] in _OPEN) - (match[0] in _CLOSE)
        if depth == 0:
            return text[1:-1].strip() or None if match.end() == len(text) else None
    return None
