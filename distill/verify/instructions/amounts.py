"""Instructions about amounts: words, sentences, words in capitals.

IFEval counts sentences and capitals with models of NLTK. Here both are counted twice, once as few
and once as many as can be meant; if the two counts disagree about the instruction, it is unclear.
"""

import re
from functools import lru_cache

from distill.verify.instructions.asked import Asked

_WORD = re.compile(r"\w+")  # as IFEval counts them: "don't" is two
_END = re.compile(r"[.!?…。！？]+")
# After the marks: what closes a quotation or bold text, a space, then a capital.
_AFTER = re.compile(r"[\"'”’)\]*_]{0,8}\s{1,8}[\"'“‘(\[*_#-]{0,8}\s?(\w)")
# Words whose full stop need not end a sentence; so may that of a single letter or a number.
_SHORT = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms dr prof st jr sr vs etc inc ltd co corp no fig eq vol pp ed al gen col sgt capt "
        "lt rev hon gov sen rep dept univ approx est ave blvd rd mt ft jan feb mar apr jun jul aug "
        "sep sept oct nov dec mon tue wed thu fri sat sun",
    )
)


def number_words(asked: Asked, response: str) -> bool:
    """Runs of letters, digits and underscores."""
    count = sum(1 for _ in _WORD.finditer(response))
    return asked.compares(count, number="num_words", relation="relation")


def number_sentences(asked: Asked, response: str) -> bool | str:
    """By the fewest and the most sentences that the response can be said to have."""
    found = {
        asked.compares(count, number="num_sentences", relation="relation")
        for count in (fewest_sentences(response), most_sentences(response))
    }
    return found.pop() if len(found) == 1 else "sentences_unclear"


@lru_cache(maxsize=2)  # a reference may ask several times about one response
def fewest_sentences(text: str) -> int:
    """Counts certain ends only: a mark, a space and a capital, and no abbreviation before.

    >>> fewest_sentences("Dr. Who came. He left! (See fig. 2.) e.g. this")
    3
    """
    count = 1
    for match in _END.finditer(text):
        after = _AFTER.match(text, match.end())
        if after and after[1].isupper() and not _may_go_on(text, match):
            count += 1
    return count


@lru_cache(maxsize=2)
def most_sentences(text: str) -> int:
    """Counts every mark that could end a sentence, and every line that ends without one.

    >>> most_sentences("Version 1.5 is out. See e.g. this")
    5
    """
    lines = [line.rstrip(" \t\r\"'”’)]*_") for line in text.split("\n") if line.strip()]
    bare = sum(not line.endswith((".", "!", "?", "…", "。", "！", "？")) for line in lines)
    return max(1, bare + sum(1 for _ in _END.finditer(text)))


def _may_go_on(text: str, end: re.Match[str]) -> bool:
    if end[0] != ".":
        return end[0].strip(".…") == ""  # dots that trail off
    before = re.split(r"[\s\"'“‘(\[*_-]", text[max(0, end.start() - 20) : end.start()])[-1].lower()
    return len(before) < 2 or before in _SHORT or "." in before or before.isdigit()


def capital_words(asked: Asked, response: str) -> bool | str:
    """By the fewest and the most words in capitals; STATE-OF-THE-ART may be one or four."""
    few = sum(word.isupper() for word in response.split())
    many = sum(word.isupper() for word in _WORD.findall(response))
    found = {
        asked.compares(count, number="capital_frequency", relation="capital_relation")
        for count in (min(few, many), max(few, many))
    }
    return found.pop() if len(found) == 1 else "capitals_unclear"
