"""The template proof: what is trained is what will be asked and answered. No proof, no training.

Every example is checked against the template and the tokenizer independently of ``tokens``.
"""

import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

from distill.errors import UserError
from distill.local_models.chat import FAULTS
from distill.think import CLOSE, opened_thought
from distill.training.asked import Asked
from distill.training.base import SENTINEL, ChatFormat, Turn
from distill.training.tokens import MASKED, Example, Tokenized

CHECKS = {
    "prefix": "the trained prefix is the inference prompt, token for token",
    "template": "the template writes the same prefix before an answer as before a generation",
    "verbatim": "the trained tokens decode to <think>, reasoning, </think>, response, end of turn",
    "thought": "a thought that the prompt opens goes on in the trained tokens, and closes there",
    "end_of_turn": "the end of turn is trained exactly once, as the last token",
    "masked": "no token of the prompt is trained, and at least one token is",
    "bos": "as many beginning-of-text tokens as the inference prompt has",
    "tokens": "the trained tokens are the tokenizer's own (the first rows and every 64th)",
}
Check = Literal[
    "prefix", "template", "verbatim", "thought", "end_of_turn", "masked", "bos", "tokens"
]
SHOWN = 60  # characters of a text in an error


AGAIN = 64  # one in so many answers is encoded again by the tokenizer; and so many first ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One answer as it is trained."""

    asked: Asked
    before: "array[int]"  # all tokens in front of it
    answer: "array[int]"  # with the end of turn
    labels: "array[int]"  # from the end of the answer before to the end of this one
    text: str  # the answer, decoded


@dataclass(slots=True, kw_only=True)
class Proof:
    """Counts the proved examples; ``worked`` is the first one, for people to read."""

    chat: ChatFormat
    examples: int = 0
    normalized: int = 0  # answers that the tokenizer changed to Unicode's composed form (NFC)
    worked: dict[str, Any] | None = None
    _answers: int = 0

    def add(self, tokenized: Tokenized) -> None:
        """Proves every example of ``tokenized``.

        Raises:
            UserError: one fails; names the row, the check, and what differs.
        """
        written = Written(chat=self.chat)
        for asked, example in tokenized.examples:
            for one in self._trained(asked, example):
                again = self._answers < AGAIN or self._answers % AGAIN == 0
                for check, differed in _failures(one, written, again=again):
                    raise _failed(check, example, differed)
                self._answers += 1
                self.normalized += one.text != one.asked.completion + self.chat.tokenizer.eos_token
                if self.worked is None:
                    self.worked = _worked(one, example)
            self.examples += 1

    def _trained(self, asked: Asked, example: Example) -> Iterator[Trained]:
        labels, since = example.labels, 0
        for one, (start, end) in zip((*asked.earlier, asked), example.answers, strict=True):
            answer = example.input_ids[start:end]
            yield Trained(
                asked=one,
                before=example.input_ids[:start],
                answer=answer,
                labels=labels[since:end],
                text=_decoded(answer, self.chat.tokenizer),
            )
            since = end

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


@dataclass(slots=True, kw_only=True)
class Written:
    """What the template and the tokenizer write for some turns, once for answers to the same."""

    chat: ChatFormat
    _known: dict[str, tuple[list[int], str]] = field(default_factory=dict)

    def of(self, turns: Sequence[Turn]) -> tuple[list[int], str]:
        """The inference prompt as tokens, and the conversation with SENTINEL as the answer."""
        key = repr(turns)
        if key not in self._known:
            inference = self.chat.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=False
            )
            self._known[key] = inference, self._answered(turns)
        return self._known[key]

    def _answered(self, turns: Sequence[Turn]) -> str:
        try:
            return self.chat.whole(turns, SENTINEL)
        except FAULTS:
            return ""  # which no prompt begins with: the proof fails


def _failures(one: Trained, written: Written, *, again: bool) -> Iterator[tuple[Check, str]]:
    """Every check that the answer fails, with what differs; ``again``: encode it once more."""
    tokenizer, end = written.chat.tokenizer, written.chat.end_of_turn
    asked, prefix, answer = one.asked, one.before.tolist(), one.answer
    inference, whole = written.of(asked.turns)
    if prefix != inference:
        yield "prefix", _first_difference(prefix, inference, tokenizer)
    since = len(prefix) + len(answer) - len(one.labels)
    if not answer or one.labels.tolist() != [MASKED] * (len(inference) - since) + answer.tolist():
        yield "masked", f"{len(answer)} trained of {len(prefix) + len(answer)} tokens"
    if answer.count(end) != 1 or answer[-1] != end:
        yield "end_of_turn", f"{answer.count(end)} times in the answer"
    bos = tokenizer.bos_token_id
    if (
        bos is not None
        and bos != end
        and (bos in answer or prefix.count(bos) != inference.count(bos))
    ):
        yield "bos", f"{prefix.count(bos) + answer.count(bos)}, not {inference.count(bos)}"
    opened = opened_thought(asked.prompt)
    begins = asked.prompt.removesuffix(opened)
    if not whole.startswith(begins):
        yield "template", _texts(begins, whole[: len(begins)])
    wanted = asked.completion + tokenizer.eos_token
    if one.text not in (wanted, unicodedata.normalize("NFC", wanted)):
        yield "verbatim", _texts(wanted, one.text)
    if opened and CLOSE not in opened and asked.completion.count(CLOSE) == 0:
        yield "thought", repr(asked.completion[:SHOWN])
    if again:
        found, own = answer[:-1].tolist(), _encoded(asked.completion, tokenizer)
        if found != own:
            yield "tokens", _first_difference(found, own, tokenizer)


def _decoded(ids: "array[int]", tokenizer: Any) -> str:
    import numpy as np

    # of a list, it would look at every number in Python
    found = tokenizer.decode(np.asarray(ids), clean_up_tokenization_spaces=False)
    return str(found)


def _encoded(text: str, tokenizer: Any) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def _worked(one: Trained, example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "sample": example.sample,
        "input_ids": example.input_ids.tolist(),
        "labels": example.labels.tolist(),
        "masked_text": one.asked.prompt,
        "trained_text": one.text,
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
