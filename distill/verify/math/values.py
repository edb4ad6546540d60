r"""Reads an answer as a number, a list of answers, or text.

Lists have at most DEEPEST levels and MOST elements; beyond that an answer is text.
"""

import re
from dataclasses import dataclass, field

from distill.verify.math.latex import SET_CLOSE, SET_OPEN, canonical, plain
from distill.verify.math.rational import CHANGING, Number, read_number

DEEPEST = 3  # a list of tuples of sets
MOST = 200  # elements; longer lists are not answers
LONGEST = 5_000  # characters; a longer answer is only compared as it is written

_OPEN, _CLOSE = "([{" + SET_OPEN, ")]}" + SET_CLOSE
_PARTS = re.compile(rf"[()\[\]{{}}{SET_OPEN}{SET_CLOSE},;]|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])")
_GROUPED = re.compile(r"(?<=[0-9]),[0-9]{3}(?![0-9])")
# A left side that only names the answer: x, x_1, f(x), \theta, \angle ABC, |AB|, (x, y), Area. Not
# 2x + z, because then the whole equation is the answer.
_NAME = re.compile(
    r"(?:\\[a-z]{2,8} ?)?[A-Za-z](?:_(?:\w|\{\w{1,8}\})|'|\^\*)?"
    r"(?: ?\( ?\w{1,3}(?: ?, ?\w{1,3}){0,3} ?\))?"
    r"|\\(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|rho|sigma)"
    # the ratio of two names
    r"|[A-Za-z](?:_(?:\w|\{\w{1,8}\}))? ?: ?[A-Za-z](?:_(?:\w|\{\w{1,8}\}))?"
    r"|\\frac ?\{ ?[A-Z]{1,3} ?\} ?\{ ?[A-Z]{1,3} ?\}"
    r"|(?:\\angle )?\|?[A-Z]{2,4}\|?|\( ?[A-Za-z](?: ?, ?[A-Za-z]){1,5} ?\)"
    r"|[A-Za-z]{2,20}(?: [A-Za-z]{1,20}){0,5}"
)
_COMMAND = re.compile(
    r"\\(?:frac|sqrt|cdot|times|div|binom|pm|mp|pi|approx|infty|log|ln|exp|(?:arc)?(?:sin|cos|tan)"
    r"|cot|sec|csc)(?![a-z])|(?<![A-Za-z\\])[ei](?![A-Za-z])"
)
_MATRIX = re.compile(
    r"\\begin\s?\{(?:[pb]?matrix|array)\}(?:\s?\{[lcr| ]{1,40}\})?((?:(?!\\(?:begin|end)).)*)"
    r"\\end\s?\{(?:[pb]?matrix|array)\}",
    re.DOTALL,
)
_AROUND = re.compile(r"\\left|\\right|\\?[$\[\]()]|\s")  # brackets and dollars around a matrix
_ROWS = re.compile(r"\\\\(?!\\)")
_WORDS = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{3,}")
_LETTER = re.compile(r"[A-Za-z]")
# Operations that bind letters: a sum over i from 1 to 10 is a number.
_OPERATION = re.compile(r"\\(?:sum|prod|i+nt|lim|max|min|gcd|lcm|det|l?floor|l?ceil|binom|vmatrix)")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Text:
    """Anything that is neither number nor list: a formula, a word."""

    text: str  # canonical
    constant: bool  # only digits, operators and constants, so that its value may be a number
    plain: str = field(default="", compare=False)  # without its name: 5 for x = 5
    whole: str = field(default="", compare=False)  # with its name


@dataclass(frozen=True, slots=True)
class Listed:
    """Several answers, or one with several parts."""

    brackets: str  # "()", "[)", "{}", …; "" for a bare list
    items: "tuple[Value, ...]"
    text: str  # canonical, without the brackets


Value = Number | Listed | Text


def is_plain(value: Value) -> bool:
    """Whether it consists of numbers only."""
    if isinstance(value, Listed):
        return all(map(is_plain, value.items))
    return isinstance(value, Number)


