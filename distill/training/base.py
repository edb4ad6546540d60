"""The base model's tokenizer and chat template, as one ChatFormat.

The student will be served with the same ChatFormat: its template is saved beside the weights.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.chat import FAULTS, pinned
from distill.local_models.control import control_text, pad_token
from distill.local_models.open import OR_TOKENIZER, Model, opened
from distill.recipes.places import TEMPLATE, Origin, missing, place
from distill.training.words import Words, words_of

# Stands in for an answer, to see what a template writes after it; no template changes it.
SENTINEL = "sentinel7f3aanswer"

DEFAULT = "default"  # of the templates of a tokenizer that has several; others are for tools, RAG
Turn = Mapping[str, str]  # {"role": …, "content": …}, as chat templates want it; reasoning_content


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """How a base model is prompted, and how it ends its answer."""

    tokenizer: Any  # with chat_template, eos_token (the end of turn) and pad_token set
    end_of_turn: int  # the one token that the template writes after an answer
    special: re.Pattern[str]  # text that the tokenizer would read as a control token
    words: Words | None  # the fast way to encode; None: the tokenizer has none

    def prompt(self, turns: Sequence[Turn]) -> str:
        """The prompt as text, up to where the student's answer begins."""
        return str(
            self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        )

    def whole(self, turns: Sequence[Turn], answer: str) -> str:
        """The same conversation with an answer, as the template itself writes it."""
        answered = [*turns, {"role": "assistant", "content": answer}]
        return str(self.tokenizer.apply_chat_template(answered, tokenize=False))

    @property
    def template(self) -> str:
        """The chat template that is used, of several the one for plain conversations."""
        found = self.tokenizer.chat_template
        return str(found[DEFAULT] if isinstance(found, dict) else found)


def open_chat_format(base: str | Model, *, chat_template: str | None = None) -> ChatFormat:
    """The ChatFormat of a base model (folder or Hub id); ``chat_template`` replaces its own.

    Raises:
        UserError: no such model, a model with code, no chat template, or an answer that does not
            end with a single token.
    """
    model = opened(base, at="base", needed=OR_TOKENIZER)
    base, tokenizer = model.name, _tokenizer(model)
    tokenizer.chat_template = _pinned(chat_template or tokenizer.chat_template, base)
    end = _end_of_turn(tokenizer, base)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    tokenizer.pad_token = pad_token(tokenizer)
    return ChatFormat(
        tokenizer=tokenizer,
        end_of_turn=end,
        special=control_text(tokenizer),
        words=words_of(tokenizer),
    )


def _pinned(template: Any, base: str) -> str | dict[str, str]:
    """The template, or all of several, with the date that stays the same."""
    if isinstance(template, dict) and DEFAULT not in template:
        names = ", ".join(template)
        msg = f"base: {base}: of its chat templates none is the default: {names}; "
        raise UserError(msg + "set chat_template: to a .jinja file")
    if isinstance(template, dict):
        return {name: str(_pinned(one, base)) for name, one in template.items()}
    if not isinstance(template, str):
        msg = f"base: {base}: it has no chat template; set chat_template: to a .jinja file"
        raise UserError(msg)
    return pinned(template)


def _tokenizer(model: Model) -> Any:
    try:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoTokenizer
    except ImportError:
        raise missing_extra(module="transformers", extra="train") from None
    try:
        return AutoTokenizer.from_pretrained(model.source, **model.options)
    except (OSError, ValueError, StrictDataclassError) as error:  # no tokenizer, a wrong config
        msg = f"base: {model.name}: cannot be loaded: {first_line(error)}; "
        msg += "give a folder, a Hub id or a shipped name"
        raise UserError(msg) from None


def _end_of_turn(tokenizer: Any, base: str) -> int:
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": SENTINEL}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except FAULTS as error:
        msg = f"chat_template of {base}: fails on a user turn and an answer: {first_line(error)}"
        raise UserError(msg) from None
    _, found, tail = text.rpartition(SENTINEL)
    if not found:
        msg = f"chat_template of {base}: it leaves the answer out; set chat_template: to another"
        raise UserError(msg)
    tail = tail.lstrip()  # Llama 2 writes a space before </s>
    written = [name for name in tokenizer.added_tokens_encoder if tail.startswith(name)]
    if not written:
        msg = (
            f"chat_template of {base}: it ends an answer with {tail[:40]!r}, which is no single "
            "token, so a student could not learn to stop; set chat_template: to another"
        )
        raise UserError(msg)
    return int(tokenizer.added_tokens_encoder[max(written, key=len)])


def chat_template_text(name: str | None, origin: Origin) -> str | None:
    """The text of a recipe's own chat template, a file beside it; None if it has none.

    Raises:
        UserError: no such file, one that the recipe may not read, or not UTF-8.
    """
    if name is None:
        return None
    key = "chat_template"
    path = place(name, key, origin, TEMPLATE)
    if path is None:
        raise missing(name, key, origin, "no such file; put the .jinja beside the recipe")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        msg = f"{origin.path}: chat_template: {path}: {reason}; put the .jinja beside the recipe"
        raise UserError(msg) from None
