r"""Which texts are simple enough for Math-Verify, and how they are written for it."""

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


def displayed(text: str) -> str:
    """The text as Math-Verify expects it: between dollars, unless it has delimiters already."""
    text = text.strip()
    marked = any(mark in text for mark in ("$", r"\(", r"\["))
    return text if marked else f"${text}$"
