r"""Text as it may be shown: what a terminal would obey, or nobody would see, becomes visible.

Letters of all scripts, marks, signs and emoji pass as they are. Everything else is written as
Python writes it (``\x1b``, ``\u202e``): control characters, changes of direction, ends of lines,
tags, unassigned and private characters. What is allowed is known to be harmless; nothing is left
out, so nothing can hide. Kinds of characters are those of Python's own table of Unicode.
"""

import re

# All but printable ASCII has to be looked at, most of it in one go.
OTHER = re.compile(r"[^ -~]+")
# Printable by their kind, yet nothing is seen of them: fillers, a joiner of marks, selectors.
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
UNSEEN = re.compile(f"[{BLANK}{SELECTORS}]")
# Not printable by their kind, and harmless: spaces, and signs that some scripts put around numbers.
SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
SIGNS = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd"
HARMLESS = re.compile(f"[{SPACES}{SIGNS}]")
JOINERS = "\u200c\u200d"  # within words of some scripts, and between the parts of an emoji
KEYCAPS = "0123456789#*"  # ASCII that may begin an emoji


def plain(text: str, *, keep: str = "") -> str:
    r"""``text`` with nothing in it that is not seen; unchanged where all of it is.

    Args:
        text: anything, lone surrogates too.
        keep: control characters that are wanted as they are, such as ``"\n\t"``.

    >>> plain("a\x1b[2J b\r\nc")
    'a\\x1b[2J b\\r\\nc'
    """
    return OTHER.sub(lambda run: _shown(run, keep), text)


def _shown(run: re.Match[str], keep: str) -> str:
    part, text, start = run[0], run.string, run.start()
    if part.isprintable() and not UNSEEN.search(part):
        return part
    return "".join(
        char if char in keep or _may_stay(text, start + place) else _escaped(char)
        for place, char in enumerate(part)
    )


def _may_stay(text: str, at: int) -> bool:
    """Whether this character may, by itself or between its neighbours."""
    char, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if char in JOINERS:
        return before.isprintable() and before > "~" and after > "~" and _is_seen(after)
    if UNSEEN.match(char):
        return char not in BLANK and _is_seen(before) and (before > "~" or before in KEYCAPS)
    return _is_seen(char)


def _is_seen(char: str) -> bool:
    """Whether it is there, and seen by itself; a space counts."""
    if not char:
        return False
    return bool(HARMLESS.match(char)) or (char.isprintable() and not UNSEEN.match(char))


def _escaped(char: str) -> str:
    return ascii(char)[1:-1]
