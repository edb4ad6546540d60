"""Finds the sentences that state an answer: "the answer is …", "答案是…", "#### …"."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from distill.verify.math.denial import affirmed, denied_after, doubted, hedged
from distill.verify.math.retraction import kept
from distill.verify.math.sentence import LONGEST_LINE
from distill.verify.math.values import is_plain, read

LAST = 3  # statements that are searched for an answer, from the last

_ENGLISH = re.compile(
    r"(?<![/\\])\b(?:(?:final_)?ans(?:wers?)?\b[\"'.]?|(?:correct|right|true|actual"
    r"|best) (?:option|choice"
    r"|alternative"
    r"|value|result|letter)\b|final result\b"
    r"|(?:selected|chosen|preferred|final) (?:option|choice|letter|alternative)s?\b"
    r"|(?:correct|right|true|valid) (?:statement|option|choice|letter|assertion)s?\b"
    r"(?= (?:is|are):? [(*]{0,3}(?-i:[A-J](?![\w'’])|[①-⑳]|[IVX]{1,4}\b)))"
    r"(?: (?:to|for|of) [^.:=\n*$]{1,60}?)?(?: ?\([^()\n]{1,40}\)|, [^.,:=\n*$]{1,60},)?"
    r"(?:[ *_]{0,6}(?:\b(?:is|are|be|equals|becomes|(?:would|should|must|will|has to) be"
    r"|(?:comes|works|turns) out (?:to be|as|at)|as follows)\b|:|=|：|[-–—](?=\s))){1,2}[ *_:]{0,6}"
    r"|\banswers?[ ]?:?\*\*[ :]{0,4}",
    re.IGNORECASE,
)
# A text without these words has no such sentence; looking for them is quicker.
_FIRST_WORDS = (
    "answer",
    "ans:",
    "ans.",
    "ans ",
    "ans=",
    "ans-",
    "correct ",
    "right ",
    "true ",
    "actual ",
    "best ",
    "valid ",
    "selected ",
    "chosen ",
    "preferred ",
    "final ",
)
_HEADED = ("answer", "result", "respuesta", "réponse", "reponse", "antwort", "ответ", "答", "정답")
_LATIN_WORDS = (
    *(
        "respuesta",
        "reponse",
        "resposta",
        "risposta",
        "antwort",
        "antwoord",
        "ergebnis",
        "soluzione",
    ),
    *(
        "wynik",
        "odpowied",
        "svar",
        "vastaus",
        "cevap",
        "jawaban",
        "opzione",
        "alternativa",
        "sagot",
        "jibu",
    ),
)
_FOREIGN_WORDS = (
    *(
        "réponse",
        "lösung",
        "solución",
        "solução",
        "odpověď",
        "yanıt",
        "đáp ",
        "chọn",
        "απάντηση",
        "תשובה",
        "پاسخ",
        "răspuns",
        "válasz",
    ),
    *(
        "відповідь",
        "отговор",
        "ответ",
        "вариант",
        "الجواب",
        "الإجابة",
        "उत्तर",
        "คำตอบ",
        "正解",
        "解答",
    ),
    *("opción", "opção", "答", "답", "选", "選", "故", "应", "所以", "因此", "本题", "正确"),
    *_LATIN_WORDS,
)
# Other languages are only looked for in what follows the last statement in English.
_OTHERS = re.compile(
    r"(?:\b(?:respuesta|resposta|risposta|r[eé]ponse|antwort|antwoord|ergebnis|lösung|solución"
    r"|solução|soluzione|wynik|odpowiedź|odpověď|svaret?|vastaus|cevap|yanıt|jawaban(?:nya)?"
    r"|đáp án|răspuns(?:ul)?|válasz|ответ(?:ом)?|відповідь|отговор|вариант|opción|opção|opzione"
    r"|alternativa)\b|الجواب|الإجابة|उत्तर|คำตอบ|答え"
    r"|答案|正解|解答|정답|答)"
    r"(?: (?:final|correct[aeo]?|richtig|finale|definitiva|est la|opción|vraie|richtige|corretta"
    r"|correta))?"
    r"(?:[ *_]{0,6}(?:\b(?:es|é|è|est|ist|lautet|is|to|brzmi|je|är|on|adalah|là|este|az|будет"
    r"|является|равен|равно)\b|:|：|】|=|—|–|-(?=\s)|应该是|应为|选择|选|是|为|為|は|은|는|هو|هي|है|คือ"
    r"|(?<=정답)\s)){1,2}[ *_:：]{0,6}"
    r"|(?:\b(?:respuesta|resposta|risposta|r[eé]ponse|antwort|antwoord|svar|vastaus|cevap|yanıt"
    r"|jawaban"
    r"|đáp (?:án|số)|chọn|răspunsul|válasz|ответ|вариант|відповідь|отговор|alternativa|odpowiedź"
    r"|odpověď"
    r"|απάντηση|sagot|jibu)\b|الجواب|الإجابة|پاسخ|उत्तर|คำตอบ|תשובה|答案|正解|정답)"
    r"(?-i:[^\n.,;:!?=A-Z0-9。，、“\"(（*$\\]){0,30}(?=[（(*$]{0,3}(?:[A-J](?![A-Za-z0-9])|\d))"
    r"|(?:故|所以|因此|应|本题|答案|正确的?)(?:答案)?(?:应)?"
    r"(?:选项?|選)(?:择|擇)?(?:是|为)?[ ：:*]{0,6}"
    r"|(?<![挑筛不])选\s?(?=[（(]?[A-J](?![A-Za-z]))",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"^[#*_ ]{0,8}(?:(?:the )?final )?(?:answer|result|respuesta(?: final)?|r[eé]ponse(?: finale)?"
    r"|antwort|ответ|答案|最终答案|答え|정답)[*_ :：]{0,8}$",
    re.IGNORECASE | re.MULTILINE,
)
_HASHES = re.compile(r"^####[ \t]{1,8}(\S[^\n]{0,200})$", re.MULTILINE)
_SENTENCE_END = re.compile(
    r"[.!?](?:\s{1,4}(?=[A-Z<(¿¡А-Я\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|$)|[。！？；]"
    r"|\?\s|(?<=[\d})$*])\.\s{1,4}(?=\d)|\.\.\.|[.!?]\*\*(?=\s|$)"
)
# A formula, or a block, on lines of its own.
_DISPLAYED = re.compile(
    r"\s*(?:\$\$\s*([^$]+?)\s*\$\$|\\\[\s*((?:[^\\]|\\[^\]])+?)\s*\\\]|```[a-z]*\n([^`]+?)\n?```"
    r"|\\begin\{(?:equation|align|gather)\*?\}\s*((?:[^\\]|\\[^e])+?)\s*\\end\{[a-z]{5,8}\*?\})"
)
_TAG = re.compile(r"[<\[](/?)(?:final[_ ]?)?answer[>\]]", re.IGNORECASE)
_ADVERB = re.compile(
    r"(?:(?:therefore|thus|then|hence|so|clearly|simply|indeed)\b[\s,:]{0,3}){1,2}"
)
# Words before "answer" that say it is not the one given.
_ANOTHER = re.compile(
    r"\b(?:wrong|incorrect|naive|naïve|obvious|common|tempting|intuitive|initial|first|previous"
    r"|earlier|original|old|bad|expected|different|your|his|her|their|['’]s)\s{1,2}$",
    re.IGNORECASE,
)
_OF_ANOTHER = re.compile(r"\b(?:previous|earlier|different|other|another|similar)\b", re.I)
# What is said about an answer that has been given.
_REMARK = re.compile(
    r"(?:therefore |indeed |thus |also |then )?(?:as (?:above|given|shown|stated|follows|before)"
    r"|given|shown"
    r"|stated|in the box|above|below|exact|reasonable|sensible|plausible|consistent|verified"
    r"|confirmed|correct|right|boxed|unique|simplified|rounded|approximate)\b[^\d\n]{0,80}",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:suppose|assume|assuming|unless|if|whether)(?: that)? (?:the |my |our )?$"
    r"|\bif\b[^.;!?\n]{0,80}\b(?:were|had)\b[^.;!?\n]{0,80}$",
    re.IGNORECASE,
)
# What only holds in a case, or in one that is not given.
_CONDITIONAL = re.compile(
    r"(?<!if and )\bonly (?:if|when|provided|under)\b|\b(?:if|provided|assuming)\b[^.;\n]{1,80}"
    r"\b(?:which|but|and) (?:it|this|that|they|we|he|she)?\s?(?:is|are|was|were|does|do)"
    r"(?: not\b|n['’]t\b)",
    re.IGNORECASE,
)
# In the words of a statement, which may be of any language.
_NEGATES = re.compile(
    r"\b(?:no|not|never|nunca|jamais|niemals|mai|nigdy|nem|nu|ikke|ei|hindi|δεν|nie|není|niet"
    r"|inte|nicht|n['’]est|non|não|bukan"
    r"|không|не)\b"
    r"|אינה|לא|ليس|غير|ไม่|नहीं|不|非",
    re.IGNORECASE,
)
_EMOJI = "➡👉✅✔✓☑🎉🙂😊️ "
_INSTEAD = re.compile(r"(?<=[\d})$*]) (?:instead|rather|actually|after all|then|now)(?=\W{0,3}$)")
_OF_PART = re.compile(r"\b(?:to|for|of) |\(")
_BETWEEN = re.compile(
    r"(?:\b(?:the|final|correct|my|and|or|also|it|is|maybe|perhaps|another|second|under|in"
    r"|interpretation|reading"
    r"|case|[a-h])\b|\W|\d)*",
    re.IGNORECASE,
)
_IF = re.compile(r"\bif\b", re.IGNORECASE)
_FINAL = re.compile(r"final|correct|right|true|actual|<answer>|####|最终|正确", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence that states an answer."""

    start: int  # where its words begin, in the text
    end: int  # where what it states ends
    words: str  # "the final answer is"
    text: str  # what it states, without what it denies


