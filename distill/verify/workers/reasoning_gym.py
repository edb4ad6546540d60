r"""Which reasoning_gym task a reference belongs to, and which answers its scorer may see.

Some scorers pass the answer to ``eval``. They run in a jail, but a program could still give itself
a full score there. So they only get answers made of numbers, operators, brackets and a few names,
which cannot be programs; all others are ``would_execute``. Texts in quotes only go to scorers that
take lists of them, because sympy would parse a text as a formula again.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

# reasoning-gym 0.1.25: scorers that call eval, or sympy's parse_expr, which does, on the answer.
EVALUATING = frozenset({
    "binary_matrix", "countdown", "intermediate_integration", "n_queens",
    "polynomial_multiplication", "puzzle24", "simple_integration", "spiral_matrix",
    "string_insertion",
})  # fmt: skip
# Those among them that take a list of texts and only compare it.
_OF_TEXTS = frozenset(("binary_matrix", "n_queens", "spiral_matrix", "string_insertion"))
NEVER = frozenset(("codeio",))  # runs code from its entry
# Accepts any answer that is not empty: it compares bool("True") with bool("False").
TAKES_ANYTHING = frozenset(("game_of_life_halting",))
# Scorers that find the right answer within another one, such as "either 5 or 7".
_FINDING = frozenset((
    "advanced_geometry", "fraction_simplification", "gsm_symbolic", "knights_knaves",
    "letter_jumble", "quantum_lock", "sokoban", "spell_backward", "time_intervals", "word_sorting",
))  # fmt: skip
# Words that turn an answer round or leave it open.
_HEDGES = re.compile(
    r"\b(?:not?|\w+n['’]t|cannot|never|neither|nor|either|or|doubt\w*|unless|except|wrong|incorrect"
    r"|false|maybe|perhaps|possibly|nicht|kein\w*|pas|não|не)\b|不|没|否|非",
    re.IGNORECASE,
)
_TOKENS = re.compile(r"[^\W\d_]+|[0-9]+")
_FILLERS = frozenset(("a", "an", "and", "are", "is", "so", "the", "text", "frac", "dfrac"))
_DIGITS = re.compile("[0-9]+")
# No two alternatives can match the same character, so it never backtracks.
_HARMLESS = re.compile(r"(?:[0-9A-Za-z+\-*/^(), \[\]\n'\"]|\.(?=[0-9])|(?<=[0-9])\.(?![0-9]))*+")
_NAMES = re.compile(r"[A-Za-z]{2,}")  # of functions, or words
_KNOWN = re.compile("a?(?:sin|cos|tan)h?|sec|csc|cot|exp|log|sqrt|pi")


def entry(gold: str) -> dict[str, Any] | None:
    """A reference with its task: ``{"task", "answer", "metadata"}``; None if it is a text."""
    if not gold.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(gold)
    except (RecursionError, ValueError):
        return None
    whole = isinstance(found, dict) and {"task", "answer", "metadata"} <= found.keys()
    return found if whole and isinstance(found["metadata"], dict) else None


def fits_anything(gold: str, answer: str) -> bool:
    """Whether the answer is NaN, which passes every comparison, where a number is wanted.

    A word ladder may contain the letters "nan", but then its reference has words too.
    """
    return "nan" in answer.lower() and _NAMES.search(gold) is None


def may_say_more(task: str, entry: Mapping[str, Any], answer: str) -> bool:
    """Whether a scorer's yes would prove little: it hedges, or has parts that the reference lacks.

    Words of the question, such as a unit, do not count as parts. One word alone does not hedge.
    """
    gold = entry["answer"] if isinstance(entry["answer"], str) else ""
    several = len(_TOKENS.findall(answer)) > 1
    if several and len(_HEDGES.findall(answer)) > len(_HEDGES.findall(gold)):
        return True
    if task == "puzzle24":  # whose scorer does not look at which numbers are used
        return sorted(_DIGITS.findall(answer)) != sorted(_DIGITS.findall(gold))
    if task not in _FINDING:
        return False
    known = set(_TOKENS.findall(str(entry.get("question", "")).lower())) | _FILLERS
    return _parts(answer, known) > _parts(gold, known)


def _parts(text: str, known: set[str]) -> int:
    """How many numbers and unknown words there are; 02:58 and 02:58:00 are as many."""
    found = _TOKENS.findall(text.lower())
    return sum(bool(one.strip("0")) if one.isdecimal() else one not in known for one in found)


def would_execute(task: str, answer: str) -> bool:
    """Whether the task's scorer would run an answer that may be more than a formula."""
    if task in NEVER:
        return True
    if task not in EVALUATING:
        return False
    if len(answer) > 2_000 or not _HARMLESS.fullmatch(answer):
        return True
    if task not in _OF_TEXTS and ("'" in answer or '"' in answer):
        return True
    return not all(map(_KNOWN.fullmatch, _NAMES.findall(answer))) and not _is_letters(answer)


def _is_letters(answer: str) -> bool:
    """One word of capital letters, such as ABCDE for string_insertion."""
    return re.fullmatch(r"[A-E]+", answer) is not None
