r"""Checks the letter of a multiple-choice question.

The reference is the letter as it was asked or, where the options are known, ``{"answer": "C",
"options": ["…", …]}``; then an option's own words count as its letter.
"""

import json
import re

from distill.verify.math.extract import boxes, stated
from distill.verify.math.latex import plain
from distill.verify.verdict import Verdict

LETTERS = "ABCDEFGHIJ"  # MMLU-Pro has ten
# "C", "(C)", "C.", "C) Paris", "option C", "choice (C): Paris"; not "A cat", nor "Because".
_LETTER = re.compile(
    r"(?:the )?(?:correct )?(?:answer|option|choice)? ?(?:is )?:? ?"
    r"\(?([A-J])(?:\)|(?=[.:,]|\s*$))[.:,)]?(?:\s.*)?",
    re.DOTALL,
)
_MENTIONED = re.compile(r"\b(?:option|choice)\s{1,3}\(?([A-J])\b", re.IGNORECASE)


def choice(gold: str, response: str) -> Verdict:
    r"""By the last box, else the stated answer, else the last line; several letters are wrong.

    >>> choice("C", r"So \boxed{\text{(C)}}").label, choice("C", "The answer is D.").label
    ('correct', 'wrong')
    """
    wanted, options = _reference(gold)
    if wanted is None:
        return Verdict("unverifiable", None, "unreadable_gold")
    found, place = _answer(response)
    if found is None:
        return Verdict("no_answer", None, "none_found")
    letter = _letter(found) or _by_words(found, options)
    if letter is None:
        if place == "last_line":
            return Verdict("no_answer", None, "none_found")
        return Verdict("unverifiable", found, "no_letter", place)
    return Verdict("correct" if letter == wanted else "wrong", letter, "letter", place)


def _reference(gold: str) -> tuple[str | None, list[str]]:
    options: list[str] = []
    if gold.lstrip().startswith("{"):
        try:
            found = json.loads(gold)
        except (RecursionError, ValueError):
            return None, []
        listed = found.get("options")
        options = [str(option) for option in listed] if isinstance(listed, list) else []
        gold = str(found.get("answer", ""))
    return _letter(plain(gold)), options


def _answer(response: str) -> tuple[str | None, str]:
    """(the text taken as the answer, where it was found)."""
    if inside := boxes(response):
        return plain(inside[-1][2][:1_000]), "boxed"
    if (text := stated(response, whole=True)) is not None:
        return plain(text[:1_000]), "stated"
    lines = response.strip().rsplit("\n", 1)
    last = plain(lines[-1][-1_000:].replace("*", ""))
    return (last, "last_line") if last else (None, "")


def _letter(text: str) -> str | None:
    if match := _LETTER.fullmatch(text.strip()):
        return match[1]
    mentioned = {letter.upper() for letter in _MENTIONED.findall(text)}
    return mentioned.pop() if len(mentioned) == 1 else None


def _by_words(text: str, options: list[str]) -> str | None:
    """The letter of the one option that the answer spells out."""
    said = plain(text).casefold()
    same = [number for number, option in enumerate(options) if plain(option).casefold() == said]
    return LETTERS[same[0]] if len(same) == 1 and same[0] < len(LETTERS) else None
