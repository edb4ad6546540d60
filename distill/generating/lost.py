"""Why requests have no answer: how many for each reason, with the words of one of them."""

import logging
import re
from collections import Counter
from collections.abc import Mapping

log = logging.getLogger("distill")
SHOWN = 5  # reasons
STATUS_CHARS = 4  # "400 ", which is part of the reason; later numbers are a row's own
OWN = re.compile(r"[\w.-]*\d[\w.-]*|\"[^\"]*\"")  # numbers, ids, what is quoted


def say_lost(reasons: Mapping[str, int]) -> None:
    """Logs a line for each of the commonest reasons; those that differ in numbers are one."""
    counts, words = Counter[str](), dict[str, str]()
    for text, count in sorted(reasons.items(), key=lambda one: -one[1]):
        kind = text[:STATUS_CHARS] + OWN.sub("#", text[STATUS_CHARS:])
        counts[kind] += count
        words.setdefault(kind, text)
    for kind, count in counts.most_common(SHOWN):
        log.warning("%d without an answer: %s", count, words[kind])
    if len(counts) > SHOWN:
        rest = counts.total() - sum(count for _, count in counts.most_common(SHOWN))
        log.warning("%d without an answer for other reasons", rest)
