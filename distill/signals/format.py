"""Whether a trace has the shape of thought, end of thought, response. Does not read the thought.

Tags were taken off when the row was made (``think``), so any that is left is stray or nested.
"""

import polars as pl

COLUMNS: dict[str, pl.DataType] = {
    "thought_closed": pl.Boolean(),
    "response_chars": pl.UInt32(),
    "think_tags": pl.UInt32(),
    "chat_tokens": pl.UInt32(),
}
VERSION = 1
COST = 0

_THINK = r"(?i)</?think(?:ing)?>"
# Turn markers of the common chat formats: ChatML, Llama 3 and Phi <|…|>, DeepSeek <｜…｜>,
# Llama 2 and Mistral [INST], Gemma <start_of_turn>.
_CHAT = (
    r"<\|[A-Za-z_0-9]{2,40}\|>|<｜[^｜<>]{1,40}｜>|\[/?INST\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>|</s>|<(?:bos|eos)>"
)


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """thought_closed: a thought without a response, or with a stray tag, did not end."""
    texts = [pl.col(name).fill_null("") for name in ("reasoning", "response")]
    tags = pl.sum_horizontal(text.str.count_matches(_THINK) for text in texts)
    markers = pl.sum_horizontal(text.str.count_matches(_CHAT) for text in texts)
    thought, response = (text.str.strip_chars().str.len_chars() for text in texts)
    return frame.select(
        thought_closed=((thought == 0) | (response > 0)) & (tags == 0),
        response_chars=response.cast(pl.UInt32),
        think_tags=tags.cast(pl.UInt32),
        chat_tokens=markers.cast(pl.UInt32),
    )
