r"""Strips the typography from an answer: spacing, fonts, colours, sizes, dollars, other scripts.

Every pattern here runs in linear time: it starts at a literal, and its loops stop at a brace.
"""

import re
import unicodedata

SET_OPEN, SET_CLOSE = "\ue000", "\ue001"  # replace \{ and \}, so that { } only group

_SIGNS: dict[int | str, int | str] = {
    **{0xFF01 + place: 0x21 + place for place in range(94)},  # the full-width forms of ASCII
    **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad", ""),
    **dict.fromkeys("‐‑‒–—―−﹣", "-"),
    **dict.fromkeys("\u00a0\u202f\u2009\u2002\u2003\u2005\u2006\u2007\u2008\u200a\u3000", " "),
    **dict.fromkeys("º˚", "°"), **dict.fromkeys("·⋅∙•", r"\cdot "), **dict.fromkeys("′’", "'"),
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∞": r"\infty ",
    "π": r"\pi ", "×": r"\times ", "÷": r"\div ", "±": r"\pm ", "∅": r"\emptyset ",
    "≡": r"\equiv ", "ℝ": r"\mathbb{R}", "∧": r"\land ", "∨": r"\lor ",
    "…": r"\ldots ", "⋯": r"\ldots ", "、": ",", "。": ".", "⁄": "/", "∶": ":", "％": "%",
    "〈": "(", "〉": ")", "⟨": "(", "⟩": ")", "∴": r"\therefore ", "⇒": r"\implies ", "∣": "|",
    "″": "''", "∠": r"\angle ", "→": r"\to ", "⟶": r"\to ", "٫": ".", "٬": ",",
    **{zero + digit: str(digit) for zero in (0x660, 0x6F0, 0x966) for digit in range(10)},
    "μ": r"\mu ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ",
}  # fmt: skip
_SYMBOLS = str.maketrans(_SIGNS)
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉₊₋ₙ"
_LEVEL = str.maketrans(_RAISED + _LOWERED, "0123456789+-n" * 2)
_HIGH, _LOW = re.compile(f"[{_RAISED}]{{1,40}}"), re.compile(f"[{_LOWERED}]{{1,40}}")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_ROOT = re.compile(r"([√∛∜])\s?(?:([0-9.]{1,40}|[A-Za-z])|(?=[({\\]))")
_DEGREE = {"√": "", "∛": "[3]", "∜": "[4]"}
_OVERSET = re.compile("((?:[0-9][\u0307\u0305]){1,40})")  # 0.3 with a dot or a bar above its 3
# "And" and "or" between two values, in the scripts and languages of other models.
_AND_OR = re.compile(
    r"(?<=[0-9)}\]\sA-Za-z])\s{0,3}(?:(和|与|與|及|と|와|과|그리고|и)|(或者|或|または|또는|или))\s{0,3}(?=[-+0-9(\\{\[A-Za-z])"
)
_FOREIGN = re.compile(r"\\text\s?\{\s{0,4}(?:(y|et|und)|(o|ou|oder))\s{0,4}\}")
# An answer that went through JSON once too often: \\frac for \frac. Only before the names of these
# commands, because a row of a matrix ends in \\.
_DOUBLED = re.compile(
    r"\\\\(?=(?:boxed|fbox|text|[dt]?frac|left|right|sqrt|pi|[lg]eq?|in|cup|infty|cdot|times)(?![a-zA-Z]))"
)
_GONE = re.compile(
    r"\\!\s{0,8}|\\(?:left|right|middle|[bB]igg?[lrm]?|(?:display|text|script)style|limits|boxed|fbox"
    r"|tiny|scriptsize|footnotesize|small|normalsize|[lL]arge|LARGE|[hH]uge|rm|bf|it|sf|tt|underline"
    r"|bm|boldsymbol|pmb|emph|math(?:ord|bin|rel|open|close|strut)|strut|nonumber|ensuremath)(?![a-zA-Z])|\\[()\[\]]"
    r"|(?:\b(?:US|R|C|A|AU|CA|HK|NZ|S) ?)?\\\$|\$"
    r"|\\(?:[hv]?phantom|[hv]space\*?|color|label|tag|mspace)\s?(?:\[[^\[\]]*\])?\{[^{}]*\}"
    r"|\\(?:bbox|enclose|framebox)\s?(?:\[[^\[\]]*\]|\{[^{}]*\}(?=\s?\{))"
    r"|\\(?:textcolor|colorbox|html(?:Class|Id|Style|Data)|style|class|cssId)\s?(?:\[[^\[\]]*\])?\{[^{}]*\}"
)
_DEGREES = re.compile(
    r"\s?\^\s?\\circ(?![a-zA-Z])|\s?\^\s?\{\s?\\circ\s?\}|\s?\\(?:degree|textdegree)(?![a-zA-Z])"
    r"|(?<=[0-9])\s?\^\s?\{?\s?\\(?:text|mathrm|textrm)\s?\{\s?[o°]\s?\}\s?\}?"
    r"|\s?\^\s?\{?°\}?|(?<=[0-9])\^\{?o\}?(?![A-Za-z0-9])"
)
_SPACE = re.compile(r"(?:\\[,;:> ~]|(?<=[^\s(,])~|\\q?quad(?![a-zA-Z](?!_))|\\\\?(?=\s)|\s)+")
_FONT = re.compile(
    r"\\(?:text[a-z]{0,8}|math(?:rm|bf|it|sf|tt|cal|normal|up)|[mh]box|operatorname\*?)\s?\{([^{}]*)\}"
)
_FONT_AROUND = re.compile(
    r"\\(?:text[a-z]{0,8}|math(?:rm|bf|it|sf|tt|cal|normal|up)|[mh]box|operatorname\*?)(?=\s?\{)"
)
_FENCES = re.compile(
    r"\\(?:(langle)|(rangle)|([lr]?vert|mid)|(lbrack)|(rbrack)|(lbrace)|(rbrace))(?![a-zA-Z])"
)
_FENCE = ("", "(", ")", "|", "[", "]", SET_OPEN, SET_CLOSE)
_NAMES = re.compile(
    r"\\(?:([dtcsx]|nice|flat)frac|(l|g|n)(?:eq|eqslant)|([lg])t|(n)e|(varnothing)|(dots|cdots)"
    r"|([dt]binom)|((?:long)?rightarrow))(?![a-zA-Z])"
)
_WRITTEN = {"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "==": "=", r"\%": "%", "...": r"\ldots "}
# One mark in two spellings: f^{\prime} and f', f^{(3)} and f''', \overline{z} and \bar{z}.
_PRIMES = re.compile(r"\^\s?\{\s?((?:\\prime\s?|'){1,4})\}|\^?\s?\\prime(?![a-zA-Z])")
_TRANSPOSED = re.compile(r"\^\s?(?:\\(?:top|intercal)(?![a-zA-Z])|\{\s?\\(?:top|intercal)\s?\})")
# {}^{11}\!/_{13}
_RAISED_OVER = re.compile(
    r"(?<![\w)}\]])(?:\{\})?\^\s?\{?([0-9]{1,20})\}?\s?/\s?_\s?\{?([0-9]{1,20})\}?(?![0-9])"
)
_UNDERBRACE = re.compile(
    r"\\(?:under|over)brace\s?\{((?:[^{}]|\{[^{}]{0,80}\}){1,200})\}\s?[_^]\s?\{\s?(?:the )?"
    r"(?:final |correct )?(?:answer|result|solution|value|total|sum|antwort|ergebnis|réponse"
    r"|respuesta|resposta|risposta)\s?\}",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[“„«»‟\"]\s?([^“”„«»\"]{1,200}?)\s?[”“»«\"]|(?:‘|``)([^‘'`]{1,200})'{1,2}")
_AMPERSAND = re.compile(r"\s?\\&\s?|(?<=\b[A-Z]) & (?=[A-Z]\b)")
_DERIVED = re.compile(r"(?<=[a-zA-Z])\s?\^\s?\{\s?\(([1-4])\)\s?\}")
_BAR = re.compile(r"\\overline(?=\s?(?:\{\s?[A-Za-z]\s?\}| [A-Za-z](?![A-Za-z])))")
_VECTOR = re.compile(r"(^\s?-\s?)?\\(?:overrightarrow|vec)\s?\{\s?([A-Z])\s?([A-Z])\s?\}")
_ANGLE = re.compile(r"\\(?:measured)?angle\s?\{?\s?([A-Z])\s?([A-Z])\s?([A-Z])(?![A-Z])")
_EXPONENT = re.compile(
    r"(?<=[0-9])\s?\\(?:text|mathrm)\s?\{\s?([eE])\s?([-+]?)\s?\}\s?\{?\s?([-+]?[0-9]{1,3})\s?\}?(?![0-9.])"
)
_OVER = re.compile(r"\{([^{}]{1,80})\\(over|choose)(?![a-zA-Z])([^{}]{1,80})\}")
_DECIMAL_COMMA = re.compile(
    r"(?<![0-9.,}])(0(?=\{,\}[0-9])|[0-9]{1,20}(?=\{,\}(?:[0-9]{1,2}|[0-9]{4,20})(?![0-9])))"
    r"\{,\}([0-9]{1,20})(?!\{?,)"
)
_COMMA = re.compile(r"\s?\{\s?([,:])\s?\}\s?")
_SINGLE = re.compile(r"\{\s?([A-Za-z0-9])\s?\}")
_TIGHT = re.compile(r"(?<![0-9]) +| +(?![0-9])")
# What stands before or after an answer and says nothing about it.
_BEFORE = re.compile(
    r"\s{0,4}(?:(?:\\(?:therefore|implies|[rR]ightarrow|Longrightarrow|iff|hence)(?![a-z])|[=:])\s{0,4}"
    r"|(?:exactly|is|only|just|simply|equals|thus|so|therefore|hence|(?:the )?(?:final |correct )?"
    r"answer"
    r"(?: is)?|result)\s{0,2}[:=]?\s{1,4}(?=[-+(\[0-9\\])"
    r"|(?:(?:final )?answer|答案?是?|解|ответ|réponse|respuesta|resposta|risposta|antwort|答え"
    r"|정?답)\s{0,2}:\s{0,4}(?=\S)"
    r"|(?:共有?|总共|一共)\s{0,2}(?=[0-9]))",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?:\s{0,4}(?:\\(?:blacksquare|square|qed|checkmark|Box)(?![a-z])|[■□∎✓✅]))+$"
)


def plain(text: str) -> str:
    r"""The answer without wrappers, in one line; commands that carry meaning stay.

    >>> plain(r"$\left(\dfrac{1}{2},\;3\text{cm}\right)$.")
    '(\\frac{1}{2}, 3 cm )'
    """
    if not text.isascii():
        text = _ascii(text)
    if "\\" in text or "$" in text or "°" in text or "^" in text:
        text = _DOUBLED.sub(r"\\", text)
        text = text.replace(r"\{", SET_OPEN).replace(r"\}", SET_CLOSE)
        text = _FOREIGN.sub(_joined, _DEGREES.sub("°", text))
        text = _EXPONENT.sub(r"\1\2\3", text)
        text = _FONT.sub(r" \1 ", _GONE.sub("", text))
        text = _FENCES.sub(_fence, _NAMES.sub(_short, _FONT_AROUND.sub("", text)))
        text = _OVER.sub(_as_command, _marks(text))
        text = _UNDERBRACE.sub(r"\1", text) if "brace" in text else text
    if "{" in text:
        text = _COMMA.sub(r"\1", _DECIMAL_COMMA.sub(_decimal_comma, text))
    for written, meant in _WRITTEN.items():
        if written in text:
            text = text.replace(written, meant)
    if not text.isascii():
        text = _AND_OR.sub(_joined, text)
    if "&" in text and r"\begin" not in text:
        text = _AMPERSAND.sub(" and ", text)
    text = _SPACE.sub(" ", text).rstrip(" .,;:*`")
    text = _LEADING.sub("", text)
    if text[:1] in _QUOTES and (quoted := _QUOTED.fullmatch(text)):
        text = quoted[1] or quoted[2]
    if match := _BEFORE.match(text):
        text = text[match.end() :]
    text = _MINUS.sub("-", text)
    return _AFTER.sub("", text) if text.endswith(_ENDS) else text


_MINUS = re.compile(r"^(?:minus|negative) (?=[0-9\\])")
_LEADING = re.compile(r"^(?:[ ;:*`]|,(?![0-9]))+")
_QUOTES = (*'“„«»‟"‘`',)
_ENDS = ("e", "d", "k", "x", *"■□∎✓✅")  # of what _AFTER removes


def _ascii(text: str) -> str:
    """The text with the signs of other scripts as LaTeX or ASCII; its letters stay."""
    text = _OVERSET.sub(_overset, text)
    text = _ROOT.sub(_root, _VULGAR.sub(_vulgar, text))
    return _LOW.sub(_low, _HIGH.sub(_high, text)).translate(_SYMBOLS)


def _marks(text: str) -> str:
    r"""The text with one spelling of primes, bars, vectors and angles: \angle RQP is \angle PQR."""
    text = _PRIMES.sub(
        lambda match: "'" * ((match[1] or "'").count("\\") or len(match[1] or "'")), text
    )
    text = _TRANSPOSED.sub("^T", _RAISED_OVER.sub(r"\\frac{\1}{\2}", text))
    text = _DERIVED.sub(lambda match: "'" * int(match[1]), text)
    text = _ANGLE.sub(_angle, _VECTOR.sub(_vector, _BAR.sub(r"\\bar", text)))
    for name in ("phi", "epsilon", "theta"):
        if rf"\var{name}" in text and rf"\{name}" not in text:
            text = text.replace(rf"\var{name}", rf"\{name}")
    return text


def _decimal_comma(match: re.Match[str]) -> str:
    around = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    pair = around in (("(", ")"), (SET_OPEN, SET_CLOSE))  # (1{,}2) is rather a point
    return match[0] if pair else f"{match[1]}.{match[2]}"


def _angle(match: re.Match[str]) -> str:
    first, middle, last = match.groups()
    brace = "{" if "{" in match[0] else " "
    return rf"\angle{brace}{min(first, last)}{middle}{max(first, last)}"


def _vector(match: re.Match[str]) -> str:
    turned, *ends = match.groups()
    return rf"\vec{{{ends[bool(turned)]}{ends[not turned]}}}"


def _high(match: re.Match[str]) -> str:
    return f"^{{{match[0].translate(_LEVEL)}}}"


def _low(match: re.Match[str]) -> str:
    return f"_{{{match[0].translate(_LEVEL)}}}"


def _vulgar(match: re.Match[str]) -> str:
    top, _, below = unicodedata.normalize("NFKC", match[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{below}}}" if below else match[0]


def _root(match: re.Match[str]) -> str:
    inner = f"{{{match[2]}}}" if match[2] else ""
    return rf"\sqrt{_DEGREE[match[1]]}{inner}"


def _overset(match: re.Match[str]) -> str:
    return rf"\overline{{{match[1].translate({0x307: None, 0x305: None})}}}"


def _joined(match: re.Match[str]) -> str:
    return " and " if match[1] else " or "


def _fence(match: re.Match[str]) -> str:
    return _FENCE[match.lastindex or 0]


def _as_command(match: re.Match[str]) -> str:
    name = "frac" if match[2] == "over" else "binom"
    return rf"\{name}{{{match[1].strip()}}}{{{match[3].strip()}}}"


def _short(match: re.Match[str]) -> str:
    fraction, order, strict, unequal, empty, dots, choice, arrow = match.groups()
    if fraction:
        return r"\frac"
    if choice or arrow:
        return r"\binom" if choice else r"\to"
    if strict:
        return "<" if strict == "l" else ">"
    if empty:
        return r"\emptyset"
    return r"\ldots" if dots else rf"\{order or unequal}e"


def canonical(text: str) -> str:
    r"""The formula without spaces and without braces around single characters.

    >>> canonical(r"\sqrt{3} x^{2}") == canonical(r"\sqrt3x^2")
    True
    """
    return _SINGLE.sub(r"\1", _TIGHT.sub("", text))
