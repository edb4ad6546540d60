"""Turns rows into training tokens: the prompt as at inference, the answer, the end of turn.

Nothing is cut: a row that cannot be trained on as a whole is left out and counted by reason.
"""

import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from distill.files.beside import NOTHING, Beside
from distill.rows import Row
from distill.training.asked import Asked, History, Manner, Reason, asked_of
from distill.training.base import ChatFormat

MASKED = -100  # the label that torch's cross-entropy ignores
AT_ONCE = 32  # texts in one call of the tokenizer: its results of many take more time to free


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One sequence: the prompt up to ``prompt_length``, and the trained answer from there."""

    id: str
    sample: int
    input_ids: "array[int]"  # 32-bit: a Python list would take 16 times the memory
    prompt_length: int
    masked: tuple[tuple[int, int], ...] = ()  # what is asked between answers: from, to
    weight: float = 1.0  # of its trained tokens in the loss

    @property
    def answers(self) -> list[tuple[int, int]]:
        """Where each trained answer begins and ends, with its end of turn."""
        starts = [self.prompt_length, *(end for _, end in self.masked)]
        ends = [*(start for start, _ in self.masked), len(self.input_ids)]
        return list(zip(starts, ends, strict=True))

    @property
    def labels(self) -> "array[int]":
        """The same tokens with everything masked that is asked."""
        found = array("i", [MASKED]) * self.prompt_length + self.input_ids[self.prompt_length :]
        for start, end in self.masked:
            found[start:end] = array("i", [MASKED]) * (end - start)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """The result for some rows: each is counted in exactly one of ``rows`` and ``skipped``.

    An example of several answers stands beside the last of them; ``earlier`` has those before it.
    """

    examples: list[tuple[Asked, Example]]
    skipped: Counter[str]  # Reason → rows
    rows: int = 0

    @property
    def thoughtless(self) -> int:
        """Examples that answer without a thought."""
        return sum(not asked.row.reasoning.strip() for asked, _ in self.examples)


def tokenize(
    rows: Sequence[Row],
    chat: ChatFormat,
    *,
    prompt: Literal["conversation", "last_user"] = "conversation",
    max_length: int | None = None,
    turns: Literal["last", "all"] = "last",
    history: History = "template",
    beside: Sequence[Beside] | None = None,
) -> Tokenized:
    """The rows as Examples of at most ``max_length`` tokens, in order; the others are counted.

    ``beside``: what stood beside each row in its file, such as its weight.

    Raises:
        UserError: ``history: keep`` with a template that deletes thoughts.
    """
    manner = Manner(prompt=prompt, turns=turns, history=history)
    told = beside or [NOTHING] * len(rows)
    found = [asked_of(row, chat, manner, one) for row, one in zip(rows, told, strict=True)]
    skipped: Counter[str] = Counter(reason for reason in found if isinstance(reason, str))
    kept = [one for one in found if not isinstance(one, str)]
    answers = _encode([one for each in kept for one in each], chat)
    examples: list[tuple[Asked, Example]] = []
    for each in kept:
        made = _sequences(chat, [(one, *next(answers)) for one in each])
        longest = 0 if isinstance(made, str) else max(len(one.input_ids) for _, one in made)
        if isinstance(made, str):
            skipped[made] += 1
        elif max_length is not None and longest > max_length:
            skipped["too_long"] += 1
        else:
            examples += made
    return Tokenized(examples=examples, skipped=skipped, rows=len(rows) - skipped.total())


def _sequences(
    chat: ChatFormat, answers: Sequence[tuple[Asked, "array[int]", "array[int] | None"]]
) -> list[tuple[Asked, Example]] | Reason:
    """The answers of one row: in one sequence where each prompt goes on from what is before it."""
    found: list[tuple[Asked, Example]] = []
    for asked, before, answer in answers:
        if answer is None:
            return "lossy"
        example = Example(
            id=asked.row.id,
            sample=asked.row.sample,
            input_ids=before + answer + array("i", [chat.end_of_turn]),
            prompt_length=len(before),
            weight=asked.weight,
        )
        if found and _goes_on(found[-1][1], before, asked.weight):
            last, earlier = found.pop()
            between = (*earlier.masked, (len(earlier.input_ids), len(before)))
            example = replace(example, prompt_length=earlier.prompt_length, masked=between)
            asked = replace(asked, earlier=(*last.earlier, replace(last, earlier=())))
        found.append((asked, example))
    return found


def _goes_on(example: Example, prompt: "array[int]", weight: float) -> bool:
    same = prompt[: len(example.input_ids)] == example.input_ids
    return same and weight == example.weight


def _encode(
    asked: Sequence[Asked], chat: ChatFormat
) -> Iterator[tuple["array[int]", "array[int] | None"]]:
    """The tokens of each prompt and of its answer; None if they do not decode to the answer."""
    texts = (text for one in asked for text in (one.prompt, one.completion))
    pairs = encode(list(texts), chat)
    for one, (before, _), (answer, sure) in zip(asked, pairs[::2], pairs[1::2], strict=True):
        yield before, answer if sure or _writes(chat, answer, one.completion) else None


def encode(texts: Sequence[str], chat: ChatFormat) -> list[tuple["array[int]", bool]]:
    """The tokenizer's ids of each text, and whether they are known to decode to it again."""
    found = [None if chat.words is None else chat.words.encode(text) for text in texts]
    slow = [i for i, ids in enumerate(found) if ids is None]
    for start in range(0, len(slow), AT_ONCE):
        some = slow[start : start + AT_ONCE]
        options = {"add_special_tokens": False, "return_attention_mask": False}
        made = chat.tokenizer([texts[i] for i in some], **options)["input_ids"]
        for i, ids in zip(some, made, strict=True):
            found[i] = array("i", ids)
    missed = set(slow)
    return [(ids or array("i"), i not in missed) for i, ids in enumerate(found)]


def _writes(chat: ChatFormat, answer: "array[int]", completion: str) -> bool:
    """Whether the tokens decode to the completion, at least in Unicode's composed form (NFC)."""
    text = chat.tokenizer.decode(answer.tolist(), clean_up_tokenization_spaces=False)
    return text in (completion, unicodedata.normalize("NFC", completion))
