r"""What Math-Verify is not asked, and how it is asked the rest. Asks nothing itself."""

LONGEST = 512  # characters of a reference or an answer that is handed to sympy
DEEPEST = 50  # brackets within brackets; its parser recurses
TOWER = 2  # exponents within exponents: 2^{2^{2}} is the highest


def too_complex(text: str) -> str | None:
    r"""Why a text is not handed to sympy: ``too_long``, ``too_deep``, ``tower``; None if it is.

    >>> too_complex("5^{5^{5^{5}}}"), too_complex("x^{2}")
    ('tower', None)
    """
    if len(text) > LONGEST:
        return "too_long"
    open_at: list[tuple[int, int]] = []
    level = chain = 0
    for sign in text:
        if sign in "({[":
            open_at.append((level, chain))
            level, chain = level + chain, 0
            if len(open_at) > DEEPEST:
                return "too_deep"
        elif sign in ")}]" and open_at:
            level, chain = open_at.pop()
        elif sign == "^":
            chain += 1
            if level + chain > TOWER:
                return "tower"
        elif sign in "+-*/=,<>":
            chain = 0
    return None


def displayed(text: str) -> str:
    """As Math-Verify finds it: between dollars, unless it stands in such already."""
    text = text.strip()
    marked = any(mark in text for mark in ("$", r"\(", r"\["))
    return text if marked else f"${text}$"
