r"""Makes text safe to show: invisible characters and those a terminal would obey become visible.

Letters of all scripts, marks, symbols and emoji stay as they are. Everything else is written as
Python writes it (``\x1b``, ``\u202e``): control characters, changes of direction, ends of lines,
tags, unassigned and private characters. Only what is known to be harmless stays, and nothing is
removed, so nothing can hide. Characters are classified by Python's own Unicode table.
"""

import re

# Everything but printable ASCII has to be checked, most of it in one go.
OTHER = re.compile(r"[^ -~]+")
# Printable by their category, but invisible: fillers, a joiner of marks, selectors.
BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
UNSEEN = re.compile(f"[{BLANK}{SELECTORS}]")
# Not printable by their category, but harmless: spaces, and marks around numbers in some scripts.
SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
MARKS = "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd"
HARMLESS = re.compile(f"[{SPACES}{MARKS}]")
JOINERS = "\u200c\u200d"  # within words of some scripts, and between the parts of an emoji
KEYCAPS = "0123456789#*"  # ASCII that may begin an emoji


def plain(text: str, *, keep: str = "") -> str:
    r"""``text`` with invisible characters escaped; unchanged if it has none.

    Args:
        text: anything, lone surrogates included.
        keep: control characters that stay as they are, such as ``"\n\t"``.

    >>> plain("a\x1b[2J b\r\nc")
    'a\\x1b[2J b\\r\\nc'
    """
    return OTHER.sub(lambda run: _shown(run, keep), text)


def _shown(run: re.Match[str], keep: str) -> str:
    part, text, start = run[0], run.string, run.start()
    if part.isprintable() and not UNSEEN.search(part):
        return part
    return "".join(
        char if char in keep or _may_stay(text, start + place) else ascii(char)[1:-1]
        for place, char in enumerate(part)
    )


def _may_stay(text: str, at: int) -> bool:
    """Whether this character may stay, by itself or between its neighbours."""
    char, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if char in JOINERS:
        if UNSEEN.match(before) and not _may_stay(text, at - 1):
            return False
        return before.isprintable() and before > "~" and after > "~" and _is_seen(after)
    if UNSEEN.match(char):
        return char not in BLANK and _is_seen(before) and (before > "~" or before in KEYCAPS)
    return _is_seen(char)


def _is_seen(char: str) -> bool:
    """Whether there is a character and it is visible by itself; a space counts."""
    if not char:
        return False
    return bool(HARMLESS.match(char)) or (char.isprintable() and not UNSEEN.match(char))
