r"""An option of a multiple-choice question with its letter: ``\textbf{(D)}\ 24``."""

import re

from distill.verify.math.latex import SET_CLOSE, SET_OPEN, plain
from distill.verify.math.values import LONGEST

# (D) 24, D) 24, D. 24, D: 24, Option D; not D = 24, (D)(E), nor (A, B).
_OPTION = re.compile(
    r"(?:[Oo]ption |[Cc]hoice |选项? ?)?"
    r"(?:[(\[（] ?([A-J]) ?[)\]）] ?[.:]?|([A-J])(?:[)）、]|[.:](?= )))"
    r" ?(.*)",
    re.DOTALL,
)
_NAMED = re.compile(r"(?:[Oo]ption|[Cc]hoice|选项?) ?[(（]?([A-J])[)）]?\.?")
_GOES_ON = re.compile(r"[-+*/^_=<>(),;]|\\(?:times|cdot|cup|cap|to|in)\b|(?:and|or|y|et|und|e|o)\b")
_ANOTHER = re.compile(r"(?:^|[\s,;])\(?[A-J][).:] ")


def same_reading(gold: str, answer: str) -> tuple[str, str]:
    r"""Both without what only one of them has, the letter of an option or its value.

    >>> same_reading(r"\textbf{(D)}\ 24", "24"), same_reading("D", r"\text{(D) }24")
    (('24', '24'), ('D', 'D'))
    >>> same_reading("24", "24")
    ('24', '24')
    """
    left, right = _option(gold), _option(answer)
    if left is None and right is None:
        return gold, answer
    if left is None or right is None:
        letter, value = left or right or ("", "")
        other = answer if left else gold
        reading = letter if _is_letter(other) else value or letter
        return (reading, other) if left else (other, reading)
    by_letter = left[0] != right[0] or not left[1] or not right[1]
    return (left[0], right[0]) if by_letter else (left[1], right[1])


def _is_letter(text: str) -> bool:
    return re.fullmatch("[A-J]", plain(text[:LONGEST])) is not None


def _option(text: str) -> tuple[str, str] | None:
    """Its letter and its value, "" if that is not given; None if it is no option."""
    if len(text) > LONGEST or r"\begin" in text:
        return None
    bare = plain(text)
    if named := _NAMED.fullmatch(bare):
        return named[1], ""
    match = _OPTION.fullmatch(bare)
    if match is None or _GOES_ON.match(match[3]) or _ANOTHER.search(match[3]):
        return None
    value = match[3].strip().replace(SET_OPEN, r"\{").replace(SET_CLOSE, r"\}")
    return match[1] or match[2], value
