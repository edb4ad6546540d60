r"""Gives the letters that only count, or stand for any value, one name: k in x = k\pi, k \in Z."""

import re

from distill.verify.math.latex import SET_OPEN
from distill.verify.math.values import Value, read_plain

# k \in \mathbb{Z}, f(x) = …, a_n = …, \{x \mid …\}
_BOUND = re.compile(
    r"(?<![A-Za-z\\])([a-z]) ?\\in ?(?:\\mathbb ?\{? ?[ZN] ?\}?|Z|N)"
    r"|^[a-zA-Z] ?\( ?([a-z]) ?\) ?=|^[a-zA-Z]_\{? ?([a-z]) ?\}? ?="
    rf"|^{SET_OPEN} ?([a-z])(?: ?\\in ?\\mathbb ?\{{?R\}}?)? ?[|:](?!.*\\in)"
)
_LETTERS = re.compile(
    r"\\[a-zA-Z]+|(?<![a-z])(?:and|or|for|any|all|where|with|integer)(?![a-z])|[A-Za-z]"
)


def renamed(answer: Value, gold: Value) -> Value:
    """The answer with the reference's letter for its own, unless it has that letter already."""
    ours, theirs = _bound(gold), _bound(answer)
    if not ours or not theirs or ours == theirs:
        return answer
    text = getattr(answer, "plain", "")
    if ours in _LETTERS.findall(text):
        return answer
    return read_plain(_LETTERS.sub(lambda match: ours if match[0] == theirs else match[0], text))


def _bound(value: Value) -> str:
    text = getattr(value, "plain", "")
    found = _BOUND.findall(text) if "=" in text or "\\in" in text or "|" in text else []
    return "".join(found[0]) if len(found) == 1 else ""
