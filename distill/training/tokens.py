"""Turns rows into training tokens: the prompt as at inference, the answer, the end of turn.

Nothing is cut: a row that cannot be trained on as a whole is left out and counted by reason.
"""

import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distill.rows import Row
from distill.think import CLOSE, join_think
from distill.training.base import ChatFormat, Turn

MASKED = -100  # the label that torch's cross-entropy ignores

Reason = Literal[
    "no_messages",  # the data does not say what was asked
    "no_user_turn",  # prompt: last_user, and there is none
    "empty_response",
    "special_token",  # a text holds a control token of the tokenizer, such as <|im_end|>
    "closes_twice",  # the reasoning holds </think>, so it would not be clear where it ends
    "lossy",  # the tokenizer cannot encode the answer: SmolLM2's lacks some bytes of rare letters
    "template",  # the chat template refuses the turns, e.g. Gemma's a system turn
    "too_long",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row as tokens: the prompt up to ``prompt_length``, and the trained answer from there."""

    id: str
    sample: int
    input_ids: "array[int]"  # 32-bit: a Python list would take 16 times the memory
    prompt_length: int

    @property
    def labels(self) -> "array[int]":
        """The same tokens with the prompt masked."""
        return array("i", [MASKED]) * self.prompt_length + self.input_ids[self.prompt_length :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A row, the turns that its student is asked, and the answer to learn."""

    row: Row
    turns: tuple[Turn, ...]
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """The result for some rows: each is counted in exactly one of the two."""

    examples: list[tuple[Asked, Example]]
    skipped: Counter[str]  # Reason → rows

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
) -> Tokenized:
    """The rows as Examples of at most ``max_length`` tokens, in order; the others are counted."""
    found = [_asked(row, chat, prompt) for row in rows]
    skipped: Counter[str] = Counter(reason for reason in found if isinstance(reason, str))
    asked = [one for one in found if isinstance(one, Asked)]
    examples = []
    for one, example in zip(asked, _encode(asked, chat), strict=True):
        if max_length is not None and len(example.input_ids) > max_length:
            skipped["too_long"] += 1
        elif not _writes(chat, example, one.completion):
            skipped["lossy"] += 1
        else:
            examples.append((one, example))
    return Tokenized(examples=examples, skipped=skipped)


def _writes(chat: ChatFormat, example: Example, completion: str) -> bool:
    """Whether the tokens decode to the completion, at least in Unicode's composed form (NFC)."""
    answer = list(example.input_ids[example.prompt_length : -1])
    text = chat.tokenizer.decode(answer, clean_up_tokenization_spaces=False)
    return text in (completion, unicodedata.normalize("NFC", completion))


def _encode(asked: Sequence[Asked], chat: ChatFormat) -> list[Example]:
    if not asked:
        return []
    # one call for all: the tokenizer spreads them over the cores
    options = {"add_special_tokens": False, "return_attention_mask": False}
    prompts = chat.tokenizer([one.prompt for one in asked], **options)["input_ids"]
    answers = chat.tokenizer([one.completion for one in asked], **options)["input_ids"]
    return [
        Example(
            id=one.row.id,
            sample=one.row.sample,
            input_ids=array("i", [*before, *after, chat.end_of_turn]),
            prompt_length=len(before),
        )
        for one, before, after in zip(asked, prompts, answers, strict=True)
    ]


def _asked(row: Row, chat: ChatFormat, prompt: str) -> Asked | Reason:
    from jinja2 import TemplateError

    if not row.messages:
        return "no_messages"
    if not row.response.strip():
        return "empty_response"
    if CLOSE in row.reasoning:
        return "closes_twice"
    turns = tuple({"role": turn.role, "content": turn.content} for turn in row.messages)
    if prompt == "last_user":
        turns = tuple(turn for turn in turns if turn["role"] == "user")[-1:]
    if not turns:
        return "no_user_turn"
    completion = join_think(row.reasoning, row.response)
    if any(chat.special.search(text) for text in (completion, *(t["content"] for t in turns))):
        return "special_token"
    try:
        text = chat.prompt(turns)
    except TemplateError:
        return "template"
    return Asked(row=row, turns=turns, prompt=text, completion=completion)
