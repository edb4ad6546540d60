"""Says what a row teaches: the turns a student is asked, and the answer it learns, as texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from distill.errors import UserError
from distill.files.beside import NOTHING, Beside
from distill.local_models.chat import FAULTS
from distill.rows import Row
from distill.think import CLOSE, after_thought, completion_after, join_think, split_think
from distill.training.base import SENTINEL, ChatFormat, Turn

Reason = Literal[
    "no_messages",  # the data does not say what was asked
    "no_user_turn",  # prompt: last_user, and there is none
    "empty_response",
    "special_token",  # a text holds a control token of the tokenizer, such as <|im_end|>
    "closes_twice",  # the reasoning holds </think>, so it would not be clear where it ends
    "prompt_closes_thought",  # the template's prompt ends with a closed thought, and the row thinks
    "lossy",  # the tokenizer cannot encode the answer: SmolLM2's lacks some bytes of rare letters
    "template",  # the chat template refuses the turns, e.g. Gemma's a system turn
    "tools",  # it calls tools, answers them, or offers them: the row schema cannot say how
    "media",  # it holds images, sound or files beside its text
    "weight_0",  # the data says not to train on it
    "wrong_weight",  # of the row or a turn: neither 0 nor a number from 1e-6 to 1e6
    "too_long",
]
FIELDS = ("reasoning_content", "reasoning", "thinking")
History = Literal["template", "keep", "strip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The turns that a student is asked, and the answer to learn."""

    row: Row
    turns: tuple[Turn, ...]
    prompt: str  # as the template writes it at inference
    completion: str  # what follows the prompt, without the end of turn
    weight: float = 1.0  # of its tokens in the loss
    earlier: "tuple[Asked, ...]" = ()  # answers that are trained in the same sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Which answers of a row are trained, and what is seen of the turns before them."""

    prompt: Literal["conversation", "last_user"] = "conversation"
    turns: Literal["last", "all"] = "last"
    history: History = "template"


def asked_of(
    row: Row, chat: ChatFormat, manner: Manner, beside: Beside = NOTHING
) -> list[Asked] | Reason:
    """The answers to learn from a row, in order; or why there is none.

    Raises:
        UserError: ``history: keep``, and the template deletes thoughts of earlier turns.
    """
    if beside.holds is not None:
        return beside.holds
    if not row.messages:
        return "no_messages"
    if not row.response.strip():
        return "empty_response"
    turns = _turns(row, manner, beside)
    if not turns:
        return "no_user_turn"
    several = manner.turns == "all" and manner.prompt == "conversation"
    earlier = _earlier(row, beside) if several else ()
    last = (len(turns), row.reasoning, row.response, beside.answer_weight)
    found = [
        _one(row, turns[:at], (thought, said), weight * beside.weight, chat, manner)
        for at, thought, said, weight in (*earlier, last)
        if weight * beside.weight > 0
    ]
    if wrong := next((one for one in found if isinstance(one, str)), None):
        return wrong
    return [one for one in found if isinstance(one, Asked)] or "weight_0"


def _turns(row: Row, manner: Manner, beside: Beside) -> tuple[Turn, ...]:
    """The turns as the template gets them; it may drop thoughts, as it will at inference."""
    messages = row.messages or ()
    thoughts = beside.thoughts or ("",) * len(messages)
    pairs = zip(messages, thoughts, strict=True)
    turns = tuple(_turn(one.role, one.content, thought, manner.history) for one, thought in pairs)
    if manner.prompt == "last_user":
        return tuple(turn for turn in turns if turn["role"] == "user")[-1:]
    return turns


def _turn(role: str, content: str, thought: str, history: History) -> Turn:
    if role != "assistant":
        return {"role": role, "content": content}
    if history == "strip":
        inner = after_thought(content)
        return {"role": role, "content": content if inner == content else inner.strip()}
    if not thought:
        return {"role": role, "content": content}
    if history == "keep":
        return {"role": role, "content": join_think(thought, content)}
    # under the names that templates know: most of them, gpt-oss, vLLM; others drop it
    return {"role": role, "content": content, **dict.fromkeys(FIELDS, thought)}


def _earlier(row: Row, beside: Beside) -> Iterator[tuple[int, str, str, float]]:
    """The answers before the last one: where, thought, text, weight."""
    for i, message in enumerate(row.messages or ()):
        if message.role == "assistant":
            inner, said = split_think(message.content)
            thought = beside.thoughts[i] if beside.thoughts else ""
            weight = beside.weights[i] if beside.weights else 1.0
            yield i, thought or inner, said, weight


def _one(
    row: Row,
    turns: tuple[Turn, ...],
    learnt: tuple[str, str],
    weight: float,
    chat: ChatFormat,
    manner: Manner,
) -> Asked | Reason:
    thought, said = learnt
    if not said.strip():
        return "empty_response"
    if CLOSE in thought:
        return "closes_twice"
    texts = (thought, said, *(text for turn in turns for text in turn.values()))
    if any(chat.special.search(text) for text in texts):
        return "special_token"
    try:
        prompt = chat.prompt(turns)
        if turns[-1]["role"] != "user":  # it may allow the question, but no answer to it
            chat.whole(turns, SENTINEL)
    except FAULTS:
        return "template"
    if manner.history == "keep":
        _refuse_forgetful(row, turns, prompt)
    completion = completion_after(prompt, thought, said)
    if completion is None:
        return "prompt_closes_thought"
    return Asked(row=row, turns=turns, prompt=prompt, completion=completion, weight=weight)


def _refuse_forgetful(row: Row, turns: tuple[Turn, ...], prompt: str) -> None:
    thoughts = (split_think(turn["content"])[0] for turn in turns if turn["role"] == "assistant")
    if any(thought not in prompt for thought in thoughts):
        msg = (
            f"history: keep: the chat template deletes the thoughts of earlier turns (row {row.id} "
            f"sample {row.sample}), and will at inference too; next: history: template, or a "
            "chat_template: that keeps them"
        )
        raise UserError(msg)
