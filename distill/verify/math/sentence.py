"""Takes the answer out of one sentence: all of it, its bold part, its formula or its number."""

import re

from distill.verify.math.denial import (
    REASON,
    affirmed,
    denied_after,
    denied_before,
    doubted,
    gives_up,
)
from distill.verify.math.rational import DECIMAL
from distill.verify.math.retraction import kept
from distill.verify.math.signs import DENYING, quiet
from distill.verify.math.values import is_plain, read

LONGEST_LINE = 4_000  # characters of a line that are searched for a number, from its end

_BOLD = re.compile(r"\*\*([^*\n]{1,300})\*\*")
_FORMULA = re.compile(r"\\\([^\n]{1,300}?\\\)|\\\[[^\n]{1,300}?\\\]|\$\$?([^$\n]{1,300})\$\$?")
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_^{{}}\\/:*×÷.,])-?"
    rf"(?:(?:[0-9]{{1,9}} ?)?\\frac ?\{{[0-9]{{1,20}}\}}\{{[0-9]{{1,20}}\}}"
    rf"|[0-9]{{1,9}} [0-9]{{1,9}}/[0-9]{{1,9}}|{DECIMAL}(?: ?/ ?[0-9]{{1,20}})?)(?: ?%)?"
)
_CJK = "\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef"
# What may follow at once: the end, space, punctuation, a unit, or another script, unless that
# counts in myriads or fractions; not an operator or a variable.
_AFTER = re.compile(
    r"$|[\s);!?\]…]|[.:,](?![0-9])|(?:cm|mm|km|kg|m|g|ft)?[²³€£¥]|(?:cm|mm|km|kg|mph)\b"
    rf"|(?![万千百十亿萬億兆分折成倍割만천백십억])[{_CJK}]"
)
_OPERATOR = re.compile(
    r"(?:[-+*/×÷^<>≤≥≠]|<=|>=|!=|\\(?:times|cdot|div|leq?|geq?|neq?|lt|gt|pm))\s{0,4}$"
)
# Numbers of something else: problem 5, step 1 of 5.
_NUMBERED = re.compile(
    r"(?:\b(?:problem|question|exercise|task|step|part|section|chapter|attempt|try|equation|eq\."
    r"|figure|fig\.|table|theorem|lemma|example|version|method|approach|hint|case|phase|stage"
    r"|iteration"
    r"|guess|puzzle|no\.|nr\.|problema|pregunta|ejercicio|paso|aufgabe|frage|schritt|exercice"
    r"|étape|задача|вопрос|шаг|задачи|error at line|todo)\s{0,3}[#(]?|#"
    r"|(?:第|問題|问题|문제)\s?|\b(?:page|base|mod|modulo|divi(?:sible|ded) by|multiple of|power of"
    r"|minus|negative|twice|almost|nearly|just (?:under|over|below|above)|(?:half|square|cube"
    r"|root|sum|product|opposite|reciprocal|negative) of|double|triple)\s|\b[a-z]\(|\bno\s"
    r"|\d\s(?:of"
    r"|out of|von|de|sur|из)\s|第\s?)$",
    re.IGNORECASE,
)
_TUPLE = re.compile(r"[(\[][^()\[\]\n]{1,80},[^()\[\]\n]{1,80}[)\]]$")
_COMMAND = re.compile(
    r"\\(?:text[a-z]{0,8}|begin|end)\s?\{[^{}]*\}|\\[a-zA-Z]+|\b(?:and|or)\b|[和或与と、，；（）：。]"
)
_WORD = re.compile(rf"[A-Za-z]{{2,}}|[\u0400-\u04ff]{{2,}}|[{_CJK}]")
_ASIDE = re.compile(r"\s?\((or [^()]{1,40})\)")
# No unit, although a word after a number may be one.
_VERB = re.compile(
    r"\b(?:is|isn|won|seems|let|assume|suppose|consider|check|continue|case|no|try|are|was|wasn"
    r"|can|cannot|be|does|doesn|do|don|not|wrong|incorrect|false|extraneous|rejected|jest"
    r"|stimmt|klopt|yanlış|salah"
    r"|discarded|excluded|invalid)\b",
    re.IGNORECASE,
)
_OR = re.compile(r"\b(?:or|o|ou|oder|либо|and|maybe|perhaps|или|y|und|et)\b|或|또는|か|和|/|\|")
# Between two numbers of a list.
_LISTED = re.compile(
    r"\W{0,4}(?:\b[A-Za-z]{1,20}\W{1,4}){0,2}(?:\b(?:or|o|ou|oder|либо|или)\b|或者?|또는|か)\W{0,4}"
    r"(?:\b[A-Za-z]{1,20}\W{1,4}){0,2}|[\s,;]{0,4}(?:\b(?:and|maybe|perhaps|y|und|et)\b"
    r"|和)[\s,;]{0,4}|\s?[,;/|]\s?"
)
_FOREIGN_OR = re.compile(r"\d\s(?:o|ou|oder|или)\s[^\n]{0,20}\d")
_OR_ELSE = re.compile(r"\W{0,3}or\W{1,4}\S{1,20}", re.IGNORECASE)
_OFFERED = re.compile(
    r"\b(?:(?:first|second|third|next|last|final|my|another) guess|(?:guess|try|candidate|attempt"
    r"|option|answer|possibility)\s?#?(?:\d{1,2}\s?)?[:=]|(?:i|we) guess|maybe|perhaps|possibly"
    r"|could be|may be|might be|quizás?|tal vez|peut-être|vielleicht|talvez|forse)\b"
    r"|(?:guess|try|candidate|attempt|option|answer|possibility)\s?#?(?:\d{1,2}\s?)?[:=]"
    r"|возможно|может быть|也许|可能|或者|猜|かもしれ|多分|아마",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"(?:at (?:least|most)|no (?:more|less|fewer) than|more than|less than|fewer than|up to|under"
    r"|over|mindestens|höchstens|au (?:moins|plus)|al menos|не (?:менее|более)|至少|至多"
    r"|最多)\s?[-$\\\d]\S{0,20}$",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?<![\d:.])\d{1,4}:\d{1,4}(?::\d{1,4})?(?: ?[ap]\.?m\b\.?)?$", re.IGNORECASE)
