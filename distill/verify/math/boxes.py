"""Finds the boxes of a response, and which of them are its final answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from distill.verify.math.denial import denied_after, denied_before, hedged
from distill.verify.math.latex import plain
from distill.verify.math.retraction import kept
from distill.verify.math.values import LONGEST

MANY = 4  # labelled or neighbouring boxes that are no steps to one answer any more

_BRACES = re.compile(r"\\f?box(?:ed)?\s{0,8}\{|\bboxed\{|\\[{}]|[{}]")
_BARE = re.compile(r"\\boxed(?:\s{1,4}|(?=\d))([^\s{}$\\]{1,80})")
_JOINT = re.compile(
    r"(?:[\s,;.$&()\[\]\\:*，；、]|\\q?quad|\\text(?:rm)?\s?\{[^{}]{0,20}\}|and|or|et|ou|y|o|und|oder"
    r"|e|и|или|和|或|と|または){0,80}"
)
_CONNECTED = re.compile(r"[,;&，；、]|\b(?:and|or|et|ou|und|oder|или)\b|和|或|\\quad")
# After a box: it is computed with, so it is a step: \boxed{3} + 4 =
_COMPUTED_WITH = re.compile(r"[\s$)]{0,4}(?:[-+*/×^]|\\(?:cdot|times|div)\b)\s?\d[^\n]{0,40}=")
# (a), b), 1., Part 2: at the end of what stands before a box in its line
_PART = re.compile(
    r"(?:(?<![\w)])(?:\([a-z0-9]{1,4}\)|[a-z0-9]{1,2}[.)])"
    r"|\b(?:step|part|question|problem|q)\s?[a-z0-9]{1,3}\b)[^\n.;!?]{0,60}$",
    re.IGNORECASE,
)
# Between two boxes of a line: a new sentence, or a word that goes on from the first to the second.
_ONWARDS = re.compile(
    r"[.!?;。！？；](?:\s|[*$]|$)|→|\\(?:Right|right)arrow|\\implies"
    r"|\bbut(?! also)\b|\b(?:after|so|then|thus|hence|therefore|giv(?:es|ing)|yields?|which|now"
    r"|answer|finally|total)\b"
    r"|所以|因此|因而|则|得|donc|also|daher|luego|entonces|portanto|значит|поэтому",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\n[\s\-*•#]{1,12}(?:\d{1,2}[.):]?\s)?|\n\d{1,2}[.):]\s")
_IF = re.compile(r"\bif\b", re.IGNORECASE)
_OR_ELSE = re.compile(
    r"\W{0,6}(?:or|alternatively|otherwise|if (?:not|that|this|it)|maybe|perhaps)\b", re.IGNORECASE
)
_CONCLUDES = re.compile(
    r"\W{0,8}(?:so|thus|hence|therefore|finally|final|in total|total|answer|altogether|the answer"
    r"|所以|因此|最终|donc|also|por lo tanto|итак)",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"[\W\d_]+|\b(?:[a-h]|first|second|third|fourth|fifth|one|two|three|four|five)\b"
)

_ORDINAL = re.compile(
    r"\b(?:first|second|third|fourth|fifth|one|two|other|another)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Boxed:
    """What the last boxes of a text say."""

    text: str
    several: bool  # different answers that are not one list
    end: int  # where the last box ends


Box = tuple[int, int, str]


def boxes(text: str) -> list[Box]:
    """(start, end, content) of each closed box that is not inside another, in order; one pass."""
    if "box" not in text:
        return []
    open_at: list[tuple[int, int]] = []  # (start, where the content starts); start -1 is no box
    found: list[Box] = []
    for match in _BRACES.finditer(text, max(text.find("box") - 2, 0)):
        brace = match[0]
        if brace[-1] == "{" and brace != r"\{":
            open_at.append((match.start() if len(brace) > 1 else -1, match.end()))
        elif brace == "}" and open_at:
            start, content = open_at.pop()
            if start >= 0:
                while found and found[-1][0] > start:
                    found.pop()
                found.append((start, match.end(), text[content : match.start()]))
    return found


def affirmed_boxes(text: str) -> list[Box]:
    r"""The boxes that the text does not deny, as in "it is not" before one; a bare one if no other.

    >>> affirmed_boxes(r"It is not \boxed{4} but \boxed{5}.")
    [(22, 31, '5')]
    """
    found = boxes(text)
    if not found and "\\boxed" in text:
        found = [(m.start(), m.end(), m[1]) for m in _BARE.finditer(text)][-1:]
    return [
        box
        for box in found
        if not text.startswith(("~~", "?"), box[1])  # struck out, or asked
        and not _COMPUTED_WITH.match(text, box[1])
        and not denied_before(text[max(0, box[0] - 40) : box[0]])
        and not denied_after(text[box[1] : box[1] + 60])
    ]


def last_boxes(text: str, found: list[Box], *, listed: bool) -> Boxed:
    """The last box, or the list that it ends; ``listed``: of the parts (a), (b) too.

    Boxes of one line, or of neighbouring lines that begin alike, are several answers, unless a word
    between them leads from one to the next; so are different guesses.
    """
    last, end = found[-1][2], found[-1][1]
    if len(found) == 1:
        return Boxed(last, several=False, end=end)
    found = _run(text, found, _stands)
    answers = _different(_run(text, found, _is_joint))
    parts = _different(_run(text, found, _is_part))
    if len(parts) > len(answers):
        several = len(parts) >= MANY and not listed
        return Boxed(", ".join(parts) if listed else last, several=several, end=end)
    rivals = [*_run(text, found, _is_rival), *_guesses(text, found)]
    near = _run(text, found, _is_near)
    if len(_different(near)) >= MANY and not _CONCLUDES.match(_line(text, found[-1])):
        rivals += near
    if not set(others := _different(rivals)) <= set(answers):
        if listed and _are_numbered(text, found, others):
            return Boxed(", ".join(others), several=False, end=end)
        return Boxed(" | ".join(others), several=True, end=end)
    return Boxed(last if len(answers) == 1 else ", ".join(answers), several=False, end=end)


def _are_numbered(text: str, found: list[Box], others: list[str]) -> bool:
    """Whether the last boxes are told apart by "the first", "the second", and no guesses."""
    alike = _run(text, found, _says_alike)
    leads = [_line(text, box).rpartition("}")[2] for box in alike]
    return (
        _different(alike) == others
        and len(set(leads)) == len(leads)
        and all(map(_ORDINAL.search, leads))
        and not any(map(hedged, leads))
    )


def _different(found: list[Box]) -> list[str]:
    return list(dict.fromkeys(_shape(content) for _, _, content in found))


def _shape(content: str) -> str:
    return plain(content) if len(content) <= LONGEST else content


def _run(text: str, found: list[Box], holds: Callable[[str, Box, Box], bool]) -> list[Box]:
    """The last box and those right before it, as far back as ``holds`` of each two."""
    first = len(found) - 1
    while first > 0 and holds(text, found[first - 1], found[first]):
        first -= 1
    return found[first:]


def _stands(text: str, one: Box, other: Box) -> bool:
    """Whether the one box is not taken back before the other."""
    return kept(text[one[1] : other[0]][-LONGEST:]) is None


def _is_joint(text: str, one: Box, other: Box) -> bool:
    """Whether they are a list: between them nothing, a comma, "and", perhaps with a name."""
    if other[0] - one[1] > 60:
        return False
    gap = text[one[1] : other[0]]
    if _JOINT.fullmatch(_BULLET.sub("\n", gap)) is not None:
        return True
    if _is_alike(text, one, other) and gap.rstrip(" $").endswith("="):
        return True
    return "\n" not in gap and bool(_CONNECTED.search(gap)) and not _ONWARDS.search(gap)


def _is_part(text: str, one: Box, other: Box) -> bool:
    return all(_PART.search(_line(text, box)) for box in (one, other))


def _is_rival(text: str, one: Box, other: Box) -> bool:
    if _is_joint(text, one, other):
        return True
    if other[0] - one[1] > LONGEST or "\n" in (gap := text[one[1] : other[0]]):
        near = other[0] - one[1] < 60 and _OR_ELSE.match(text, one[1]) is not None
        return near or _is_alike(text, one, other)
    if gap.lstrip(" $*)").startswith("?") or _repeats(text, one, gap):
        return True
    led = _ONWARDS.search(gap) is not None or "=" in gap
    cases = _IF.search(gap) and _IF.search(_line(text, one))
    return not led or hedged(gap) or cases is not None


def _repeats(text: str, one: Box, gap: str) -> bool:
    """Whether the other box is introduced by the same words: The answer is …. The answer is …."""
    here, there = (_COUNTED.sub("", part.lower()) for part in (gap, _line(text, one)))
    return len(here) > 3 and there.endswith(here)


def _is_alike(text: str, one: Box, other: Box) -> bool:
    """Whether they are on neighbouring lines that begin with the same words."""
    if not _is_near(text, one, other):
        return False
    here, there = (_COUNTED.sub("", _line(text, box).lower()) for box in (one, other))
    return here == there != ""


def _says_alike(text: str, one: Box, other: Box) -> bool:
    """Whether the same words introduce both, on one line or on neighbouring ones."""
    gap = text[one[1] : other[0]][:LONGEST]
    return _is_alike(text, one, other) or ("\n" not in gap and _repeats(text, one, gap))


def _is_near(text: str, one: Box, other: Box) -> bool:
    """Whether they are on neighbouring lines."""
    gap = text[one[1] : min(other[0], one[1] + 200)]
    return other[0] - one[1] < 200 and sum(1 for x in gap.split("\n") if x.strip()) <= 2


def _line(text: str, box: Box) -> str:
    """What stands before a box in its line, the last of it."""
    return text[max(text.rfind("\n", 0, box[0]) + 1, box[0] - 120) : box[0]]


def _guesses(text: str, found: list[Box]) -> list[Box]:
    """The last boxes that are offered as guesses, if the last one is."""
    last = found[-20:]
    starts = [0, *(end for _, end, _ in last)]
    guesses = [
        box
        for box, start in zip(last, starts, strict=False)
        if hedged(_line(text, box)[-(box[0] - start) :])
    ]
    return guesses if found[-1] in guesses else []
