r"""Strips the typography from an answer: spacing, fonts, dollars, sizes.

Every pattern here runs in linear time: it starts at a literal, and its loops stop at a brace.
"""

import re

SET_OPEN, SET_CLOSE = "\ue000", "\ue001"  # replace \{ and \}, so that { } only group

_SYMBOLS = str.maketrans({
    "−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "，": ",", "°": "",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∈": r"\in ", "∪": r"\cup ",
    "∞": r"\infty ", "π": r"\pi ", "×": r"\times ", "·": r"\cdot ", "√": r"\sqrt ",
})  # fmt: skip
# An answer that went through JSON once too often: \\frac for \frac. Only before the names of these
# commands, because a row of a matrix ends in \\.
_DOUBLED = re.compile(
    r"\\\\(?=(?:boxed|fbox|text|[dt]?frac|left|right|sqrt|pi|[lg]eq?|in|cup|infty|cdot|times)(?![a-zA-Z]))"
)
_GONE = re.compile(
    r"\\!\s{0,8}|\\(?:left|right|[bB]igg?[lr]?|displaystyle|limits|boxed|fbox)(?![a-zA-Z])"
    r"|\\[()\[\]]|\\?\$|\^\s?\\circ(?![a-zA-Z])|\^\s?\{\s?\\circ\s?\}|\\degree(?![a-zA-Z])"
)
_SPACE = re.compile(r"\\[,;:> ~]|~|\\q?quad(?![a-zA-Z])|\\\\?(?=\s)|\s+")
_FONT = re.compile(
    r"\\(?:text[a-z]{0,8}|math(?:rm|bf|it|sf|tt|bb|cal)|mbox|hbox|operatorname)\s?\{([^{}]*)\}"
)
_NAMES = re.compile(r"\\(?:([dtc])frac|(l|g|n)(?:eq|eqslant)|([lg])t|(n)e)(?![a-zA-Z])")
_WRITTEN = {"<=": r"\le ", ">=": r"\ge ", "!=": r"\ne ", "==": "=", r"\%": "%"}
_COMMA = re.compile(r"\s?\{\s?,\s?\}\s?")
_SINGLE = re.compile(r"\{\s?([A-Za-z0-9])\s?\}")
_TIGHT = re.compile(r"(?<![0-9]) +| +(?![0-9])")


def plain(text: str) -> str:
    r"""The answer without wrappers, in one line; commands that carry meaning stay.

    >>> plain(r"$\left(\dfrac{1}{2},\;3\text{cm}\right)$.")
    '(\\frac{1}{2}, 3 cm )'
    """
    text = text.translate(_SYMBOLS)
    if "\\" in text or "$" in text:
        text = _DOUBLED.sub(r"\\", text)
        text = text.replace(r"\{", SET_OPEN).replace(r"\}", SET_CLOSE)
        text = text.replace(r"\lbrace", SET_OPEN).replace(r"\rbrace", SET_CLOSE)
        text = _FONT.sub(r" \1 ", _GONE.sub("", text))
        text = _NAMES.sub(_short, text)
    if "{" in text:
        text = _COMMA.sub(",", text)
    for written, meant in _WRITTEN.items():
        if written in text:
            text = text.replace(written, meant)
    return _SPACE.sub(" ", text).rstrip(" .,;:*`").lstrip(" ,;:*`")


def _short(match: re.Match[str]) -> str:
    fraction, order, strict, unequal = match.groups()
    if fraction:
        return r"\frac"
    if strict:
        return "<" if strict == "l" else ">"
    return rf"\{order or unequal}e"


def canonical(text: str) -> str:
    r"""The formula without spaces and without braces around single characters.

    >>> canonical(r"\sqrt{3} x^{2}") == canonical(r"\sqrt3x^2")
    True
    """
    return _SINGLE.sub(r"\1", _TIGHT.sub("", text))