_WIDE = str.maketrans("０１２３４５６７８９", "0123456789")
_BOLD_END = re.compile(r"[^\W\d]{2,20} \*\*([^*\d\n]{2,40}?)\.?\*\*[.!]?$")
_MORE = re.compile(r"\s?;|\s\(|\s—")
_ASIDE_OR_REASON = re.compile(rf"\s\(|{REASON.pattern}", re.IGNORECASE)
_LEADS_ON = re.compile(
    r"\b(?:so|thus|hence|therefore|then|leaves|is|are)\s[^.]*\d[^)]*$", re.IGNORECASE
)
_GUESSED = re.compile(r"(?<=[.!?;,])\s+|(?<=[，。；])")
_MARKER = re.compile(r"^\s{0,8}\d{1,2}[.)]\s+(?=\S)")  # of a numbered list
_BARE = re.compile(r"[-\d.,/]{1,20}|[^?]{0,200}\?")  # nothing but a number, or a question


# How a sentence begins that tries a value, and what a question is answered with.
_TRIES = re.compile(
    r"\W{0,4}(?:(?:so|now|then|next|wait|hmm+|well|ok|okay|first|but|and|also"
    r"|there['’]s)\b[\s,.…]{0,4}){0,4}"
    r"(?:(?:(?:let['’]?s|let (?:me|us)) (?:now )?)?(?:assume|assuming|suppose|unless|consider"
    r"|continue|try|test"
    r"|check|verify|look at|take|go (?:on )?to|see (?:if|whether))|what about|how about|hmm+"
    r"|the case (?=\w =)"
    r"|(?:i|we)(?:['’]ll| will| still| need| have)*(?: to)? (?:compute|check|look|try|consider"
    r"|test)|if\b[^.;!?\n]{0,80}\b(?:were|had)\b[^.;!?\n]{0,80}\bwould|(?:for|when|if|where|with"
    r"|let) \$?\w ?= ?\S{1,12}$|so far|partial|intermediate|the next step|it remains|is|was|could"
    r"|can|would|should|does)\b",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[.!])\s+|(?<=[。！])")
_QUESTION = re.compile(
    r"(?:[^.!?。！？\n]|\.(?=\d)){0,400}[?？][*\s]{0,4}(?:(?:\b(?:no|nope|nein|non|não|нет"
    r"|not really|impossible|i doubt it|i['’]m not sure)\b|不是|不对|いいえ"
    r"|아니[요오다])[.!。！]?)?",
    re.IGNORECASE,
)


