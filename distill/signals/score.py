"""How likely a trace is to a small local model.

AM-DeepSeek-R1-Distilled's successor drops traces of a perplexity above 20, which is a
``nll_per_token`` above 3.0; the number depends on the model, so look at your own data first.
"""

from functools import lru_cache
from typing import Any

import polars as pl

from distill.errors import UserError, first_line, missing_extra
from distill.local_models.open import open_model
from distill.rows import all_turns
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {"nll_per_token": pl.Float64()}
VERSION = 1
COST = 3

LONGEST = 2_048  # tokens of question and trace that are read: logits over 150,000 words are 1.2 GB
_STEP = 256  # tokens whose logits are turned into 32-bit numbers at once


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """nll_per_token: mean of -ln p over the trace's tokens, after its question.

    Null for an empty trace and where the recipe names no ``score_model``.

    Raises:
        UserError: torch or transformers is missing, or the folder is not a causal language model.
    """
    if settings.score_model is None or not frame.height:
        return pl.DataFrame({"nll_per_token": [None] * frame.height}, schema=COLUMNS)
    model, tokenizer = _model(settings.score_model)
    values = [_score(model, tokenizer, asked, trace) for asked, trace in _texts(frame)]
    return pl.DataFrame({"nll_per_token": values}, schema=COLUMNS)


def _texts(frame: pl.DataFrame) -> list[tuple[str, str]]:
    trace = pl.concat_str(pl.col("reasoning", "response").fill_null(""), separator="\n")
    return frame.select(all_turns().fill_null(""), trace=trace.str.strip_chars()).rows()


def _score(model: Any, tokenizer: Any, asked: str, trace: str) -> float | None:
    import torch

    context = tokenizer(f"{asked}\n\n" if asked else "\n")["input_ids"]
    said = tokenizer(trace, add_special_tokens=False)["input_ids"]
    longest = min(LONGEST, getattr(model.config, "max_position_embeddings", LONGEST))
    context = context[-longest // 2 :]
    said = said[: longest - len(context)]
    if not said:
        return None
    ids = torch.tensor([[*context, *said]], device=model.device)
    total = 0.0
    with torch.inference_mode():
        before = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1]
        for logits, token in zip(
            before.split(_STEP), ids[0, len(context) :].split(_STEP), strict=True
        ):
            total += float(
                torch.nn.functional.cross_entropy(logits.float(), token, reduction="sum")
            )
    return total / len(said)


@lru_cache(1)
def _model(folder: str) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as bars
    except ImportError:
        raise missing_extra(module="transformers", extra="train") from None
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        opened = open_model(folder, at="score_model").with_weights()
        tokenizer = AutoTokenizer.from_pretrained(opened.source, **opened.options)
        model = AutoModelForCausalLM.from_pretrained(
            opened.source, dtype="auto", use_safetensors=True, **opened.options
        )
    except (OSError, ValueError, TypeError) as error:
        msg = f"score_model: {folder}: not a causal language model: {first_line(error)}"
        raise UserError(msg) from None
    finally:
        if shown:
            bars.enable_progress_bar()
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer
