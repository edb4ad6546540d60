r"""Checks the letters of a multiple-choice question.

The reference is the letter as it was asked, several ("A, C"), or, where the options are known,
``{"answer": "C", "options": ["…", …]}``; then an option's own words count as its letter.
"""

import json
import re

from distill.verify.math.denial import (
    REASON,
    affirmed,
    denied_after,
    denied_before,
    gives_up,
    hedged,
)
from distill.verify.math.extract import Found, text_answer
from distill.verify.math.latex import plain
from distill.verify.math.phrases import bare
from distill.verify.math.sentence import asserted
from distill.verify.math.signs import DENYING, DOUBTING, quiet
from distill.verify.verdict import Verdict

LETTERS = "ABCDEFGHIJ"  # MMLU-Pro has ten
SHORT = 6  # words of a last line that may be the answer

_ONE = r"[(（\[]?[A-J](?![A-Za-z0-9_'’])[)）\]]?"
_AND = (
    r"(?:\s?(?:[,;/&+，、；]\s?(?:and |or )?|\b(?:and|or|y|o|et|ou|und|oder|e|и|или)\b|和|或|及)\s?"
    r"|\s)"
)
_LEAD = (
    r"(?:\W|\b(?:the|so|thus|hence|therefore|then|it|must|be|is|are|correct|right|best|final"
    r"|answers?"
    r"|options?|choices?|letters?|opción|opciones|option|i|we|my|our|would|(?-i:['’]?d)|will"
    r"|choose"
    r"|pick|select"
    r"|go|going|with|opt|for|guess|think|s|should|clearly|certainly|definitely|indeed|obviously"
    r"|probably|both|only|la|le|il|(?-i:as?|os?)|letra|lettre|lettera|buchstabe|alternativa"
    r"|correct[ao]|richtig|ist|es)\b|所以|因此|故|应|选项?|选择|是|为){0,12}"
)
# "C", "(C)", "C.", "C) Paris", "option C", "A and C", "ACD"; not "A cat", nor "Because".
_LETTERS = re.compile(
    rf"{_LEAD}(?<![A-Za-z])((?-i:{_ONE}(?:{_AND}{_ONE}){{0,9}}|[A-J]{{2,10}}))(.*)",
    re.I | re.DOTALL,
)
_ENDS = re.compile(
    r"\s*$|\s*[.,:;。，：；!)（(—–-]|[)）\]]|\s(?:is|are|because|since|as|for|und|ist|es|est|é|è"
    r"|isn|wasn|here|overall|right|correct)\b|(?:选项)?正确|\s?选?项|对|\s(?:seçene|şık|है|است)"
    r"|['’]?d[ıiuü]r\b|[是为です입의이가은는]",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[(（]?\b[A-J][).:、）]")
_OPTION_LINE = re.compile(r"\s*[-*•]?\s*\*{0,2}[(（]?[A-J](?:[).:、）]|\s*$)")
_ONLY_LETTER = re.compile(r"[*(\s]{0,4}([A-J])[).:*\s]{0,4}")
_MENTIONED = re.compile(r"\b(?:option|choice)s?\s{1,3}\(?([A-J])(?![\w'’])\)?", re.IGNORECASE)
_ONLY_ONE = re.compile(
    r"(?<![Nn]ot )(?<![Ii]f )\b[Oo]nly (?:option |statement |choice "
    r"|answer )?\(?([A-J])\)? (?:holds"
    r"|works|fits|remains|survives|applies|satisfies|(?:is|can be) (?:true|correct|right|valid"
    r"|left))\b"
)
_CLAUSE = re.compile(r"[,;.!?，；。]|\bbut\b", re.IGNORECASE)
_RULED_OUT = re.compile(
    r"\b(?:cannot|eliminate|rul(?:e|ed|ing) out|exclude|distractor|wrong|incorrect|false|except"
    r"|unlikely"
    r"|unless|if)|\bnot\b|n['’]t\b|不|排除|错|误",
    re.IGNORECASE,
)
_IS_RIGHT = re.compile(r"\b(?:is|are) (?:right|correct|true)\b|✓|✅|正确", re.IGNORECASE)
_OR = re.compile(r"\b(?:or|either|o|ou|oder|или)\b|或|/", re.IGNORECASE)


def choice(gold: str, response: str) -> Verdict:
    r"""By the last box, else the stated answer, else the last line.

    All letters of the reference must be given, and no other. Where it is one letter, several are
    ``unverifiable``, and so is "A or C".

    >>> choice("C", r"So \boxed{\text{(C)}}").label, choice("C", "The answer is D.").label
    ('correct', 'wrong')
    """
    wanted, options = _reference(gold)
    if not wanted:
        return Verdict("unverifiable", None, "unreadable_gold")
    found = text_answer(response)
    if found is None:
        return Verdict("no_answer", None, "none_found")
    if found.place == "several" or (found.place == "last_line" and _only_listed(response)):
        return Verdict("no_answer", None, "several_answers")
    text = plain(found.text[:1_000].replace("*", ""))
    letters, sure = _letters(text)
    if not letters:
        letters, sure = _letters(affirmed(text))
    letters = letters or _by_words(text, options, shortly=found.place == "last_line")
    if not letters and (first := _ONLY_LETTER.fullmatch(response.strip().split("\n", 1)[0])):
        letters = frozenset(first[1])  # and an explanation
    if not letters:
        return _without_letter(found, text)
    answer = ", ".join(sorted(letters))
    if not sure or (len(letters) > 1 and len(wanted) == 1):
        return Verdict("unverifiable", answer, "several_letters", found.place)
    return Verdict("correct" if letters == wanted else "wrong", answer, "letter", found.place)


def _without_letter(found: Found, text: str) -> Verdict:
    if found.place == "last_line" or gives_up(text):
        return Verdict("no_answer", None, "none_found")
    return Verdict("unverifiable", text, "no_letter", found.place)


def _reference(gold: str) -> tuple[frozenset[str], list[str]]:
    options: list[str] = []
    if gold.lstrip().startswith("{"):
        try:
            found = json.loads(gold)
        except (RecursionError, ValueError):
            return frozenset(), []
        listed = found.get("options")
        options = [str(option) for option in listed] if isinstance(listed, list) else []
        gold = str(found.get("answer", ""))
    letters, sure = _letters(plain(gold[:1_000]))
    return letters if sure else frozenset(), options


def _only_listed(response: str) -> bool:
    """Whether the last line is one of several options that are repeated, or of several guesses."""
    lines = [line for line in response[-4_000:].split("\n") if line.strip()][-2:]
    return (
        len(lines) == 2
        and not _IS_RIGHT.search(lines[1])
        and (all(map(_OPTION_LINE.match, lines)) or all(hedged(line[:200]) for line in lines))
    )


def _letters(text: str) -> tuple[frozenset[str], bool]:
    """The letters that a text gives, and whether it gives all of them rather than one of them."""
    text = text.strip()
    first = _CLAUSE.split(text, maxsplit=1)[0]
    if first != text and _RULED_OUT.search(text) and (given := _letters(first))[0]:
        return given
    match = _LETTERS.fullmatch(text.upper() if re.fullmatch(r"\(?[a-j][).]?", text) else text)
    if match is None or not _ends(match) or denied_after(match[2][:60]):
        return _mentioned(text)
    said = re.findall("[A-J]", re.sub(r"\b(?:and|or)\b", " ", match[1]))
    if len(said) != len(set(said)):
        return frozenset(), True
    others = set(re.findall("[A-J]", " ".join(_LABEL.findall(match[2]))))
    return frozenset(said) | others, not (_OR.search(match[1]) or others - set(said))


def _ends(match: re.Match[str]) -> bool:
    """Whether the letters are all that is said, apart from an option's words or a reason."""
    rest = REASON.split(_CLAUSE.split(match[2], maxsplit=1)[0], maxsplit=1)[0]
    return (match[1][-1] in ")）]" or bool(_ENDS.match(match[2]))) and not _RULED_OUT.search(rest)


def _mentioned(text: str) -> tuple[frozenset[str], bool]:
    """The options that it names and does not rule out: Hence option C is right."""
    found = set()
    for clause in _CLAUSE.split(text):
        if _RULED_OUT.search(clause) or gives_up(clause):
            continue
        for match in _MENTIONED.finditer(clause):
            if not denied_before(clause[: match.start()]):
                found.add(match[1].upper())
    if not found and (alone := _ONLY_ONE.search(text)) and not _OR.search(text):
        found.add(alone[1])
    return frozenset(found), len(found) < 2


def _by_words(text: str, options: list[str], *, shortly: bool) -> frozenset[str]:
    """The letter of the one option that the answer spells out, alone or in a sentence.

    ``shortly``: nothing says that this is the answer, so that the sentence has to be short.
    """
    said, words = _shape(text), [_shape(option) for option in options[:10]]
    same = [number for number, option in enumerate(words) if option == said]
    if not same and len(text.split()) <= (SHORT if shortly else 4 * SHORT) and asserted([text]):
        same = [number for number, option in enumerate(words) if option and _holds(said, option)]
        same = [n for n in same if not any(words[n] in words[m] for m in same if m != n)]
        rest = said.replace(words[same[0]], "") if same else ""
        if not (quiet(rest, DENYING) and quiet(rest, DOUBTING) and not _OR.search(rest)):
            same = []
    return frozenset(LETTERS[n] for n in same if len(same) == 1 and n < len(LETTERS))


def _shape(text: str) -> str:
    """Its words without an article, its formulas without needless braces and spaces."""
    return re.sub(r"\{(\w)\}|(?<=[-+=^*/]) | (?=[-+=^*/])", r"\1", bare(plain(text)))


def _holds(text: str, option: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(option)}(?!\w)", text) is not None