def statements(text: str) -> list[Statement]:
    """The last statements of a text that do not only deny, in order."""
    found = sorted(_all(text), key=lambda one: one.start)[-2 * LAST :]
    said = [one for one in found if one.text and not _is_void(one, text)]
    return said[:1] + [one for one in said[1:] if not _REMARK.fullmatch(one.text)]


def after_others(text: str) -> str:
    """What follows the last statement that is doubted, only supposed, or of another answer."""
    ends = [one.end for one in _all(text) if one.text and _is_of_another(one, text)]
    return text[max(ends) :] if ends else text


def _is_void(one: Statement, text: str) -> bool:
    """Whether it is asked, denied, or nothing that the text says of its own answer."""
    return (
        text[one.end : one.end + 1] in ("?", "？")
        or denied_after(text[one.end : one.end + 60])
        or _is_of_another(one, text)
    )


def _is_of_another(one: Statement, text: str) -> bool:
    before = text[max(0, one.start - 120) : one.start]
    return (
        doubted(before)
        or _ANOTHER.search(before) is not None
        or _SUPPOSED.search(before) is not None
        or _OF_ANOTHER.search(one.words) is not None
        or _CONDITIONAL.search(text, one.start, one.end) is not None
    )


def is_final(one: Statement) -> bool:
    """Whether its words say that it is the last one."""
    return _FINAL.search(one.words) is not None and "value" not in one.words