# How a line begins that is about the answer, or about something else.
_REMARK = re.compile(
    r"[\s*_>#(-]{0,8}(?:notes?|remarks?|check|verification|be careful|difficulty|confidence|source"
    r"|reference|time|try it|an? (?:common|frequent)|common|caution|warning|tip|hint|p\.?s\.?"
    r"|i hope"
    r"|hope|let me (?:know|double|verify)|if you|feel free|please|thanks?|good luck|key|注意|验证"
    r"|备注)\b",
    re.IGNORECASE,
)


def asserted(lines: list[str]) -> list[str]:
    """The lines without questions, tries, and the remarks at their end: Confidence: 95%.

    >>> asserted(["So it is 5.", "Is it 10? No. Let me try 7.", "Note: 3 is prime."])
    ['So it is 5.']
    """
    lines = [
        _QUESTION.sub("", line[-LONGEST_LINE:]) if "?" in line or "？" in line else line
        for line in lines
    ]
    lines = [" ".join(filter(_is_asserted, _SENTENCES.split(line))) for line in lines]
    lines = [line for line in lines if line.strip()]
    while len(lines) > 1 and _REMARK.match(lines[-1]):
        lines.pop()
    return lines


def _is_asserted(sentence: str) -> bool:
    return _TRIES.match(sentence) is None


def answer_in(sentence: str) -> str | None:
    """The answer in a sentence: all of it, its bold part, its last formula or last number."""
    sentence = _ASIDE.sub(r" \1", sentence.strip().rstrip("。．"))
    if _BOUND.match(sentence):
        return sentence
    if is_answer(sentence):
        return sentence
    if "(" in sentence and (rest := kept(sentence)) is not None:
        sentence = rest.strip(" )")
    if (more := _MORE.search(sentence)) and is_answer(sentence[: more.start()]):
        return sentence[: more.start()]
    if (reason := REASON.search(sentence)) and is_answer(sentence[: reason.start()]):
        return sentence[: reason.start()]
    if (bold := bold_in(sentence)) is not None:
        return bold
    if (formula := last_formula(sentence)) is not None:
        return formula
    if (number := last_number(sentence)) is not None and not gives_up(sentence):
        return number
    short = 0 < len(sentence) <= 60 and len(sentence.split()) <= 4
    whole = sentence[:1] in "$\\" or not any(map(str.isdigit, sentence))
    return sentence if short and whole else None


def bold_in(line: str) -> str | None:
    """The last bold text with a number."""
    for match in reversed(list(_BOLD.finditer(line))):
        if any(map(str.isdigit, match[1])):
            if _is_denied(line, match):
                return None
            return match[1].strip() if is_answer(match[1]) else last_number(match[1])
    return None


def bold_word(line: str) -> str | None:
    """The bold words that end a sentence: The triangle is **isosceles**."""
    match = _BOLD_END.search(line[-LONGEST_LINE:].rstrip())
    if match is None or not asserted([line]):
        return None
    before = line[: line.rindex("**", 0, line.rindex("**"))]
    sure = not (_REMARK.match(line) or denied_before(before) or doubted(before) or gives_up(line))
    return match[1].strip() if sure else None


def _is_denied(line: str, match: re.Match[str]) -> bool:
    before, after = line[: match.start()], line[match.end() :][:60]
    return denied_before(before) or denied_after(after) or doubted(before)


def last_formula(line: str) -> str | None:
    """The formula at the end of a line, if it reads as an answer."""
    tail = line[-LONGEST_LINE:]
    *_, last = [None, *_FORMULA.finditer(tail)]
    if last is None or tail[last.end() :].strip(" .,;*。") or _is_denied(tail, last):
        return None
    return last[0] if is_answer(last[0]) else None


def only_formula(line: str) -> str | None:
    """The formula of a line that has exactly one: Therefore $x > 5$ is the solution."""
    tail = line[-LONGEST_LINE:]
    found = list(_FORMULA.finditer(tail))
    if len(found) != 1 or not is_answer(found[0][0]) or _is_denied(tail, found[0]):
        return None
    return found[0][0]


def is_answer(text: str) -> bool:
    """Whether a whole text reads as an answer rather than a sentence that contains one."""
    text = text.strip()
    if (
        len(text) > 2_000
        or "?" in text
        or text.rstrip(". ").endswith(("+", "-", "=", "/", "×", "÷"))
        or " **" in text
        or _FOREIGN_OR.search(text)
        or "\\boxed" in text  # this box was never closed
    ):
        return False
    value = read(text)
    if value is None or is_plain(value):
        return value is not None and not _VERB.search(text)
    formula = _FORMULA.fullmatch(text.rstrip("."))
    if formula is None:
        return not _WORD.search(_COMMAND.sub(" ", text))
    if formula[0].rstrip("$) ]\\.").endswith(("+", "-", "=", "*", "/")):
        return False  # $41.472+$ is money, part of a sum
    # "$5 for one and $" is not a formula: dollars around words are amounts of money
    return formula[1] is None or len(_WORD.findall(_COMMAND.sub(" ", formula[1]))) <= 1


