r"""Which questions Math-Verify gets: what it can read whole, written as it expects it.

Its yes is believed, so it must not be asked where it would drop a mark or compare two numbers to 15
digits. Its no proves nothing: two equal formulas may be beyond sympy.
"""

import re

from distill.verify.math.expression import parse, symbols
from distill.verify.math.latex import plain
from distill.verify.math.phrases import is_product

LONGEST = 512  # characters of a reference or an answer that is handed to sympy
DEEPEST = 50  # brackets within brackets; its parser recurses
TOWER = 2  # exponents within exponents: 2^{2^{2}} is the highest


def too_complex(text: str) -> str | None:
    r"""Why a text is not passed to sympy: ``too_long``, ``too_deep``, ``tower``; None if it is.

    >>> too_complex("5^{5^{5^{5}}}"), too_complex("x^{2}")
    ('tower', None)
    """
    if len(text) > LONGEST:
        return "too_long"
    open_at: list[tuple[int, int]] = []
    level = chain = 0
    for char in text:
        if char in "({[":
            open_at.append((level, chain))
            level, chain = level + chain, 0
            if len(open_at) > DEEPEST:
                return "too_deep"
        elif char in ")}]" and open_at:
            level, chain = open_at.pop()
        elif char == "^":
            chain += 1
            if level + chain > TOWER:
                return "tower"
        elif char in "+-*/=,<>":
            chain = 0
    return None


_READ = re.compile(
    r"(?:\\(?:frac|sqrt|cdot|times|div|pi|a?r?c?(?:sin|cos|tan)|cot|sec|csc|ln|log|exp|le|ge|ne|cup|cap"
    r"|infty|in|alpha|beta|gamma|delta|theta|lambda|mu|rho|sigma|phi|omega|quad)(?![a-zA-Z])"
    r"|\\(?:begin|end)\s?\{[pb]?matrix\}|\\\\|[A-Za-z](?:_(?:[A-Za-z0-9]|\{[0-9A-Za-z]{1,3}\})(?![\w{]))?"
    r"|(?<![0-9])[0-9]+(?:\.[0-9]+)?(?!_)|[-+*/^=<>(){}\[\],|&\s\ue000\ue001])*"
)
_TOGETHER = re.compile(
    r"[0-9]\s?\\frac|\\frac\s?(?:\{[^{}]*\}|\w|\\pi)\s?(?:$|[-+=,)])|[A-Za-z]\s?\(|[A-Z]\s?[A-Z]|[A-Za-z]\s?\\times\s?[A-Za-z]|\|\s?\||\^\s?\{\(\w\)\}"
)
_LETTERS = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2,}")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
_RELATION = re.compile(r"\\(?:le|ge|ne|in)(?![a-zA-Z])|[=<>]")


def mistaken(gold: str, answer: str) -> str | None:
    r"""Why a yes of Math-Verify would not be believed; None if it would.

    >>> mistaken("f'(x)", "f''(x)"), mistaken("x+y=2", "2"), mistaken(r"\frac{x}{2}+n", "n+x/2")
    ('unread_mark', 'relation_or_value', None)
    """
    texts = [
        plain(text) if r"\begin" not in text else text.replace("$", "") for text in (gold, answer)
    ]
    for text in texts:
        bare = re.sub(r"\\(?:begin|end)\s?\{[pb]?matrix\}|(?<![A-Za-z\\])or(?![A-Za-z])", " ", text)
        if _READ.fullmatch(text.replace(" or ", ",")) is None or _TOGETHER.search(bare):
            return "unread_mark"
        if text.count("|") % 2:  # it reads 3|4 as 3
            return "unread_mark"
        if bare.strip().isalpha() or not all(map(is_product, _LETTERS.findall(bare))):
            return "unread_mark"
    ours, theirs = (set(_LETTER.findall(text)) for text in texts)
    if ours != theirs and {x.lower() for x in ours} == {x.lower() for x in theirs}:
        return "unread_mark"  # it takes A for a
    trees = list(map(parse, texts))
    if all(tree is not None and not symbols(tree) for tree in trees):
        return "unclear_value"  # it would compare 15 digits
    if not all(map(_RELATION.search, texts)) and any(map(_RELATION.search, texts)):
        return "relation_or_value"
    return None


def displayed(text: str) -> str:
    """The text as Math-Verify expects it: between dollars, unless it has delimiters already."""
    text = text.strip()
    marked = any(mark in text for mark in ("$", r"\(", r"\["))
    return text if marked else f"${text}$"
