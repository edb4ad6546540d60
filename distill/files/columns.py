"""Maps other people's column names to ours, and refuses ambiguous ones.

Knows: our own schema; question/problem/prompt with a reference answer; Alpaca's instruction with an
input; reasoning_content; inline ``<think>`` and its like; ``messages`` that end with the assistant;
ShareGPT ``conversations``; several ``generations`` per row (Open R1). Case does not matter.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.rows import SCHEMA, Message, Row, row_id
from distill.think import split_think

QUESTION = ("question", "problem", "prompt", "instruction", "query", "input")
ALPACA = ("instruction", "input")  # the second holds what the first is about, or is empty
GOLD = ("gold", "answer", "expected_answer", "ground_truth", "final_answer")
REASONING = ("reasoning", "reasoning_content", "thinking", "thought")
RESPONSE = ("response", "content", "output", "completion", "generation", "generated_text")
TALK = ("messages", "conversations")
MANY = ("generations",)
FINISHES = "finish_reasons"  # Open R1: one for each of the generations
OURS = ("id", "sample", "reasoning", "response")  # a table with these is read as our schema
SPEAKER = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), "assistant"),
    "system": "system",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column of a foreign table plays which part; None if none does."""

    question: str | None
    about: str | None  # what an Alpaca instruction is about
    gold: str | None
    reasoning: str | None
    response: str | None
    talk: str | None  # a whole conversation
    many: str | None  # a list of completions


def are_ours(names: Iterable[str]) -> bool:
    """Whether these are the columns of our own schema.

    They are not if the question or the reference answer is only in a column of another name.
    """
    there = set(names)
    lower = {name.lower() for name in there}
    asked = "messages" in there or lower.isdisjoint(QUESTION)
    return set(OURS) <= there and asked and ("gold" in there or lower.isdisjoint(GOLD))


def columns_of(names: Sequence[str], where: str) -> Columns:
    """The part that each column plays.

    Raises:
        UserError: no column holds an answer, or two columns could play the same part.
    """

    def one(known: Sequence[str], part: str) -> str | None:
        found = [name for wanted in known for name in names if name.lower() == wanted]
        if len(found) > 1:
            msg = (
                f"{where}: {' and '.join(found)} could both be the {part}; rename or drop all but "
                f"one (found columns: {', '.join(names)})"
            )
            raise UserError(msg)
        return found[0] if found else None

    alpaca = set(ALPACA) <= {name.lower() for name in names}
    found = Columns(
        question=one(QUESTION[:-1] if alpaca else QUESTION, "question"),
        about=one(ALPACA[1:], "input") if alpaca else None,
        gold=one(GOLD, "reference answer"),
        reasoning=one(REASONING, "reasoning"),
        response=one(RESPONSE, "response"),
        talk=one(TALK, "conversation"),
        many=one(MANY, "list of answers"),
    )
    one((*RESPONSE, *MANY), "answer")
    if not (found.response or found.talk or found.many):
        wanted = ", ".join((*RESPONSE, *TALK, *MANY))
        there = ", ".join(names) or "none"
        msg = f"{where}: no column holds the answers; found {there}; wanted one of {wanted}"
        raise UserError(msg)
    return found


def rows_of(line: Mapping[str, Any], columns: Columns, source: str) -> Iterator[Row]:
    """The rows that one line of a foreign table becomes: one for each of its answers."""
    asked, completions = _asked(line, columns), _completions(line, columns)
    # answers in between are part of what the last turn asks
    question = "\n".join(turn.content for turn in asked or () if turn.role != "system")
    source = _text(line, "source") or source
    gold = _text(line, columns.gold)
    for i, (reasoning, response) in enumerate(completions):
        yield Row(
            id=_text(line, "id") or row_id(source, question or reasoning + response),
            sample=_number(line, "sample") or i,
            domain=_text(line, "domain") or "general",
            source=source,
            messages=asked,
            gold=gold,
            # A reference answer without a named check is compared as mathematics, which also
            # compares numbers and strings.
            verify=_text(line, "verify") if "verify" in line else ("math" if gold else None),
            reasoning=reasoning,
            response=response,
            finish_reason=_finish(line, columns, i),
            teacher=_text(line, "teacher") or _text(line, "model"),
            prompt_tokens=_number(line, "prompt_tokens"),
            reasoning_tokens=_number(line, "reasoning_tokens"),
            completion_tokens=_number(line, "completion_tokens"),
            cost_usd=_float(line.get("cost_usd")),
        )


