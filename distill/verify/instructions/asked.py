"""Reads the reference: which instructions, with which numbers and texts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST = 64  # instructions of one prompt; IFEval has up to 3
LONGEST_GOLD = 100_000  # characters
LONGEST_TEXT = 20_000  # of a phrase or of a prompt to repeat
LONGEST_WORD = 500  # of a keyword
RELATIONS = ("less than", "at least")
PLACE = "instruction_id_list", "kwargs"


class Unusable(ValueError):
    """An instruction whose numbers or texts are missing: IFEval would draw them by chance."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One instruction with its values; reading a missing one raises ``Unusable``."""

    name: str  # such as "length_constraints:number_words"
    kwargs: Mapping[str, Any]

    def number(self, key: str) -> int:
        """A whole number from 0 to 1e9; 3.0, as tables with gaps store it, is 3."""
        value = self.kwargs.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9:
            whole = int(value)
            if whole == value:
                return whole
        raise self.lacks(key)

    def text(self, key: str, *, most: int = LONGEST_TEXT) -> str:
        """A text without white space around it, of 1 to ``most`` characters."""
        value = self.kwargs.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > most:
            raise self.lacks(key)
        return value.strip()

    def words(self, key: str) -> list[str]:
        """One keyword or more, each once."""
        value = self.kwargs.get(key)
        if not isinstance(value, list) or not 0 < len(value) <= MOST:
            raise self.lacks(key)
        found = [Asked(self.name, {key: word}).text(key, most=LONGEST_WORD) for word in value]
        return list(dict.fromkeys(found))

    def compares(self, count: int, *, number: str, relation: str) -> bool:
        """Whether a count is less than, or at least, the number asked for."""
        way = self.text(relation)
        if way not in RELATIONS:
            raise self.lacks(relation)
        wanted = self.number(number)
        return count < wanted if way == "less than" else count >= wanted

    def lacks(self, key: str) -> Unusable:
        """The error for a missing or meaningless value."""
        return Unusable(f"{self.name}: {key}")


def asked(gold: str) -> tuple[Asked, ...] | None:
    """The instructions of a reference, in order; None if it is not a reference.

    As in google/IFEval, kwargs that an instruction does not use are null.
    """
    if len(gold) > LONGEST_GOLD:
        return None
    try:
        found = json.loads(gold)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    names, kwargs = (found.get(key) for key in PLACE)
    if not isinstance(names, list) or not isinstance(kwargs, list):
        return None
    whole = all(isinstance(name, str) for name in names)
    if not whole or not 0 < len(names) <= MOST or len(kwargs) != len(names):
        return None
    if not all(values is None or isinstance(values, dict) for values in kwargs):
        return None
    return tuple(Asked(name, values or {}) for name, values in zip(names, kwargs, strict=True))
