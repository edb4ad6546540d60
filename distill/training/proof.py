"""The template proof: what is trained is what will be asked and answered. No proof, no training.

Every example is checked against the template and the tokenizer independently of ``tokens``.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from distill.errors import UserError
from distill.training.base import SENTINEL, ChatFormat
from distill.training.tokens import MASKED, Asked, Example, Tokenized

CHECKS = {
    "prefix": "the trained prefix is the inference prompt, token for token",
    "template": "the template writes the same prefix before an answer as before a generation",
    "verbatim": "the trained tokens decode to <think>, reasoning, </think>, response, end of turn",
    "end_of_turn": "the end of turn is trained exactly once, as the last token",
    "masked": "no token of the prompt is trained, and at least one token is",
    "bos": "as many beginning-of-text tokens as the inference prompt has",
}
Check = Literal["prefix", "template", "verbatim", "end_of_turn", "masked", "bos"]
SHOWN = 60  # characters of a text in an error


@dataclass(slots=True, kw_only=True)
class Proof:
    """Counts the proved examples; ``worked`` is the first one, for people to read."""

    chat: ChatFormat
    examples: int = 0
    normalized: int = 0  # answers that the tokenizer changed to Unicode's composed form (NFC)
    worked: dict[str, Any] | None = None

    def add(self, tokenized: Tokenized) -> None:
        """Proves every example of ``tokenized``.

        Raises:
            UserError: one fails; names the row, the check, and what differs.
        """
        answers = [list(one.input_ids[one.prompt_length :]) for _, one in tokenized.examples]
        if not answers:  # decoding an empty list gives one empty text
            return
        texts = self.chat.tokenizer.batch_decode(
            answers, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        for (asked, example), text in zip(tokenized.examples, texts, strict=True):
            for check, differed in _failures(asked, example, text, self.chat):
                raise _failed(check, example, differed)
            self.examples += 1
            self.normalized += text != asked.completion + self.chat.tokenizer.eos_token
            if self.worked is None:
                self.worked = _worked(asked, example, text)

    def values(self) -> dict[str, Any]:
        """proof.json."""
        tokenizer = self.chat.tokenizer
        return {
            "proved": True,
            "examples": self.examples,
            "normalized_to_nfc": self.normalized,
            "checks": CHECKS,
            "end_of_turn": {"id": self.chat.end_of_turn, "token": tokenizer.eos_token},
            "pad": {"id": tokenizer.pad_token_id, "token": tokenizer.pad_token},
            "worked_example": self.worked,
        }


def _failures(
    asked: Asked, example: Example, trained: str, chat: ChatFormat
) -> Iterator[tuple[Check, str]]:
    """Every check that the example fails, with what differs."""
    tokenizer, end = chat.tokenizer, chat.end_of_turn
    ids, labels = list(example.input_ids), list(example.labels)
    prefix, answer = ids[: example.prompt_length], ids[example.prompt_length :]
    inference = tokenizer.apply_chat_template(
        asked.turns, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    if prefix != inference:
        yield "prefix", _first_difference(prefix, inference, tokenizer)
    if not answer or labels != [MASKED] * len(inference) + answer:
        yield "masked", f"{len(answer)} trained of {len(ids)} tokens"
    if answer.count(end) != 1 or answer[-1] != end:
        yield "end_of_turn", f"{answer.count(end)} times in the answer"
    bos = tokenizer.bos_token_id
    if bos is not None and bos != end and ids.count(bos) != inference.count(bos):
        yield "bos", f"{ids.count(bos)}, not {inference.count(bos)}"
    whole = chat.whole(asked.turns, SENTINEL)
    if not whole.startswith(asked.prompt):
        yield "template", _texts(asked.prompt, whole[: len(asked.prompt)])
    wanted = asked.completion + tokenizer.eos_token
    if trained not in (wanted, unicodedata.normalize("NFC", wanted)):
        yield "verbatim", _texts(wanted, trained)


def _worked(asked: Asked, example: Example, trained: str) -> dict[str, Any]:
    return {
        "id": example.id,
        "sample": example.sample,
        "input_ids": list(example.input_ids),
        "labels": list(example.labels),
        "masked_text": asked.prompt,
        "trained_text": trained,
    }


def _failed(check: Check, example: Example, differed: str) -> UserError:
    return UserError(
        f"row {example.id} sample {example.sample}: the template proof fails: {CHECKS[check]}: "
        f"{differed}; nothing was trained; next: another chat_template: in the recipe"
    )


def _first_difference(found: list[int], wanted: list[int], tokenizer: Any) -> str:
    at = _same(found, wanted)
    shown = [tokenizer.decode(ids[at : at + 8]) for ids in (wanted, found)]
    return f"at token {at} expected {shown[0]!r}, found {shown[1]!r}"


def _same(found: Sequence[object], wanted: Sequence[object]) -> int:
    """How many items at the beginning of both are the same."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(found, wanted, strict=False))))


def _texts(wanted: str, found: str) -> str:
    at = _same(found, wanted)
    start = max(at - SHOWN // 2, 0)
    ends = (text[start : start + SHOWN] for text in (wanted, found))
    return "at character {} expected {!r}, found {!r}".format(at, *ends)