def rivals(text: str, found: list[Statement], value: Callable[[str], object]) -> list[str]:
    """The different answers of the last statements if nothing leads from one to the next."""
    first = len(found) - 1
    while first > 0 and _is_rival(found[first - 1], found[first], text):
        first -= 1
    known = {value(one.text): one.text for one in found[first:]}
    return list(known.values()) if len(known) > 1 and None not in known else []


def _is_rival(one: Statement, other: Statement, text: str) -> bool:
    gap = text[one.end : other.start][:100]
    if (
        len(gap) > 60
        or kept(text[one.start : other.start]) is not None
        or (_OF_PART.search(other.words) and not _IF.search(other.words))
    ):
        return False
    return _BETWEEN.fullmatch(gap) is not None or hedged(gap)


def _all(text: str) -> Iterator[Statement]:
    low = text.lower()
    if "answer>" in low or "answer]" in low:
        tagged = list(_tagged(text))
        yield from tagged
        if tagged:
            return
    matches: list[re.Match[str]] = []
    if any(map(low.__contains__, _FIRST_WORDS)):
        matches = list(_ENGLISH.finditer(text))
    foreign = _LATIN_WORDS if low.isascii() else _FOREIGN_WORDS
    if any(map(low.__contains__, foreign)):
        matches += _OTHERS.finditer(text, matches[-1].end() if matches else 0)
    if matches or any(map(low.__contains__, _HEADED)):
        matches = sorted([*matches, *_HEADING.finditer(text)], key=re.Match.start)[-2 * LAST :]
    stops = [*(match.start() for match in matches[1:]), len(text)]
    for match, stop in zip(matches, stops, strict=False):
        yield _stated(text, match, stop)
    for match in list(_HASHES.finditer(text))[-LAST:] if "####" in text else ():
        if is_plain(read(match[1])):
            yield Statement(match.start(), match.end(), "####", match[1])


def _tagged(text: str) -> Iterator[Statement]:
    """What <answer> tags hold."""
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if opened and tag[1]:
            inside = text[opened.end() : tag.start()].strip()
            yield Statement(opened.start(), tag.end(), "<answer>", affirmed(inside[:LONGEST_LINE]))
        opened = None if tag[1] else tag


def _stated(text: str, match: re.Match[str], stop: int) -> Statement:
    """What follows the words: the rest of the line, or of the next one, or a formula on its own."""
    start = match.end()
    content = text[start : min(stop, start + LONGEST_LINE)]
    if shown := _DISPLAYED.match(content):
        inside = shown[shown.lastindex or 0]
        if "\\begin" in shown[0][:20]:
            inside = inside.replace("&", "").rstrip("\\ \n").rpartition("\\\\")[2].strip()
        return _statement(match, start + shown.end(), inside)
    lead = len(content) - len(content.lstrip())
    line = content[lead:].partition("\n")[0]
    end = _SENTENCE_END.search(line)
    sentence = line[: end.start()] if end else line
    return _statement(match, start + lead + len(sentence), sentence)


def _statement(match: re.Match[str], end: int, sentence: str) -> Statement:
    sentence = _ADVERB.sub("", sentence.strip().strip(_EMOJI).rstrip(" /|"))
    denied = re.match(r"n['’]t\b|not\s?,", sentence) or _NEGATES.search(match[0])
    if '"' in match[0]:  # JSON
        sentence = re.split(r",\s|}", sentence)[0]
    sentence = _INSTEAD.sub("", sentence.strip("\"“”«»„'`"))
    return Statement(match.start(), end, match[0], "" if denied else affirmed(sentence))
