"""What a tokenizer's chat template and its control tokens mean for a text."""

import re
from typing import Any

# Llama 3.2's template puts today's date into the system prompt, so the same question would differ
# every day. 26 Jul 2024 is the date that Llama 3.1's own template falls back to.
PIN = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro %}"


def pinned(template: str) -> str:
    """The same template, in which it is always one day."""
    return PIN + template if "strftime_now" in template else template


def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches text that the tokenizer would read as a control token, such as ``<|im_end|>``."""
    tokens = tokenizer.added_tokens_decoder.values()
    names = [re.escape(token.content) for token in tokens if token.special]
    return re.compile("|".join(names) or r"(?!)")
