r"""Finds the final answer in a response.

In this order, which is documented because it decides labels:

1. the last closed ``\boxed{…}`` or ``\fbox{…}`` with the list that it ends, unless another answer
   is stated after it;
2. the last stated answer: "the answer is …", "Answer: …", ``<answer>…</answer>``, "#### …", and
   such words in other languages;
3. the whole response, if it is one short line;
4. bold text with a number in the last line, or the formula that ends it;
5. the last number in the last lines, if it is not part of a formula;
6. the formula of the last line, if it has exactly one.

In a sentence, bold text and formulas go before the last number; "3 or 4" gives both. What a text
denies is not its answer. Where it takes an answer back, only what follows counts. Several different
answers that are no list are none.
"""

import re
from dataclasses import dataclass

from distill.verify.math.boxes import Box, affirmed_boxes, boxes, last_boxes
from distill.verify.math.denial import denied_later, gives_up
from distill.verify.math.latex import plain
from distill.verify.math.rational import Number
from distill.verify.math.retraction import kept, turned
from distill.verify.math.sentence import (
    LONGEST_LINE,
    answer_in,
    asserted,
    bold_in,
    bold_word,
    guesses,
    is_answer,
    last_formula,
    last_number,
    only_formula,
)
from distill.verify.math.signs import quiet
from distill.verify.math.statements import after_others, is_final, rivals, statements
from distill.verify.math.values import LONGEST, read

__all__ = ["Found", "boxes", "extract", "stated", "text_answer"]

MOST_GUESSES = 12  # lines at the end that are searched for guesses
LAST_LINES = 3  # non-empty lines at the end that are searched for the last number
SHORT_LINE = 200  # a response of one line up to this length may be the answer itself


# A word of a script without spaces.
_ONE_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,20}")


