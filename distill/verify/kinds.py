"""One function for each kind of check: reference and response in, verdict out. Picks no kind."""

import re
import unicodedata
from collections.abc import Callable, Mapping

from distill.verify.compare import same
from distill.verify.extract import Found, boxes, extract, stated
from distill.verify.latex import plain
from distill.verify.values import LONGEST, Value, read
from distill.verify.verdict import Verdict

_SPACE = re.compile(r"\s+")


def _math(gold: str, response: str) -> Verdict:
    wanted = _reference(gold)
    if wanted is None:
        return Verdict("unverifiable", None, "unreadable_gold")
    found = extract(response)
    value = read(found.text) if found else None
    if found is None or value is None:
        return Verdict("no_answer", None, "none_found")
    if found.place == "several_boxes":
        return Verdict("wrong", found.text, "several_boxes", found.place)
    equal, method = same(wanted, value)
    label = {True: "correct", False: "wrong", None: "unverifiable"}[equal]
    return Verdict(label, found.text.strip(), method, found.place)  # type: ignore[arg-type]


def _reference(gold: str) -> Value | None:
    """The value of a reference: an answer, or a whole solution with the answer boxed or stated."""
    if "\\boxed" in gold or "\\fbox" in gold or "####" in gold:
        found = extract(gold)
        return read(found.text) if found and found.place in ("boxed", "stated") else None
    return read(gold)


def _exact(gold: str, response: str) -> Verdict:
    wanted = _same_text(gold)
    found = _text_answer(response)
    if not found or not found.text:
        return Verdict("no_answer", None, "none_found")
    candidates = [found.text]
    if len(found.text) <= LONGEST:
        candidates.append(plain(found.text))
    if len(response) <= 4 * len(gold) + LONGEST:  # the whole response may be the answer
        candidates.append(response)
    right = wanted in map(_same_text, candidates)
    return Verdict("correct" if right else "wrong", found.text, "string", found.place)


def _text_answer(response: str) -> Found | None:
    """The box, else the stated answer word by word, else the last line."""
    if inside := boxes(response):
        return Found(inside[-1][2].strip(), "boxed")
    if (text := stated(response, whole=True)) is not None:
        return Found(text, "stated")
    lines = response.strip().rsplit("\n", 1)
    return Found(lines[-1].strip(" *`"), "last_line") if lines[-1].strip() else None


def _same_text(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" .*`\"'")


def _reasoning_gym(gold: str, response: str) -> Verdict:
    first = _math(gold, response)
    if first.label in ("correct", "wrong"):
        return first
    second = _exact(gold, response)
    if second.label == "wrong":
        return Verdict("unverifiable", second.answer, "needs_scorer", second.detail)
    return second


KINDS: Mapping[str, Callable[[str, str], Verdict]] = {
    "math": _math,
    "exact": _exact,
    "reasoning_gym": _reasoning_gym,
}
