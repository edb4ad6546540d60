"""Finds the control tokens of a tokenizer: what no text may hold, and one to pad with."""

import re
from typing import Any

from distill.think import CLOSE, OPEN

# Tokens that model families reserve for padding or never write: Llama 3.1 and later, Qwen2.5 and
# SmolLM2, Gemma and others, DeepSeek. Padding with the end of turn would work here, but would hide
# it from every later tool that masks padding.
PADS = ("<|finetune_right_pad_id|>", "<|endoftext|>", "<pad>", "[PAD]", "<|pad|>", "<｜▁pad▁｜>")
# Llama 3 (April 2024) has none of PADS, but 250 tokens that mean nothing.
RESERVED = re.compile(r"<\|reserved_special_token_\d+\|>")
# Of the tokens that are not marked as special (DeepSeek's turns are not): what people and models
# write, and some tokenizers have as one token. Spaces and line breaks (Phi, Gemma), words, and
# plain tags such as <think>, <b> or <tool_call>; a tag with a number (<unused7>) is reserved.
WRITTEN = re.compile(r"\s+|[\w .,▁-]+|</?[A-Za-z]+(_[A-Za-z]+)*>")
TURN = re.compile(r"</?(start|end)_of_[a-z_]+>")  # a plain tag, but of Gemma's turns


def control_text(tokenizer: Any) -> re.Pattern[str]:
    """Matches text that the tokenizer would read as a control token."""
    tokens = tokenizer.added_tokens_decoder.values()
    names = {token.content for token in tokens if token.special or not _is_text(token.content)}
    names -= {OPEN, CLOSE, ""}  # one token for DeepSeek and Qwen3; it is trained as that one
    longest = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest)) or r"(?!)")


def _is_text(content: str) -> bool:
    return WRITTEN.fullmatch(content) is not None and TURN.fullmatch(content) is None


def pad_token(tokenizer: Any) -> str:
    """The tokenizer's own pad; another token if that is the end of turn, which is the last choice.

    ``tokenizer`` has its end of turn as ``eos_token``.
    """
    own = tokenizer.pad_token
    if own is not None and own != tokenizer.eos_token:
        return str(own)
    names = tokenizer.added_tokens_encoder
    reserved = (name for name in names if RESERVED.fullmatch(name))
    candidates = (*(name for name in PADS if name in names), *reserved)
    chosen = next((name for name in candidates if name != tokenizer.eos_token), None)
    return str(chosen or tokenizer.eos_token)
