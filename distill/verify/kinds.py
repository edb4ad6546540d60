"""One function for each kind of check: reference and response in, verdict or question out."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from itertools import pairwise

from distill.verify.choice import choice
from distill.verify.instructions import instructions
from distill.verify.math.boxes import boxes
from distill.verify.math.compare import same
from distill.verify.math.extract import extract, stated, text_answer
from distill.verify.math.latex import plain
from distill.verify.math.options import same_reading
from distill.verify.math.symbolic import displayed, mistaken, too_complex
from distill.verify.math.values import LONGEST, Listed, is_plain, read
from distill.verify.verdict import Verdict
from distill.verify.workers.pending import Doubt, PendingCheck
from distill.verify.workers.reasoning_gym import (
    TAKES_ANYTHING,
    entry,
    fits_anything,
    may_say_more,
    would_execute,
)

_SPACE = re.compile(r"\s+")


def _math(gold: str, response: str) -> Verdict | PendingCheck:
    reference = _reference(gold)
    wanted = None if reference is None else read(reference)
    if reference is None or wanted is None:
        return Verdict("unverifiable", None, "unreadable_gold")
    found = extract(response, listed=isinstance(wanted, Listed))
    if found is None:
        return Verdict("no_answer", None, "none_found")
    if found.place == "several":
        return Verdict("no_answer", None, "several_answers", found.text[:LONGEST])
    reference, text = same_reading(reference, found.text)
    wanted, value = read(reference), read(text)
    if wanted is None or value is None:
        return Verdict("no_answer", None, "none_found")
    equal, method = same(wanted, value)
    answer = found.text.strip()
    if equal is None and method == "needs_symbolic":  # it could only guess at a rounding, two units
        return _question(reference, text.strip(), found.place)
    label = {True: "correct", False: "wrong", None: "unverifiable"}[equal]
    return Verdict(label, answer, method, found.place)  # type: ignore[arg-type]


def _reference(gold: str) -> str | None:
    """The text of a reference: an answer, or a whole solution with the answer boxed or stated."""
    if "\\boxed" in gold or "\\fbox" in gold or "####" in gold:
        found = extract(gold)
        inside = boxes(gold)
        if "boxed{" in gold and not inside:  # it was never closed
            return gold.rpartition("boxed{")[2]
        gaps = [gold[one[1] : other[0]] for one, other in pairwise(inside)]
        if gaps and not any(map(str.isalpha, "".join(gaps))):
            return ", ".join(content for *_, content in inside)
        return found.text if found and found.place in ("boxed", "stated") else None
    answer = stated(gold) if "nswer" in gold else None
    return gold if answer is None else answer


def _question(gold: str, answer: str, place: str) -> Verdict | PendingCheck:
    """The question for Math-Verify; what it cannot read whole is not asked, and never wrong."""
    refused = too_complex(gold) or too_complex(answer) or mistaken(gold, answer)
    if refused:
        return Verdict("unverifiable", answer, refused, place)
    job = {"gold": displayed(gold), "answer": displayed(answer)}
    return PendingCheck("math", job, answer, place, "unproved")


def _exact(gold: str, response: str) -> Verdict:
    wanted = _same_text(gold)
    found = text_answer(response)
    if not found or not found.text:
        return Verdict("no_answer", None, "none_found")
    if found.place == "several":
        return Verdict("no_answer", None, "several_answers")
    candidates = [found.text]
    if len(found.text) <= LONGEST:
        candidates.append(plain(found.text))
    if len(response) <= 4 * len(gold) + LONGEST:  # the whole response may be the answer
        candidates.append(response)
    right = wanted in map(_same_text, candidates)
    return Verdict("correct" if right else "wrong", found.text, "string", found.place)


def _same_text(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" .*`\"'")


def _reasoning_gym(gold: str, response: str) -> Verdict | PendingCheck:
    """By the task's own scorer if the reference names it; else as numbers, else as text.

    A formula in another form is neither right nor wrong here, because a task may ask for the form.
    """
    if (task := entry(gold)) is not None:
        return _scored(task, response)
    wanted = read(gold)
    if wanted is None or is_plain(wanted):
        first = _math(gold, response)
        sure = ("correct", "wrong")
        if isinstance(first, Verdict) and first.label in sure and first.method != "probe":
            return first
    second = _exact(gold, response)
    if second.label == "wrong":
        return Verdict("unverifiable", second.answer, "needs_scorer", second.detail)
    return second


def _scored(task: dict[str, object], response: str) -> Verdict | PendingCheck:
    """By the scorer, whose "no" proves nothing about LaTeX or the last of several lines."""
    gold, name = str(task["answer"]), str(task["task"])
    first = _exact(gold, response)
    known = task["answer"] is not None  # else the text None would be right
    if (first.label != "wrong" and known) or first.answer is None:
        return first
    given = first.answer if "\n" in first.answer else plain(first.answer[:LONGEST])
    if name in TAKES_ANYTHING:
        return Verdict("unverifiable", first.answer, "needs_scorer", first.detail)
    if fits_anything(gold, given):
        return first
    if would_execute(name, given):
        return Verdict("unverifiable", first.answer, "would_execute", first.detail)
    if may_say_more(name, task, given):
        return Verdict("unverifiable", first.answer, "prose", first.detail)
    part = first.detail == "last_line" and "\n" in response.strip()
    part = part or ("\n" in gold.strip() and "\n" not in given)
    doubt: Doubt = "other_form" if part or "\\" in given else ""
    return PendingCheck("gym", {**task, "given": given}, first.answer, first.detail, doubt)


CHECKS: Mapping[str, Callable[[str, str], Verdict | PendingCheck]] = {
    "math": _math,
    "exact": _exact,
    "choice": choice,
    "reasoning_gym": _reasoning_gym,
    "instructions": instructions,
}
CODE = "code"  # a program, which ``distill.verify.code`` runs in a jail
KINDS = (*CHECKS, CODE)
