"""How the student that a recipe names as ``score_model`` takes a trace.

``student_fit`` is the rank-surprisal ratio (arXiv 2601.14249): the sum of min(rank, 100) over the
sum of -ln p. A trace that teaches is not what the student would write, but each of its tokens is
among those that it would think of: lower is better. The details are those of the authors' code
(github.com/UmeanNever/RankSurprisalRatio, rsr_cal.py, commit 2675c01): the likeliest token has rank
1, equal ones share the best rank, and what counts are the tokens of the answer without its end of
turn.

AM-DeepSeek-R1-Distilled's successor drops traces of a perplexity above 20, which is a
``nll_per_token`` above 3.0; the number depends on the model, so look at your own data first.
"""

import math
import os
import re
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import polars as pl

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.chat import FAULTS, pinned
from distill.local_models.control import control_text
from distill.local_models.open import open_model
from distill.local_models.surprise import Surprise, Text, surprises
from distill.local_models.threads import patient
from distill.signals.settings import Settings
from distill.think import completion_after

COLUMNS: dict[str, pl.DataType] = {
    "nll_per_token": pl.Float64(),
    "student_fit": pl.Float64(),
    "unscored": pl.String(),
}
VERSION = 2
COST = 3

Reason = Literal[
    "empty",
    "special_token",  # a text holds a control token such as <|im_end|>: train leaves the row out
    "template",  # the chat template refuses the turns
    "prompt_closes_thought",  # the template's prompt ends with a closed thought, and the row thinks
    "too_long",  # for the model's context; the number of a part would not be that of the trace
    "unknown_token",  # the tokenizer has tokens that the model has not
    "not_finite",  # the model computes no number
]
Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Student:
    """A model with its tokenizer, whose chat template, if it has one, is ``pinned``."""

    model: Any
    tokenizer: Any
    special: re.Pattern[str]
    context: int | None  # tokens; None: without a limit
    vocabulary: int  # tokens that it has embeddings for


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """nll_per_token: mean of -ln p over the trace's tokens, after its prompt as in training.

    Where ``unscored`` says why, both numbers are null; where the recipe names no ``score_model``,
    all three. If the data does not say what was asked, a trace is read after an empty line.

    Raises:
        UserError: torch or transformers is missing, or the folder is not a causal language model.
    """
    if settings.score_model is None:
        return pl.DataFrame(schema=COLUMNS).clear(frame.height)
    student = _student(settings.score_model)
    rows = frame.select("messages", pl.col("reasoning", "response").fill_null("")).iter_rows()
    read = [_text(student, *row) for row in rows]
    texts = [text for text in read if isinstance(text, Text)]
    found = iter(zip(texts, surprises(student.model, texts), strict=True))
    values = [_values(*next(found)) if isinstance(t, Text) else (None, None, t) for t in read]
    return pl.DataFrame(values, schema=COLUMNS, orient="row")


def _values(text: Text, sums: Surprise) -> tuple[float | None, float | None, Reason | None]:
    if not math.isfinite(sums.nats):
        return None, None, "not_finite"
    fit = sums.ranks / sums.nats if sums.nats > 0 else None
    return sums.nats / (len(text.ids) - text.start), fit, None


def _text(student: Student, turns: Turns | None, reasoning: str, response: str) -> Text | Reason:
    """The tokens of a prompt and its answer, each encoded by itself, as ``train`` does."""
    asked = [turn["content"] for turn in turns or ()]
    if not f"{reasoning}{response}".strip():
        return "empty"
    if None in asked:  # a template may write "None"
        return "template"
    if any(map(student.special.search, (reasoning, response, *asked))):
        return "special_token"
    try:
        prompt, special = _prompt(student.tokenizer, turns)
    except FAULTS:  # a ValueError too where it has several, and none is the default
        return "template"
    answer = completion_after(prompt, reasoning, response)
    if answer is None:
        return "prompt_closes_thought"
    before = student.tokenizer(prompt, add_special_tokens=special)["input_ids"]
    ids = [*before, *student.tokenizer(answer, add_special_tokens=False)["input_ids"]]
    if student.context is not None and len(ids) > student.context:
        return "too_long"
    if max(ids) >= student.vocabulary:
        return "unknown_token"
    return Text(ids=array("i", ids), start=max(1, len(before)))


def _prompt(tokenizer: Any, turns: Turns | None) -> tuple[str, bool]:
    """The prompt, and whether the tokenizer is to begin it as it begins any text."""
    if not turns:
        return "\n", True
    if not tokenizer.chat_template:  # a base model may have none
        return "\n".join(turn["content"] for turn in turns) + "\n\n", True
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return str(text), False


@lru_cache(1)
def _student(folder: str) -> Student:
    """Computes in 32 bits on a CPU, whatever the weights: not every CPU has fast 16-bit numbers."""
    os.environ.update(patient(os.environ))  # OpenMP reads it when torch is imported
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as bars
    except ImportError:
        raise missing_extra(module="transformers", extra="train") from None
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        opened = open_model(folder, at="score_model").with_weights()
        tokenizer = AutoTokenizer.from_pretrained(opened.source, **opened.options)
        model = AutoModelForCausalLM.from_pretrained(
            opened.source,
            dtype="auto" if device == "cuda" else torch.float32,
            use_safetensors=True,
            **opened.options,
        )
    except (OSError, ValueError, TypeError) as error:
        msg = f"score_model: {folder}: not a causal language model: {first_line(error)}"
        raise UserError(msg) from None
    finally:
        if shown:
            bars.enable_progress_bar()
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = pinned(tokenizer.chat_template)
    elif tokenizer.chat_template:
        named = tokenizer.chat_template.items()
        tokenizer.chat_template = {name: pinned(text) for name, text in named}
    return Student(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        special=control_text(tokenizer),
        context=getattr(model.config.get_text_config(), "max_position_embeddings", None),
        vocabulary=model.get_input_embeddings().num_embeddings,
    )
