r"""Golds that stand for a missing answer: proof, N/A, notfound, None, a dash, in many languages.

Each is matched by its own word, so the check of golds by themselves lets it pass, and no honest
answer is ever right by it. A word that can be an answer counts as one where its question gives a
reason: it names the word, or asks for all of something, of which there may be none.
"""

import re

import polars as pl

from distill.problems.left_out import PLACEHOLDER, Tally

KINDS = ("math", "exact", "choice")  # what compares texts; other golds are programs or the user's
MOST_CHARS = 60  # of a gold that is looked at


def _words(text: str) -> frozenset[str]:
    return frozenset(" ".join(word.split()) for word in text.split(","))


# Never an answer: NuminaMath has proof and notfound, the others are of the same kinds. "no
# solution" is an answer.
NEVER_ENGLISH = re.compile(
    r"(this is a )?proof( based)?( (omitted|required|problem|question|only|needed|below|above))?"
    r"|(to )?(be )?prove[dn]?|(to )?show that|as (required|desired)|omitted|redacted|q ?e ?d|tbd"
    r"|to be determined|placeholder|unavailable|open ended( question| answer)?"
    r"|#?n/a[!?]|#(n/a|value|ref|name)"
    r"|(the )?((final |correct |reference |expected )?(answer|solution|result)s? ?)?(is |was )?"
    r"(not ?(found|provided|available|supplied|listed|shown|included)|missing|omitted|unavailable)"
    r"|(the )?(answer|solution|result)s? (is |was )?"
    r"(not (given|specified|stated)|none|unknown|null|n/a)"
    r"|((the|your|insert|final) )*answer(( goes)? here)?"
    r"|(multiple|many|various) (possible )?answers"
    r"|missing (answer|solution|gold|value)|none (given|provided|available|specified|listed)"
    r"|none ?type|pd[ .]na|no (final |correct |reference |expected |numeric(al)? |valid )?"
    r"(answer|result|response|data|gold)s?"
    r"( (was )?(found|given|provided|available|specified|listed))?|noanswer"
    r"|no solution (given|provided|available|listed)"
    r"|answers? (may |will |can |could )?var(y|ies)"
    r"|(failed|unable|could not|cannot|can't)( to)? (extract|parse)( .*)?"
    r"|(extraction|parsing) failed"
    r"|(see|refer to|check)( the)? (above|below|attached|attachment|solution|answer|explanation"
    r"|figure|graph|diagram|image|picture|table|text|proof|work|details)s?( [0-9.]{1,4}| [a-z])?"
    r"( (above|below|attached|provided))?"
)
# What a solution's place holds in Chinese: "omitted", "see the analysis".
NEVER_CHINESE = re.compile(
    "(解|答|图|圖|过程|過程|证明过程|作图|答案|证明|證明)[:：]?(略|省略)"
    "|(答案|证明|證明|解答|过程|详|詳|具体)?(请)?(详|詳)?(参)?(见|見)(试题)?"
    "(解析|解答|答案|证明|證明|详解|詳解|图|圖|上|下|上图|下图)(部分|过程)?"
)
NEVER = _words(
    """证明, 證明, 证明题, 證明題, 略, 暂无, 暂无答案, 无答案, 無答案, 未找到, 没有答案, 証明,
    証明略, 証明問題, 証明せよ, 省略, 解答なし, 答えなし, 증명, 증명 문제, 풀이 참조, 생략,
    정답 없음, 답 없음, доказательство, доказать, доказано, см решение, смотри решение,
    не найдено, нет ответа, ответ не найден, ответ не дан, н/д, demostración, ver solución,
    no encontrado, no encontrada, sin respuesta, no disponible, preuve, démonstration,
    non trouvé, introuvable, voir la solution, voir solution, sans réponse, non disponible,
    beweis, siehe lösung, siehe beweis, nicht gefunden, keine antwort, keine angabe,
    nicht verfügbar, demonstração, ver solução, não encontrado, sem resposta, não disponível,
    dimostrazione, vedi soluzione, non trovato, nessuna risposta, n/d, bewijs, niet gevonden,
    dowód, brak odpowiedzi, ispat, kanıt, chứng minh, không tìm thấy, برهان, إثبات"""
)
# An answer only where the question names it.
NAMED = _words(
    r"""n/a, na, n a, n\a, n / a, todo, fixme, blank, idk, i don't know, i do not know,
    not sure, not applicable, does not apply, nan, null, unknown, not given, not specified,
    not stated, not mentioned, varies, various, 不适用, 不適用, 未知, 不明, 該当なし, 해당 없음,
    알 수 없음, неизвестно, не указано, no aplica, desconocido, sans objet, inconnu, unbekannt,
    entfällt, não se aplica, desconhecido, non applicabile, sconosciuto"""
)
# So, or where the question asks for what there may be none of.
NONE = _words(
    """none, nil, nothing, 无, 無, 没有, 沒有, なし, ない, 없음, ninguno, ninguna, nada, aucun,
    aucune, rien, keine, keiner, keines, nichts, nenhum, nenhuma, nessuno, nessuna, ничего,
    geen, brak, yok"""
)
ALL_OF = re.compile(
    r"\bhow much\b|\bwhat (number|amount|fraction|part|percentage|share)\b"
    r"|\b(solutions|roots|zeros|zeroes|asymptotes?|intercepts?|extrema|restrictions?)\b"
    r"|\bover the (reals|real numbers|integers|rationals)\b|\b(left|remains?|remaining)\?"
    r"|\b(find|determine|list|name|give|state|write|identify)\s+(out\s+)?(all|any|every|each)\b"
    r"|\bif any\b|\bwhich\b|\bhow many\b|\b(are|is) there\b|\b(return|print|output)s?\b"
    r"|所有|哪些|哪个|多少|几个|有没有|すべて|どの|いくつ|모든|몇"
    r"|\b(todos|todas|cuántos|cuáles|tous|toutes|quels|quelles|combien|alle|welche|wie viele)\b"
    r"|\b(все|всех|какие|сколько|tutti|tutte|quali|quanti|quais|quantos)\b",
    re.IGNORECASE,
)
# So, of the words that languages of programs have.
IN_PROGRAMS = ("none", "nil", "null", "nan")
PROGRAM = re.compile(
    r"\b(python|\w+script|java|json|sql|ruby|lua|golang|swift|kotlin|rust|php|pandas|ieee|pointer)\b"
    r"|\bC\+\+|\w\([^()]*\)\s*(return|print|evaluat)|\b(console\.log|print)\(",
    re.IGNORECASE,
)
A_WORD = re.compile(
    r"\b(word|synonym|antonym|anagram|translat\w+|pronounced)\b|的字|词语|翻译", re.I
)
PROVE = re.compile(r"\b(prove|show that|proof)\b|证明|證明", re.IGNORECASE)
EMPTY = re.compile(r"[<\[(]\s*empty\s*[>\])]", re.IGNORECASE)
REMARK = re.compile(r"\s*[(:]|\s+[-–—]\s+")  # of what follows the word
SIGNS = frozenset(
    "\u200b\u200c\u200d\u2060\ufeff\xad-‐‑‒–—−―_.…。?？*/\\#~|,;:!·•□■∎◻◼\"'“”‘’`"
)  # neither a number nor a word
A_SIGN = re.compile("sign|symbol|operat|punctuation|character|mark|符号|符號|記号|기호|знак", re.I)
# Sodium, and empty lists and sets.
HONEST = ("Na", "[]", "{}", "()")
_WRAPPED = re.compile(r"\\(?:text\w*|math\w+|boxed|fbox|operatorname)\s*\{([^{}]*)\}")
_LATEX_SIGN = re.compile(r"\\(?:square|blacksquare|Box|qed|[lc]?dots)\b|\\[()\[\]]")
_EDGES = " \t\r\n$\"'“”‘’`.,;:!。，、()[]{}<>（）【】「」*_-"