# With which a model ends, where the server lets it through.
_END_TOKENS = ("</s>", "<eos>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<end_of_turn>")
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
# An answer that stands before its explanation.
_EXPLAINED = re.compile(
    r"\s{0,8}\*\*([^*\n]{1,40})\*\*\s{1,8}[#*\s]{0,8}(?:explanation|here['’]s|here is|because"
    r"|reason"
    r"|breakdown|steps?\b|solution|working|calculation)",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as written in the response, and where it was found."""

    text: str
    place: str  # boxed, stated, whole, bold, last_formula, last_number; several: it has no answer


def extract(response: str, *, listed: bool = False) -> Found | None:
    r"""The final answer of a response; None if it gives none.

    ``listed``: the boxes of the parts (a), (b) are asked for together.

    >>> extract("**Answer:** It will take Prince 5 days.")
    Found(text='5', place='stated')
    >>> extract(r"\boxed{5}. Wait, this is wrong. It is 12.")
    Found(text='12', place='last_number')
    """
    response = response.rstrip()
    for token in _END_TOKENS:
        response = response.removesuffix(token)
    if found := affirmed_boxes(response):
        last = last_boxes(response, found, listed=listed)
        after = response[last.end :]
        if len(after) <= 8 and not _LETTER.search(after):
            return Found(last.text, "several" if last.several else "boxed")
        if (rest := kept(after)) is not None:
            return _unboxed(rest)
        if denied_later(after, last.text):
            return None
        if (other := turned(after)) is not None and not _holds(other, last.text):
            return _unboxed(other.strip())
        later = _later(after, found[-1])
        if later is not None:
            return later
        return Found(last.text, "several" if last.several else "boxed")
    return _unboxed(response)


def stated(text: str) -> str | None:
    """The answer in the last statement of one: "answer is", "Answer:", "####"."""
    for one in reversed(statements(text)):
        if (answer := answer_in(one.text)) is not None:
            return answer
    return None


def _later(after: str, box: Box) -> Found | None:
    """What is stated after the last box, if it is another answer."""
    for one in reversed(statements(after)):
        answer = answer_in(one.text)
        if answer is None or not (is_answer(one.text) or is_final(one)):
            continue
        if plain(box[2][:LONGEST]) in plain(one.text[:LONGEST]) or _same(answer, box[2]):
            return None
        return Found(answer, "stated")
    return None


def _holds(said: str, answer: str) -> bool:
    """Whether a sentence says the answer again."""
    again = answer_in(said)
    return plain(answer[:LONGEST]) in plain(said) or (again is not None and _same(again, answer))


def _same(one: str, other: str) -> bool:
    return read(one) == read(other)


def _unboxed(text: str) -> Found | None:
    if "~~" in text:
        text = _STRUCK.sub("", text)
    found = statements(text)
    if found:
        if (rest := kept(text[found[-1].end :])) is not None:
            return _in_last_lines(rest)
        other, said = turned(text[found[-1].end :]), answer_in(found[-1].text)
        if said is not None and other is not None and not _holds(other, said):
            return _in_last_lines(other.strip())
        if said is not None and denied_later(text[found[-1].end :], said):
            return None
        if several := rivals(text, found, _number):
            return Found(" | ".join(several), "several")
        for one in reversed(found):
            if (answer := answer_in(one.text)) is not None:
                return Found(answer, "stated")
    last = _in_last_lines(text if found or "nswer" not in text else after_others(text))
    if (last is None or last.place == "last_number") and (first := _EXPLAINED.match(text)):
        return Found(first[1], "bold") if is_answer(first[1]) and kept(text) is None else last
    return last


def _number(text: str) -> object:
    """The number that a statement gives; None if it is no number."""
    value = read(answer_in(text) or "")
    return value if isinstance(value, Number) else None


def _in_last_lines(text: str) -> Found | None:
    lines = [line for line in text[-3 * LONGEST_LINE :].split("\n") if line.strip()]
    near = lines[-MOST_GUESSES:]
    if not quiet("\n".join(near)):
        end = "\n".join(lines[-LAST_LINES:])
        rest = kept(end, at_once=len(end))
        if rest is not None and end.removesuffix(rest).strip().lower() != "no.":
            end, lines = rest, [line for line in rest.split("\n") if line.strip()]
        if gives_up(end):
            return None
    if not lines:
        return None
    if len(lines) == 1 and len(lines[0]) <= SHORT_LINE:
        line = lines[0].strip().lstrip("∴⇒⟹→➡👉\ufe0f ").strip('"“”«»`✅✔✓☑🎉🙂😊️ ')
        if (is_answer(line) and asserted([line])) or _ONE_WORD.fullmatch(line):
            return Found(line, "whole")
    if several := guesses(lines[-MOST_GUESSES:]):
        return Found(" | ".join(several), "several")
    lines = asserted(lines[-LAST_LINES:])
    if not lines:
        return None
    if (answer := bold_in(lines[-1])) is not None:
        return Found(answer, "bold")
    if (answer := last_formula(lines[-1])) is not None:
        return Found(answer, "last_formula")
    for line in reversed(lines[-LAST_LINES:]):
        if any(map(str.isdigit, line)):
            if (answer := last_number(line)) is not None:
                return Found(answer, "last_number")
            break
    if (answer := only_formula(lines[-1])) is not None:
        return Found(answer, "last_formula")
    answer = bold_word(lines[-1])
    return None if answer is None else Found(answer, "bold")


def text_answer(response: str) -> Found | None:
    """The box, else the stated answer word by word, else the last line."""
    if found := affirmed_boxes(response):
        last = last_boxes(response, found, listed=False)
        rest = kept(response[last.end :])
        if rest is None:
            return Found(last.text.strip(), "several" if last.several else "boxed")
        response = rest
    if said := statements(response):
        rest = kept(response[said[-1].end :])
        if rest is None:
            several = rivals(response, said, str)
            return Found(said[-1].text.strip(" *`"), "several" if several else "stated")
        response = rest
    lines = response.strip().rsplit("\n", 1)
    return Found(lines[-1].strip(" *`"), "last_line") if lines[-1].strip() else None
