"""Recognises questions that cannot be programs, so that several may share a process.

All questions are asked in a jail. Even there, one that is a program could decide the reply to the
next one in the same process, so only those that cannot be programs are grouped.
"""

import json
import re
from collections.abc import Mapping

# Without brackets nothing in Python or sympy can be called, and no comprehension can assign: such
# text is at most a name, an attribute that is read, or arithmetic.
_FLAT = re.compile(r"[^()\[\]{}\\]*")
# With brackets: numbers, operators and single letters. A point must be next to a digit, because
# next to a letter it would be an attribute. No quotes: their content might be evaluated too.
_FORMULA = re.compile(r"(?:[^.'\"`@\\]|\.(?=[0-9])|(?<=[0-9])\.(?![0-9A-Za-z_]))*")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|[^A-Za-z])")  # of LaTeX; not valid Python
_WORDS = re.compile(r"[^\W0-9]{2,}")  # underscores count as letters
_HEX = re.compile("(?<![A-Za-z0-9_])0x[0-9A-Fa-f]{1,40}(?![A-Za-z0-9_])")
_KNOWN = re.compile("a?(?:sin|cos|tan)h?|sec|csc|cot|exp|ln|log|sqrt|pi|[A-Za-z]_")
LONGEST = 20_000  # characters of one text


def harmless(value: object) -> bool:
    r"""Whether no text in it, keys included, could do anything if it were evaluated.

    >>> harmless({"answer": r"\frac{x^2}{3}"}), harmless({"answer": "exit()"})
    (True, False)
    """
    match value:
        case str():
            return len(value) <= LONGEST and _harmless_text(value)
        case Mapping():
            return all(harmless(key) and harmless(one) for key, one in value.items())
        case list() | tuple():
            return all(map(harmless, value))
    return value is None or isinstance(value, (bool, int, float))


def _harmless_text(text: str) -> bool:
    if _FLAT.fullmatch(text) or _is_literal(text):
        return True
    bare = _HEX.sub("0", _COMMAND.sub(" ", text))
    return bool(_FORMULA.fullmatch(bare)) and all(map(_KNOWN.fullmatch, _WORDS.findall(bare)))


def _is_literal(text: str) -> bool:
    """A list or dict of harmless values, in JSON or with single quotes as Python writes it."""
    if text[:1] not in ("[", "{") or "\\" in text or ("'" in text and '"' in text):
        return False
    try:
        return harmless(json.loads(text.replace("'", '"')))
    except (RecursionError, ValueError):
        return False
