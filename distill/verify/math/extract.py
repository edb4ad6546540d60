r"""Finds the final answer in a response.

In this order, which is documented because it decides labels:

1. the last closed ``\boxed{…}`` or ``\fbox{…}``. Different boxes that are joined to it by nothing
   but commas, "and" or "or" form a list with it. Other boxes on its line make several answers, that
   is, none, unless an answer is stated after the last of them;
2. the last stated answer: "the answer is …", "Answer: …", "#### …";
3. the whole response, if it is one short line;
4. bold text with a number in the last line, or the formula that ends it;
5. the last number in the last lines, if it is not part of a formula;
6. the formula of the last line, if it has exactly one.

In a sentence, bold text and formulas go before the last number; "3 or 4" gives both.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from distill.verify.math.latex import plain
from distill.verify.math.rational import DECIMAL
from distill.verify.math.values import LONGEST, Text, is_plain, read

LAST_LINES = 3  # non-empty lines at the end that are searched for the last number
LONGEST_LINE = 4_000  # characters of a line that are searched for a number, from its end
SHORT_LINE = 200  # a response of one line up to this length may be the answer itself

_BRACES = re.compile(r"\\f?box(?:ed)?\s{0,8}\{|\\[{}]|[{}]")
_BARE_BOX = re.compile(r"\\boxed\s{1,4}([^\s{}$\\]{1,80})")
_JOINT = re.compile(
    r"(?:[\s,;.$&()\[\]\\:*]|\\q?quad|\\text(?:rm)?\s?\{[^{}]{0,20}\}|and|or){0,80}"
)
_CONNECTED = re.compile(r"[,;&]|and|or|\\quad")
_STATED = re.compile(
    r"\banswers?\b(?:[ *_]{0,6}(?:is|are|:|=|：)){1,2}[ *_:]{0,6}|\banswers?[ ]?:?\*\*[ :]{0,4}",
    re.IGNORECASE,
)
_HASHES = re.compile(r"^####[ \t]{1,8}(\S[^\n]{0,200})$", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?:\s{1,4}(?=[A-Z<])|$)")
_BOLD = re.compile(r"\*\*([^*\n]{1,300})\*\*")
_FORMULA = re.compile(r"\\\([^\n]{1,300}?\\\)|\\\[[^\n]{1,300}?\\\]|\$\$?([^$\n]{1,300})\$\$?")
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_^{{}}\\/:*×÷.,])-?"
    rf"(?:(?:[0-9]{{1,9}} ?)?\\frac ?\{{[0-9]{{1,20}}\}}\{{[0-9]{{1,20}}\}}"
    rf"|[0-9]{{1,9}} [0-9]{{1,9}}/[0-9]{{1,9}}|{DECIMAL}(?: ?/ ?[0-9]{{1,20}})?)(?: ?%)?"
)
# What may follow at once: the end, space, punctuation, or a unit; not an operator or a variable.
_AFTER = re.compile(
    r"$|[\s);!?\]…]|[.:,](?![0-9])|(?:cm|mm|km|kg|m|g|ft)?[²³€£¥]|(?:cm|mm|km|kg|mph)\b"
)
_OPERATOR = re.compile(
    r"(?:[-+*/×÷^<>≤≥≠]|<=|>=|\\(?:times|cdot|div|leq?|geq?|neq?|lt|gt|pm))\s{0,4}$"
)
_TUPLE = re.compile(r"[(\[][^()\[\]\n]{1,80},[^()\[\]\n]{1,80}[)\]]$")
_COMMAND = re.compile(r"\\(?:text[a-z]{0,8}|begin|end)\s?\{[^{}]*\}|\\[a-zA-Z]+|\b(?:and|or)\b")
_WORD = re.compile(r"[A-Za-z]{2,}")
_OR = re.compile(r"\W{0,4}(?:[A-Za-z]{1,20}\W{1,4}){0,2}or\W{1,4}(?:[A-Za-z]{1,20}\W{1,4}){0,2}$")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as written in the response, and where it was found."""

    text: str
    place: str  # boxed, several_boxes, stated, whole, bold, last_number


def extract(response: str) -> Found | None:
    r"""The final answer of a response; None if it gives none.

    >>> extract("**Answer:** It will take Prince 5 days.")
    Found(text='5', place='stated')
    """
    if found := _boxed(response):
        if found.place == "several_boxes":  # steps, if an answer is stated after the last of them
            text = stated(response[boxes(response)[-1][1] :])
            return found if text is None else Found(text, "stated")
        return found
    if (text := stated(response)) is not None:
        return Found(text, "stated")
    lines = [line for line in response[-3 * LONGEST_LINE :].split("\n") if line.strip()]
    if not lines:
        return None
    if len(lines) == 1 and len(lines[0]) <= SHORT_LINE and _is_answer(lines[0]):
        return Found(lines[0].strip(), "whole")
    if (text := _bold(lines[-1])) is not None:
        return Found(text, "bold")
    if (text := _last_formula(lines[-1])) is not None:
        return Found(text, "last_formula")
    for line in reversed(lines[-LAST_LINES:]):
        if any(map(str.isdigit, line)):
            number = last_number(line)
            if number is not None:
                return Found(number, "last_number")
            break
    formula = _only_formula(lines[-1])
    return None if formula is None else Found(formula, "last_formula")


def boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of each closed box that is not inside another, in order; one pass."""
    if "box" not in text:
        return []
    open_at: list[tuple[int, int]] = []  # (start, where the content starts); start -1 is no box
    found: list[tuple[int, int, str]] = []
    for match in _BRACES.finditer(text):
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


def _boxed(text: str) -> Found | None:
    if "\\boxed" not in text and "\\fbox" not in text:
        return None
    found = boxes(text)
    if not found:
        bare = _BARE_BOX.findall(text)
        return Found(bare[-1], "boxed") if bare else None
    joined = _run(text, found, _is_joint)
    together = _run(text, found, lambda gap: "\n" not in gap or _is_joint(gap))
    answers = list(dict.fromkeys(_shape(content) for _, _, content in joined))
    others = list(dict.fromkeys(_shape(content) for _, _, content in together))
    if set(others) <= set(answers):
        return Found(found[-1][2] if len(answers) == 1 else ", ".join(answers), "boxed")
    return Found(" | ".join(others), "several_boxes")


def _shape(content: str) -> str:
    return plain(content) if len(content) <= LONGEST else content


def _run(
    text: str, found: list[tuple[int, int, str]], holds: Callable[[str], bool]
) -> list[tuple[int, int, str]]:
    """The last box and those right before it, as far back as the text between them ``holds``."""
    first = len(found) - 1
    while first > 0 and holds(text[found[first - 1][1] : found[first][0]]):
        first -= 1
    return found[first:]


def _is_joint(gap: str) -> bool:
    """Whether it joins two boxes into a list: nothing, a comma, "and", perhaps with a name."""
    if len(gap) > 60:
        return False
    return _JOINT.fullmatch(gap) is not None or ("\n" not in gap and bool(_CONNECTED.search(gap)))


def stated(text: str, *, whole: bool = False) -> str | None:
    """What follows the last "answer is", "Answer:" or "####"; ``whole``: as it is written."""
    for content in _statements(text):
        line = content.strip()
        if not line:
            continue
        end = _SENTENCE_END.search(line)
        sentence = line[: end.start()] if end else line
        answer = sentence.strip(" *`") if whole else answer_in(sentence)
        if answer is not None:
            return answer
    return None


def _statements(text: str) -> Iterator[str]:
    starts = [match.end() for match in _STATED.finditer(text)]
    for start in reversed(starts[-3:]):
        yield next((x for x in text[start : start + LONGEST_LINE].split("\n") if x.strip()), "")
    for match in reversed(list(_HASHES.finditer(text))[-1:]):
        if is_plain(read(match[1]) or Text("", False)):
            yield match[1]


def answer_in(sentence: str) -> str | None:
    """The answer in a sentence: all of it, its bold part, its last formula or last number."""
    sentence = sentence.strip()
    if _is_answer(sentence):
        return sentence
    if (bold := _bold(sentence)) is not None:
        return bold
    if (formula := _last_formula(sentence)) is not None:
        return formula
    if (number := last_number(sentence)) is not None:
        return number
    return sentence if 0 < len(sentence) <= 60 and len(sentence.split()) <= 4 else None


def _bold(line: str) -> str | None:
    for content in reversed(_BOLD.findall(line)):
        if any(map(str.isdigit, content)):
            return content.strip() if _is_answer(content) else last_number(content)
    return None


def _last_formula(line: str) -> str | None:
    """The formula at the end of a line, if it reads as an answer."""
    *_, last = [None, *_FORMULA.finditer(line[-LONGEST_LINE:])]
    if last is None or line[-LONGEST_LINE:][last.end() :].strip(" .,;*"):
        return None
    return last[0] if _is_answer(last[0]) else None


def _only_formula(line: str) -> str | None:
    """The formula of a line that has exactly one: Therefore $x > 5$ is the solution."""
    found = _FORMULA.findall(line[-LONGEST_LINE:])
    match = _FORMULA.search(line[-LONGEST_LINE:])
    return match[0] if match and len(found) == 1 and _is_answer(match[0]) else None


def _is_answer(text: str) -> bool:
    """Whether a whole text reads as an answer rather than a sentence that contains one."""
    text = text.strip()
    if len(text) > 2_000 or "\\boxed" in text:  # a box that is still here was never closed
        return False
    value = read(text)
    if value is None or is_plain(value):
        return value is not None
    formula = _FORMULA.fullmatch(text.rstrip("."))
    if formula is None:
        return not _WORD.search(_COMMAND.sub(" ", text))
    if formula[0].rstrip("$) ]\\.").endswith(("+", "-", "=", "*", "/")):
        return False  # $41.472+$ is money, part of a sum
    # "$5 for one and $" is not a formula: dollars around words are amounts of money
    return formula[1] is None or len(_WORD.findall(_COMMAND.sub(" ", formula[1]))) <= 1


def last_number(line: str) -> str | None:
    """The last number of a line that stands alone; both of "3 or 4"; None inside a formula."""
    tail = line[-LONGEST_LINE:].replace("−", "-").replace("{,}", ",").replace(r"\!", "")
    tail = re.sub(r"\\?\$|\*\*|\\[()\[\]]|\\(?=%)|\\text\s?\{[^{}]{0,40}\}", " ", tail).rstrip(" .")
    found = list(_NUMBER.finditer(tail))
    if not found or not _AFTER.match(tail, found[-1].end()):
        return None
    last, before = found[-1], tail[: found[-1].start()]
    if (pair := _TUPLE.search(tail[: last.end() + 1])) and is_plain(
        read(pair[0]) or Text("", False)
    ):
        return pair[0]
    if _OPERATOR.search(before[-12:]):
        return None
    if len(found) > 1 and _OR.fullmatch(tail[found[-2].end() : last.start()]):
        return f"{found[-2][0].strip()} or {last[0].strip()}"
    return last[0].strip()
