"""Answers in words: which say the same, which deny each other, and which say a number."""

import re
from fractions import Fraction

from distill.verify.math.latex import SET_CLOSE, SET_OPEN
from distill.verify.math.units import DENYING

_SAME: dict[str, tuple[str, ...]] = {
    r"\infty": (
        r"+\infty", "infinity", "infinite", "infinitely many", "positive infinity", "无穷", "无数",
        "infinitely many solutions", "infinite solutions", "an infinite number of solutions", "oo",
    ),
    r"-\infty": ("negative infinity", "minus infinity"),
    r"\emptyset": (
        "empty set", "empty", "no solution", "no solutions", "no real solution", "none", "无解",
        "no real solutions", "there is no solution", "there are no solutions", "nil", "空集",
        "there are no real solutions", "there is no real solution", "null set", "{}",
        SET_OPEN + SET_CLOSE, f"{SET_OPEN} {SET_CLOSE}", "keine lösung", "нет решений", "해가 없다",
    ),
    r"\mathbb{R}": (
        "all real numbers", "all reals", "all real", "real numbers", r"(-\infty,\infty)",
        r"(-\infty,+\infty)", r"(-\infty, \infty)", r"(-\infty, +\infty)", "every real number",
        r"\mathbf{R}", "全体实数", "any real number", "set of real numbers",
        "set of all real numbers",
    ),
    "does not exist": ("dne", "doesn't exist", "doesnt exist", "不存在"),
    "undefined": ("not defined", "undef"),
    "cannot be determined": ("can't be determined", "not enough information", "undetermined"),
    "yes": ("是", "да", "sí", "oui", "ja"),
    "no": ("nope", "否", "不是", "нет", "non", "nein"),
    "true": ("正确", "对", "верно"),
    "false": ("错误", "错", "неверно"),
    "odd": ("奇数",),
    "even": ("偶数",),
}  # fmt: skip
_MEANT = {said: meant for meant, all_ in _SAME.items() for said in (meant, *all_)}
_CONTRARY = tuple(
    frozenset(pair)
    for pair in (("yes", "no"), ("true", "false"), ("odd", "even"), (r"\infty", r"-\infty"))
)
# None of these is a number.
NO_NUMBER = frozenset(
    (
        r"\infty",
        r"-\infty",
        "does not exist",
        "undefined",
        "cannot be determined",
        r"\mathbb{R}",
        "yes",
        "no",
        "true",
        "false",
    )
)
_LEAD = re.compile(r"(?:x ?\\in |(?:the|an?) (?=\w{3}))")
_SENTENCE = re.compile(
    r"(?:the|this|it|that)(?: [a-z]{2,20}){0,2}"
    r" (?:is (?:an? |the )?([a-z]{2,30})|(converges|diverges))"
)
_SUBJECT = re.compile(
    r"(?:the|this)(?: [a-z]{2,20}){1,2} (?=does(?:n't| not) exist$|is undefined$)"
)
_WINNER = re.compile(r"(?<=[a-z]) (?:always )?(?:wins|will win)$")
_SHAPE = re.compile("(isosceles|scalene|equilateral|acute|obtuse|right(?:-angled)?) triangle")
_MONTHS = """january february march april may june july august september october november
december"""
_MONTH = "(" + "|".join(rf"{name[:3]}(?:{name[3:]}|\.)?" for name in _MONTHS.split()) + r"|sept\.?)"
_DAY = "([0-3]?[0-9])(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? ([0-9]{{4}}))?"
    rf"|{_MONTH} (?:the )?{_DAY}(?:,? ([0-9]{{4}}))?",
    re.IGNORECASE,
)
_FIRST = re.compile(r"(yes|no|true|false)\s?[,.:;!]\s?(?=[^\W\d])")

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen"""
_TENTHS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES = {word: value for value, word in enumerate(_SMALL.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENTHS.split(), 2)}
_SIGN = ("minus", "negative")
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6}


def meaning(text: str) -> str | None:
    r"""What a known phrase means, in one form for all who mean the same; None if it is not known.

    >>> meaning("There are no solutions") == meaning(r"\emptyset"), meaning("a circle")
    (True, None)
    """
    if len(text) > 80:
        return None
    said = _said(text).lower() if "\\" not in text else text.strip()
    if said[-1:].isalnum() and (day := date(said)):
        return day
    if (
        known := _MEANT.get(said)
        or _MEANT.get(_LEAD.sub("", _SUBJECT.sub("", said), count=1).removeprefix("is "))
    ) is not None:
        return known
    first = _FIRST.match(said)
    if first and not DENYING & set(said[first.end() :].split()) - {"not", "no"}:
        return first[1]
    return None


def date(text: str) -> str | None:
    """A day with the name of its month, in one form.

    >>> date("4 July") == date("July 4th"), date("July")
    (True, None)
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, other_month, other_day, other_year = match.groups()
    name = (month or other_month)[:3].lower()
    return f"{name} {int(day or other_day)} {year or other_year or ''}"


def _said(text: str) -> str:
    """The text without a full stop or an exclamation mark; that of n! is none."""
    text = text.strip().rstrip(".")
    return text.rstrip("!") if len(text) > 3 and text[-4:-1].isalpha() else text


def bare(text: str) -> str:
    """A word without its article or the sentence around it: "the circle", "it is a circle"."""
    said = _said(text).casefold()
    if match := _SENTENCE.fullmatch(said):
        return said if match[1] in DENYING else match[1] or match[2]
    said = _WINNER.sub("", said)
    said = _LEAD.sub("", said, count=1)
    shape = _SHAPE.fullmatch(said)
    return shape[1] if shape else said


def contrary(left: str, right: str) -> bool:
    """Whether one meaning excludes the other."""
    return frozenset((left, right)) in _CONTRARY


def number(text: str) -> Fraction | None:
    """The number in English words and nothing else.

    >>> number("twenty-one"), number("one hundred and five"), number("a dozen")
    (Fraction(21, 1), Fraction(105, 1), None)
    """
    words = text.lower().replace("-", " ").replace(" and ", " ").split()
    if words[:1] in (["minus"], ["negative"]):
        inner = number(" ".join(words[1:])) if len(words) > 1 and words[1] not in _SIGN else None
        return inner and -inner
    if not words or len(words) > 8 or words[0] in _SCALES:
        return None
    total = part = 0
    last = 10**9
    for word in words:
        if word in _SCALES:
            size = _SCALES[word]
            if not part:
                return None
            total, part = (total, part * size) if size == 100 else (total + part * size, 0)
            last = 100 if size == 100 else 10**3
        elif (value := _ONES.get(word, _TENS.get(word))) is not None and value < last:
            part, last = part + value, 10 if word in _TENS else 1
        else:
            return None
    return Fraction(total + part)


def is_product(letters: str) -> bool:
    """Whether several letters are a product rather than a word or a unit: xy, abc."""
    if len(letters) == 2 and letters.islower() and letters.isalpha():
        return _WORDS.fullmatch(letters) is None
    return _PRODUCT.fullmatch(letters) is not None


# Letters that stand side by side as factors: 6xyz, abc - 1. Others may be a word.
_PRODUCT = re.compile("[abcd]{2,4}|[wxyz]{2,4}|[pqrs]{2,4}|[kmn]{2,3}")
_WORDS = re.compile(
    "am|an|as|at|be|by|cm|do|dm|ft|go|he|hr|if|in|is|it|kg|km|lb|me|m[giylmr]|no|of|oh|ok|o[nrz]"
    "|pm|so|st|th|to|up|us|we|nd|rd"
)