def read(answer: str) -> Value | None:
    r"""The value of an answer; None if nothing is left without its typography.

    >>> read(r"$x = \frac12$")
    Number(value=Fraction(1, 2), percent=False, decimals=None)
    >>> read("3 or 4").brackets
    ''
    """
    if len(answer) > LONGEST:
        return Text(answer, constant=True)
    if r"\begin" in answer and (matrix := _matrix(answer)) is not None:
        return matrix
    text = plain(answer)
    return _read(text, DEEPEST) if text else None


def _matrix(answer: str) -> Listed | None:
    """The rows of a text that is one matrix, with any brackets; a determinant does not count."""
    match = _MATRIX.search(answer)
    if match is None or _AROUND.sub("", answer[: match.start()] + answer[match.end() :]):
        return None
    rows = [row for row in _ROWS.split(match[1]) if row.strip()]
    if len(rows) > MOST or match[1].count("&") > MOST:
        return None
    cells = [[plain(cell) for cell in row.split("&")] for row in rows]
    lines = [
        Listed("row", tuple(_read(x, 1) for x in row), canonical(";".join(row))) for row in cells
    ]
    return Listed("matrix", tuple(lines), "|".join(line.text for line in lines))


def _read(text: str, depth: int) -> Value:
    whole = text = text.strip().rstrip(" .")
    if (number := read_number(text)) is not None:
        return number
    if depth == 0:
        return _text(text, whole)
    parts = split(text, grouped=True)
    if len(parts) > 1:
        return _listed("", parts, text, depth)
    text = unnamed(text)
    if (number := read_number(text)) is not None:
        return number
    inner = _inside(text)
    if inner is None:
        return _text(text, whole)
    brackets = (text[0] + text[-1]).replace(SET_OPEN, "{").replace(SET_CLOSE, "}")
    parts = split(inner, grouped=False)
    if len(parts) > 1:
        # {1, 3} without backslashes is not a set: these braces group
        return _listed("" if text[0] == "{" else brackets, parts, inner, depth)
    if brackets in ("()", "{}") and text[0] != SET_OPEN:
        return _read(inner, depth - 1)
    return (
        _text(text, whole) if brackets in ("()", "{}") else _listed(brackets, parts, inner, depth)
    )


def words(value: Value) -> frozenset[str]:
    """Its words of three letters or more, in lower case; commands do not count."""
    if isinstance(value, Number):
        return frozenset()
    if isinstance(value, Listed):
        return frozenset().union(*map(words, value.items))
    return frozenset(word.lower() for word in _WORDS.findall(value.plain[:LONGEST]))


def _listed(brackets: str, parts: list[str], text: str, depth: int) -> Value:
    if len(parts) > MOST:
        return _text(text, text)
    return Listed(brackets, tuple(_read(part, depth - 1) for part in parts), canonical(text))


def _text(text: str, whole: str) -> Text:
    bare = _COMMAND.sub("", text)
    ambiguous = any(word.lower() in CHANGING for word in _LETTERS.findall(text[:200]))
    has_value = bare != text or any(map(str.isdigit, text))
    evaluates = _LETTER.search(bare) is None or _OPERATION.search(bare) is not None
    return Text(canonical(text), has_value and (ambiguous or evaluates), text, whole)


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


def unnamed(text: str) -> str:
    r"""The right side if the left only names it: ``x = 5``, ``x \in [0, 1]``, ``2+3 = 5``.

    >>> unnamed("x = 2 + 3 = 5"), unnamed("2x = 5")
    ('5', '2x = 5')
    """
    left, found, right = text.partition(r"\approx")
    if found:  # the exact side of 1/3 \approx 0.33
        named = not left.strip() or _NAME.fullmatch(left.strip())
        text = (right if named else left).strip()
    for sign in ("=", r"\in "):
        left, found, _ = text.partition(sign)
        if found and len(left) <= 80 and _NAME.fullmatch(left.strip()):
            return text.rpartition(sign)[2].strip()
    left, found, right = text.rpartition("=")
    if found and not _LETTER.search(_COMMAND.sub("", left)) and read_number(right) is not None:
        return right.strip()
    return text


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
