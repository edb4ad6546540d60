"""Tells a switch (``reasoning: on``) from a thought: both stand in columns of the same names."""

import re
from collections.abc import Iterable
from typing import Any

from distill.files.values import words
from distill.rows import SCHEMA

# Whether or how much a model was told to think, as vendors, chat templates and data sets say it.
_WORDS = frozenset(
    (
        *("on", "off", "true", "false", "yes", "no", "y", "n", "t", "f", "none", "null", "nil"),
        *("enabled", "disabled", "enable", "disable", "active", "inactive", "with", "without"),
        *("minimal", "minimum", "low", "medium", "mid", "high", "xhigh", "max", "maximum", "full"),
        *("auto", "adaptive", "dynamic", "default", "always", "never", "budget", "unlimited"),
        *("used", "unused", "not_used", "with_reasoning", "without_reasoning"),
        *("think", "no_think", "nothink", "thinking", "no_thinking", "non_thinking", "nonthinking"),
        *("reasoning", "no_reasoning", "non_reasoning", "short", "long", "brief", "detailed"),
        *("ein", "aus", "an", "ja", "nein", "oui", "non", "si", "sí", "да", "нет", "вкл", "выкл"),
        *("开", "关", "开启", "关闭", "是", "否", "启用", "禁用", "有", "无", "オン", "オフ", "예"),
        *("n/a", "na", "nan", "-", "–", "—"),
    )
)
_BUDGET = re.compile(r"[-+]?\d[\d.,_]*\s?(?:k|m|%|tokens?)?")  # of thinking tokens, or a share
# "Reasoning: high" and "detailed thinking on", as system prompts say it.
_TOLD = re.compile(
    r"(?:\w\w+ )?(?:reason|think|thought|effort|mode|level|budget)\w*(?: effort| mode)?\s?[:=]? ?"
)
LONGEST = 40  # characters: "thinking budget: 32,768 tokens"
_WORD = re.compile(r"[\w/+-]{2,24}")
# The same in letters that leave spaces between words: then a whole thought is no single word.
_ALONE = re.compile(r"[\da-zA-Z\u00c0-\u058f_/+-]{1,24}")
# A column of so many single words that repeat is a switch, whatever its words are.
LEAST = 4


def is_switch(value: Any) -> bool:
    """Whether a single value is a switch: a word of the known ones, or a number.

    >>> is_switch("off"), is_switch("/no_think"), is_switch("1024 tokens"), is_switch("Add both.")
    (True, True, True, False)
    """
    found = words(value)
    if found is None or len(found) > LONGEST:
        return isinstance(value, (bool, int, float))
    plain = found.strip().strip("\"'/.<>[]()").lower()
    told = _TOLD.match(plain)
    said = (plain, plain[told.end() :]) if told else (plain,)
    known = any(re.sub(r"[\s-]+", "_", one) in _WORDS or one in _WORDS for one in said)
    return known or any(_BUDGET.fullmatch(one) for one in said)


def switches_in(values: Iterable[Any]) -> tuple[str, ...] | None:
    """The different values of a column if it is a switch; None if it may hold thoughts."""
    there = [value for value in values if value is not None and value != ""]
    texts = [words(value) for value in there]
    if not there or all(map(is_switch, there)):
        return tuple(sorted({str(value) for value in there}))
    if any(one is None or _WORD.fullmatch(one.strip()) is None for one in texts):
        return None
    if all(_ALONE.fullmatch(str(one).strip()) for one in texts):
        return tuple(sorted({str(one) for one in texts}))
    different = {str(one) for one in texts}
    repeat = len(there) >= max(LEAST, 2 * len(different))
    return tuple(sorted(different)) if repeat else None


def switched(names: Iterable[str], values: Iterable[Any]) -> bool:
    """Whether a table like ours has known switches in place of thoughts.

    One with all of our columns is our own. Numbers alone do not count: a small model may think no
    more than that.
    """
    if set(SCHEMA) <= set(names):
        return False
    there = [value for value in values if value is not None and value != ""]
    named = any(char.isalpha() for value in there[:100] for char in str(value)[:LONGEST])
    return named and all(map(is_switch, there))