def own_values(line: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one line of our own schema; one of another type becomes None."""
    return {name: _own(line, name) for name in SCHEMA}


def _own(line: Mapping[str, Any], name: str) -> Any:
    kind, value = SCHEMA[name], line.get(name)
    if kind == pl.String:
        return _text(line, name)
    if kind == pl.UInt32:
        return _number(line, name)
    if kind == pl.Float64:
        return _float(value)
    turns = [_turn(turn) for turn in value] if isinstance(value, list) else [None]
    return None if None in turns else [asdict(turn) for turn in turns if turn]


def _asked(line: Mapping[str, Any], columns: Columns) -> tuple[Message, ...] | None:
    talk = line.get(columns.talk) if columns.talk else None
    turns = tuple(filter(None, map(_turn, talk))) if isinstance(talk, list) else ()
    if turns and turns[-1].role == "assistant":  # an answer is not what was asked
        turns = turns[:-1]
    if turns:
        return turns
    question = line.get(columns.question) if columns.question else None
    if isinstance(question, list):  # a "prompt" column may hold a conversation
        return tuple(filter(None, map(_turn, question))) or None
    text, about = _text(line, columns.question), _text(line, columns.about)
    whole = "\n\n".join(part for part in (text, about) if part)
    return (Message(role="user", content=whole),) if whole or text is not None else None


def _completions(line: Mapping[str, Any], columns: Columns) -> list[tuple[str, str]]:
    if columns.many:
        found = line.get(columns.many)
        if not isinstance(found, list):
            return [("", "")]
        return [split_think(text) if isinstance(text, str) else ("", "") for text in found]
    thought = _text(line, columns.reasoning)
    if columns.response:
        text = _text(line, columns.response) or ""
    else:
        inner, text = _answer(line.get(columns.talk) if columns.talk else None)
        thought = thought or inner
    return [(thought.strip(), text.strip())] if thought else [split_think(text)]


def _answer(talk: Any) -> tuple[str, str]:
    """(thought, text) of the last turn, if it is the assistant's; text may still hold <think>."""
    last = talk[-1] if isinstance(talk, list) and talk else None
    if not isinstance(last, dict) or _role(last) != "assistant":
        return "", ""
    content = _content(last)
    parts = content if isinstance(content, list) else []
    said = [_text(last, name) for name in REASONING]
    said += [_part(part, part.get("type")) for part in parts if _is_thought(part)]
    return "\n".join(filter(None, said)), _joined(content) or ""


def user_text(talk: Iterable[Any]) -> str:
    """All that the user says in a conversation."""
    turns = filter(None, map(_turn, talk))
    return "\n".join(turn.content for turn in turns if turn.role == "user")


def _turn(turn: Any) -> Message | None:
    if not isinstance(turn, dict):
        return None
    role, content = _role(turn), _joined(_content(turn))
    if role is None or content is None:
        return None
    return Message(role=role, content=content)


def _role(turn: Mapping[str, Any]) -> str | None:
    role = turn.get("role", turn.get("from"))
    return SPEAKER.get(role.strip().lower(), role) if isinstance(role, str) else None


def _content(turn: Mapping[str, Any]) -> Any:
    return turn.get("content", turn.get("value"))


def _joined(content: Any) -> str | None:
    """The text of a turn, a string or a list of parts {type: text, text: …}; None if neither."""
    if isinstance(content, list):
        texts = [_part(part, "text") for part in content if not _is_thought(part)]
        return "\n".join(filter(None, texts)) if any(texts) else None
    return _words(content)


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in REASONING


def _part(part: Any, name: Any) -> str | None:
    """The text of one part; Mistral's thinking is itself a list of parts."""
    found = part.get(name, part.get("text")) if isinstance(part, dict) else part
    if not isinstance(found, list):
        return _words(found)
    texts = [_words(inner.get("text")) for inner in found if isinstance(inner, dict)]
    return "\n".join(filter(None, texts))


def _words(value: Any) -> str | None:
    if isinstance(value, bytes):  # Parquet files of some writers do not say that it is text
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _text(line: Mapping[str, Any], name: str | None) -> str | None:
    value = line.get(name) if name else None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return _words(value)


def _float(value: Any) -> float | None:
    number = float(value) if isinstance(value, (int, float)) else math.nan
    return number if math.isfinite(number) else None


def _finish(line: Mapping[str, Any], columns: Columns, i: int) -> str | None:
    """How the answer ended; several answers have a list of finish reasons beside them."""
    each = line.get(FINISHES) if columns.many else None
    if isinstance(each, list) and i < len(each):
        return _words(each[i])
    return _text(line, "finish_reason")


def _number(line: Mapping[str, Any], name: str) -> int | None:
    value = line.get(name)
    if isinstance(value, float) and value.is_integer():  # pandas writes 12.0 beside nulls
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
    return value if whole else None


def sample_of(line: Mapping[str, Any], columns: Columns) -> int | None:
    """The number that the data gives a line's only answer; None if it gives none."""
    return None if columns.many else _number(line, "sample")