# After a number: what makes another one of it, and what only adds to it.
_MULTIPLIED = re.compile(
    r"\s(?:squared|cubed|factorial|dozen|hundred|thousand|million|billion|(?:more|less|fewer) than"
    r"|and a (?:half|quarter|third))\b|,? but (?:we|i)(?:['’]re| are| have)? (?:still|not|need)\b"
    r"|\s?[-+*×/÷=^]\s{0,4}$|[^\n]*\b(?:and|by|to|then|or|of|the|from|with|get)$"
)
_ADDED = re.compile(
    r"\s\((?!or\b|not\b|extraneous|reject|discard|exclu|inv|inadm|wrong|incorrect"
    r"|false)(?=[^()\n]*[A-Za-z=+])[^()\n]{1,120}\)$|,? (?:including|excluding|of which)\b.*$"
)


def last_number(line: str) -> str | None:
    """The last number of a line that stands alone; both of "3 or 4".

    None inside a formula, for the number of a problem or a step, and for what is denied.
    """
    tail = line[-LONGEST_LINE:].replace("−", "-").replace("{,}", ",").replace(r"\!", "")
    tail = tail if tail.isascii() else tail.translate(_WIDE)
    tail = re.sub(r"\\?\$|\*\*|\\[()\[\]]|\\(?=%)|\\text\s?\{[^{}]{0,40}\}", " ", tail)
    sure = quiet(tail)
    tail = (tail if sure else affirmed(_without_reason(tail))).rstrip(" .。")
    if (added := _ADDED.search(tail)) and any(map(str.isdigit, tail[: added.start()])):
        tail = tail[: added.start()]
    if (clock := _CLOCK.search(tail)) and not _is_denied(tail, clock):
        return clock[0]
    found = list(_NUMBER.finditer(tail))
    if not found or not _AFTER.match(tail, found[-1].end()):
        return None
    if _MULTIPLIED.match(tail, found[-1].end()):
        return None
    last, before = found[-1], tail[: found[-1].start()]
    if (pair := _TUPLE.search(tail[: last.end() + 1])) and is_plain(read(pair[0])):
        return pair[0]
    if _OPERATOR.search(before[-12:]) or _NUMBERED.search(before[-20:]):
        return None
    if not sure and _is_denied(tail, last):
        return None
    return " or ".join(_alternatives(tail, found))


def _without_reason(line: str) -> str:
    """The line up to "since 7 is not possible" or "(not 7)", if a number stands before that."""
    for match in _ASIDE_OR_REASON.finditer(line):
        head, rest = line[: match.start()], line[match.start() :]
        if any(map(str.isdigit, head)) and "which" not in match[0]:
            kept_on = quiet(rest, DENYING) or denied_after(rest) or _LEADS_ON.search(rest)
            return line if kept_on else head
    return line


def _alternatives(line: str, found: list[re.Match[str]]) -> list[str]:
    """The last number with those that it is listed with: 3 or 4; 3, 4 and 5."""
    first = len(found) - 1
    while first > 0 and _LISTED.fullmatch(line[found[first - 1].end() : found[first].start()]):
        first -= 1
    gaps = line[found[first].end() : found[-1].start()]
    if len(found) - first < 3 and not _OR.search(gaps):
        first = len(found) - 1  # "In 2010, 5 people"
    return [match[0].strip().rstrip(".") for match in found[first:]]


def guesses(lines: list[str]) -> list[str]:
    """The different numbers of the last lines, or parts of one, that offer a guess."""
    if quiet(lines[-1]) and not _BARE.fullmatch(lines[-1].strip()):
        return []
    lines = [_MARKER.sub("", line[-LONGEST_LINE:]) for line in lines]
    parts = [part for line in lines for part in _GUESSED.split(line) if part]
    asked = [part for part in parts if _OFFERED.search(part) or _BARE.fullmatch(part.strip())]
    if _OR_ELSE.fullmatch(parts[-1]):
        asked = parts[-2:]
    numbers = [last_number(part.rstrip("? ")) for part in asked]
    found = list(dict.fromkeys(one for one in numbers if one is not None))
    return found if len(found) > 1 and asked[-1] is parts[-1] else []
