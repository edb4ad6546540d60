"""Whether a trace has the shape of thought, end of thought, response.

Tags were removed when the row was made (``think``), so any that is left is stray or nested.
"""

import polars as pl

from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "thought_closed": pl.Boolean(),
    "think_shape": pl.String(),
    "response_chars": pl.UInt32(),
    "response_code_fences": pl.UInt32(),
    "think_tags": pl.UInt32(),
    "chat_tokens": pl.UInt32(),
}
VERSION = 3
COST = 0

# How thoughts are set apart: R1 and Qwen (think), others' prompts (thinking, thought, reasoning),
# Magistral ([THINK]), Kimi (◁think▷), OpenThoughts-114k (<|begin_of_thought|>).
_OPEN = (
    r"(?i:<(?:think(?:ing)?|thought|reasoning)>)|\[THINK\]|◁think▷"
    r"|<\|begin_of_(?:thought|solution)\|>"
)
_TAGS = (  # apart, because one pattern of both is three times as slow
    r"(?i)</?(?:think(?:ing)?|thought|reasoning)>",
    r"\[/?THINK\]|◁/?think▷|<\|(?:begin|end)_of_(?:thought|solution)\|>",
)
_EMPTY = r"(?i)^\s*<think(?:ing)?>\s*</think(?:ing)?>"
_FENCE = r"(?m)^[ \t]*(?:```|~~~)"
# Turn markers of the common chat formats: ChatML, Llama 3, Phi and Harmony <|…|>, DeepSeek <｜…｜>,
# Llama 2 and Mistral [INST], Gemma <start_of_turn>, the ends of a text of Llama 2, Gemma and T5.
_CHAT = (
    r"<\|[A-Za-z_0-9]{2,40}\|>|<｜[^｜<>]{1,40}｜>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]"
    r"|\[TOOL_CALLS\]|<</?SYS>>|<(?:start|end)_of_(?:turn|utterance)>|</s>|<(?:bos|eos)>"
)
_STRUCK = r"<s(?: [^>\n]*)?>[^\n]{0,200}?</s>"  # HTML's: the </s> in it ends no text


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """thought_closed: false for a thought without a response or with a stray tag.

    think_shape, the first that holds: ``empty`` (the response begins with a thought of nothing),
    ``leaked`` (any other tag in the response), ``nested`` (an opening tag in the thought),
    ``repeated`` (a closing one), ``open`` (no response after the thought), ``none``, ``closed``.
    """
    thought, response = (pl.col(name).fill_null("") for name in ("reasoning", "response"))
    markers = pl.sum_horizontal(
        text.str.count_matches(_CHAT) - text.str.count_matches(_STRUCK)
        for text in (thought, response)
    )
    said = response.str.strip_chars().str.len_chars()
    counted = frame.select(
        thinks=thought.str.strip_chars_start() != "",
        within=_tags(thought),
        after=_tags(response),
        thought=thought,
        empty=response.str.contains(_EMPTY),
        response_chars=said.cast(pl.UInt32),
        chat_tokens=markers.cast(pl.UInt32),
        fences=response.str.count_matches(_FENCE).cast(pl.UInt32),
    )
    think_tags = pl.col("within") + pl.col("after")
    spoke = pl.col("response_chars") > 0
    return counted.select(
        thought_closed=(~pl.col("thinks") | spoke) & (think_tags == 0),
        think_shape=_shape(spoke),
        response_chars="response_chars",
        response_code_fences="fences",
        think_tags=think_tags.cast(pl.UInt32),
        chat_tokens="chat_tokens",
    )


def _tags(text: pl.Expr) -> pl.Expr:
    return pl.sum_horizontal(text.str.count_matches(pattern) for pattern in _TAGS)


def _shape(spoke: pl.Expr) -> pl.Expr:
    cases = {
        "empty": pl.col("empty"),
        "leaked": pl.col("after") > 0,
        "nested": pl.when(pl.col("within") > 0).then(pl.col("thought")).str.contains(_OPEN),
        "repeated": pl.col("within") > 0,
        "open": pl.col("thinks") & ~spoke,
        "none": ~pl.col("thinks"),
    }
    named = [pl.when(holds).then(pl.lit(name)) for name, holds in cases.items()]
    return pl.coalesce(*named, pl.lit("closed"))
