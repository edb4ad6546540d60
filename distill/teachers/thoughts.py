"""Where the thought of a chat message is, and its answer without it.

Servers put the thought in a field of its own, in parts of the content, or inline in tags; several
of these at once hold the same thought, which is taken once.
"""

from collections.abc import Iterable
from typing import Any

from distill.think import CLOSE, split_think

# reasoning: vLLM, OpenRouter, Together, Ollama. reasoning_content: DeepSeek, SGLang, llama.cpp,
# LiteLLM. thinking: Ollama's native name. reasoning_text: GitHub Copilot. The others: gateways.
FIELDS = (
    *("reasoning", "reasoning_content", "thinking", "reasoning_text", "thinking_content"),
    *("thought", "thoughts", "chain_of_thought", "reasoningContent"),
)
# Lists that repeat a field in pieces, and may be all there is. reasoning_details: OpenRouter;
# thinking_blocks: LiteLLM, for Anthropic; provider_specific_fields: where LiteLLM keeps its copy.
LISTS = (
    *("reasoning_details", "thinking_blocks", "provider_specific_fields", "reasoning_summary"),
    "reasoningContentBlocks",
)
# The names of a thought's text in an object: the text itself before a summary of it. What is
# encrypted or signed (data, signature) is no text.
TEXTS = ("text", "content", *FIELDS, "reasoningText", "summary", "summary_text")
# The types of a content's parts that are not the answer begin so: thinking (Mistral, Anthropic,
# Cohere), redacted_thinking, reasoning, reasoning_text, reasoning.summary, thought.
PARTS = ("think", "redacted", "reason", "thought")
TAGS = ("<", "[", "◁")  # how one begins
# How much was to be thought, which some servers repeat in the field of the thought.
EFFORTS = (
    *("on", "off", "none", "minimal", "low", "medium", "high", "xhigh", "auto", "enabled"),
    *("disabled", "true", "false"),
)
DEPTH = 6  # objects within objects: Bedrock's lie under three


def said_in(message: dict[str, Any]) -> tuple[list[str], str]:
    """(the thoughts as they came, different ones, the text of the answer).

    There is more than one thought only if none of them holds the others.
    """
    inline, content = _content(message.get("content") or message.get("refusal"))
    fields = (_text(message[name]) for name in FIELDS if name in message)
    given = [
        inline,
        *("" if len(text) < 10 and text.lower() in EFFORTS else text for text in fields),
    ]
    found = _different(given)
    for name in LISTS:
        if name in message:
            both = _different([*found, _text(message[name])])
            found = both if len(both) == 1 else found
    if len(found) == 1:
        tagged, rest = split_think(content)
        same = _holds(found[0], tagged) or _holds(tagged, found[0])
        if same and rest != content.strip():
            found, content = _different([found[0], tagged]), rest
    return found or list(filter(None, given))[:1], content  # blanks may be a piece of a thought


def untagged(thought: str, answer: str) -> str:
    """A thought without the tags that came with it in its field, and the answer behind them.

    >>> untagged("<think>two and two</think>", "4"), untagged("write </think> here", "4")
    ('two and two', 'write </think> here')
    """
    if thought[:1] not in TAGS and not thought.endswith(CLOSE):
        return thought
    inner, rest = split_think(thought)
    return inner if inner and rest in ("", answer) else thought


def joined(values: Iterable[Any]) -> Any:
    """One value of a field that came bit by bit: a text, or all the parts in one list."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in there):
        return "".join(there)
    return [part for value in there for part in (value if isinstance(value, list) else [value])]


def _different(texts: Iterable[str]) -> list[str]:
    """Those with something in them, without one that another one holds."""
    kept: list[str] = []
    for text in texts:
        if not text.strip() or any(_holds(other, text) for other in kept):
            continue
        kept = [*(other for other in kept if not _holds(text, other)), text]
    return kept


def _holds(whole: str, part: str) -> bool:
    """Whether one text is, or has in it, the other, however their lines are broken."""
    if whole == part or part.strip() in whole:
        return True
    return "".join(part.split()) in "".join(whole.split())


def _content(content: Any) -> tuple[str, str]:
    """(thinking, text) of the content: a string, or parts such as {type: text, text: …}."""
    if isinstance(content, str):
        return "", content
    parts = content if isinstance(content, list) else [content]
    thought = "".join(_text(part) for part in parts if _is_thought(part))
    return thought, "".join(_plain(part) for part in parts if not _is_thought(part))


def _is_thought(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    named = isinstance(kind, str) and kind.startswith(PARTS)
    # Gemini marks a part of text; Bedrock's parts have a name and no type
    return named or part.get("thought") is True or "reasoningContent" in part


def _plain(part: Any) -> str:
    """The text of a part: of OpenAI's assistants it is an object with a value."""
    for name in ("text", "content", "value", "refusal"):
        part = part.get(name, part) if isinstance(part, dict) else part
    return part if isinstance(part, str) else ""


def _text(value: Any, depth: int = DEPTH) -> str:
    """The text of a thought: a string, parts one after the other, or what an object holds."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):
        return _listed(value, depth - 1)
    if not isinstance(value, dict):
        return ""
    named = (value[name] for name in (*TEXTS, "reasoningContent", *LISTS) if name in value)
    return next(filter(None, (_text(one, depth - 1) for one in named)), "")


def _listed(parts: list[Any], depth: int) -> str:
    """The texts themselves, if there are any; else their summaries."""
    whole = [part for part in parts if not _is_summary(part)]
    return "".join(_text(part, depth) for part in whole) or "".join(
        _text(part, depth) for part in parts
    )


def _is_summary(part: Any) -> bool:
    return isinstance(part, dict) and "summary" in str(part.get("type", ""))
