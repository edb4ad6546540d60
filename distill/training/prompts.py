"""Tells which rows ask the same, so that all answers of a prompt stay together.

Rows ask the same if they have the same id or the same question. What is drawn of a prompt depends
on its questions alone: not on the order of the rows, the files or the machine.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from distill.rows import conversation, last_user_turn

# Signs without width, which web pages leave in copied text: soft hyphen, zero-width spaces and
# joiners, byte order mark.
UNSEEN = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))


@dataclass(slots=True, kw_only=True)
class Prompts:
    """The prompts of a data set, each known by a 64-bit number."""

    last_user: bool = False  # whether the student only sees the last user turn
    _of_id: dict[int, int] = field(default_factory=dict)  # an id → the first question with it
    _same: dict[int, int] = field(default_factory=dict)  # a question → a smaller one, same prompt

    def add(self, frame: pl.DataFrame, *, source: int = 0) -> set[int]:
        """Learns what the rows ask; returns their questions. ``source``: which set they are of."""
        questions = self._questions(frame)
        for name, question in zip(self._ids(frame, source), questions, strict=True):
            first = self._of_id.setdefault(name, question)
            if first != question:
                self._join(first, question)
        return set(questions)

    def of(self, frame: pl.DataFrame) -> list[int]:
        """Each row's prompt, as far as rows were added."""
        return [self.least(question) for question in self._questions(frame)]

    def least(self, question: int) -> int:
        """The prompt that a question is now known to belong to."""
        while (smaller := self._same.get(question, question)) != question:
            question = smaller
        return question

    def _join(self, one: int, other: int) -> None:
        low, high = sorted((self.least(one), self.least(other)))
        if low != high:
            self._same[high] = low

    def _ids(self, frame: pl.DataFrame, source: int) -> Iterator[int]:
        # row numbers are ids too, but other questions have them in the next data set
        return (
            _hash(f"{source}:{name}" if name.isdecimal() else name)
            for name in frame["id"].cast(pl.String)
        )

    def _questions(self, frame: pl.DataFrame) -> list[int]:
        text = last_user_turn() if self.last_user else conversation()
        asked = frame.select(asked=text.str.strip_chars(), id="id").iter_rows()
        return [_hash(f"?{_folded(text)}" if text else f"#{name}") for text, name in asked]


def drawn(prompt: int, purpose: str) -> float:
    """A number from 0 up to 1 for each prompt, independent of those for other purposes."""
    return _hash(f"{purpose}:{prompt}") / 2**64


def lowest(prompts: Iterable[int], count: int, purpose: str) -> frozenset[int]:
    """The ``count`` prompts with the lowest numbers."""
    return frozenset(sorted(prompts, key=lambda prompt: drawn(prompt, purpose))[:count])


def _folded(text: str) -> str:
    """The same for texts that differ in spaces, case or Unicode's form."""
    seen = unicodedata.normalize("NFKC", text.translate(UNSEEN))
    return " ".join(seen.casefold().split())


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