def without_placeholders(table: pl.DataFrame, tally: Tally) -> pl.DataFrame:
    """The rows whose gold may be an answer; the others are left out and counted."""
    short = pl.col("verify").is_in(KINDS) & (pl.col("gold").str.len_chars() <= MOST_CHARS)
    gold = pl.col("gold").str
    looked_at = short & (~gold.contains("[0-9]") | gold.contains(r"(?i)\b(see|refer|check)\b"))
    found = [
        bool(look) and is_placeholder(gold, question)
        for gold, question, look in table.select("gold", "question", look=looked_at).iter_rows()
    ]
    if not any(found):
        return table
    odd = pl.Series(found)
    tally.leave(table.filter(odd).with_columns(reason=pl.lit(PLACEHOLDER)))
    return table.filter(~odd)


def is_placeholder(gold: str, question: str) -> bool:
    """Whether a gold stands for a missing answer to its question.

    >>> [is_placeholder(gold, "What is 1 + 1?") for gold in ("N/A", "2", "no solution")]
    [True, False, False]
    >>> is_placeholder("none", "Which of these are prime? If none is, write none.")
    False
    """
    bare = _WRAPPED.sub(r"\1", _WRAPPED.sub(r"\1", gold))  # a command in a box
    text = _LATEX_SIGN.sub("□", bare).strip()
    if gold.strip() in HONEST:
        return False
    if all(char in SIGNS or char.isspace() for char in text):
        return not _asks_for_sign(text, question)
    if EMPTY.fullmatch(text):
        return True
    bare = text.strip(_EDGES)
    word, first = _folded(bare), _folded(REMARK.split(bare)[0])
    words = {word, word.replace(".", "")}
    if any(map(_is_never, (*words, first))) or first == "n/a" != word:
        return not (A_WORD.search(question) and not PROVE.search(question))
    if words & {*IN_PROGRAMS} and PROGRAM.search(question):
        return False
    if words & NONE:
        return not (ALL_OF.search(question) or _names(bare, question))
    return bool(words & NAMED) and not _names(bare, question)


def _folded(text: str) -> str:
    return " ".join(re.sub("[_-]", " ", text.strip(_EDGES)).lower().split())


def _is_never(word: str) -> bool:
    found = NEVER_ENGLISH.fullmatch(word) or NEVER_CHINESE.fullmatch(word)
    return word in NEVER or found is not None


def _names(word: str, question: str) -> bool:
    """Whether a question has the word in it; of n/a also its letters, which may be variables."""
    there = rf"(?<!\w){re.escape(word)}(?!\w)" if word.isascii() else re.escape(word)
    if re.search(there, question, re.IGNORECASE):
        return True
    letters = set(filter(str.isalpha, word))
    small = len(letters) <= 2
    return small and all(re.search(rf"(?<![A-Za-z]){c}(?![A-Za-z])", question) for c in letters)


def _asks_for_sign(sign: str, question: str) -> bool:
    """Whether a question asks for a sign, quotes this one, or gives it to choose from."""
    this = re.escape(sign)
    quoted = rf"[\"'“‘`«(\[]\s*{this}\s*[\"'”’`»)\]]"
    chosen = rf"(?:\bor|,|/)\s*{this}(?:\s|[.?!,:;)]|$)|(?:^|\s|\(){this}\s*(?:,|/|\bor\b)"
    return bool(sign and (A_SIGN.search(question) or re.search(f"{quoted}|{chosen}", question)))
