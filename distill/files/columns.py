"""Other people's column names, mapped to ours. Refuses what could mean two things.

Knows: our own schema; question/problem/prompt with a reference answer; reasoning_content; inline
``<think>``; ``messages`` that end with the assistant; ShareGPT ``conversations``; several
``generations`` a row (Open R1).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.rows import SCHEMA, Message, Row, row_id
from distill.think import split_think

QUESTION = ("question", "problem", "prompt", "instruction", "query")
GOLD = ("gold", "answer", "expected_answer", "ground_truth", "final_answer")
REASONING = ("reasoning", "reasoning_content", "thinking", "thought")
RESPONSE = ("response", "content", "output", "completion", "generation", "generated_text")
TALK = ("messages", "conversations")
MANY = ("generations",)
SPEAKER = {
    "human": "user",
    "gpt": "assistant",
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column of a foreign table plays which part; None where none does."""

    question: str | None
    gold: str | None
    reasoning: str | None
    response: str | None
    talk: str | None  # a whole conversation
    many: str | None  # a list of completions


def columns_of(names: Sequence[str], where: str) -> Columns:
    """The part that each column plays.

    Raises:
        UserError: no column holds an answer, or two columns could play the same part.
    """

    def one(known: Sequence[str], part: str) -> str | None:
        found = [name for name in known if name in names]
        if len(found) > 1:
            msg = (
                f"{where}: {' and '.join(found)} could both be the {part}; rename or drop all but "
                f"one (found columns: {', '.join(names)})"
            )
            raise UserError(msg)
        return found[0] if found else None

    found = Columns(
        question=one(QUESTION, "question"),
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
    """The rows that one line of a foreign table stands for: one, or one for each of its answers."""
    asked, completions = _asked(line, columns), _completions(line, columns)
    question = next((m.content for m in reversed(asked or ()) if m.role == "user"), "")
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
            # A reference answer without a named check is compared as mathematics: the numbers and
            # strings it accepts are also equal as mathematics.
            verify=_text(line, "verify") if "verify" in line else ("math" if gold else None),
            reasoning=reasoning,
            response=response,
            finish_reason=_text(line, "finish_reason"),
            teacher=_text(line, "teacher") or _text(line, "model"),
            prompt_tokens=_number(line, "prompt_tokens"),
            reasoning_tokens=_number(line, "reasoning_tokens"),
            completion_tokens=_number(line, "completion_tokens"),
            cost_usd=None,
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
        return float(value) if isinstance(value, (int, float)) else None
    turns = [_turn(turn) for turn in value] if isinstance(value, list) else [None]
    return None if None in turns else [asdict(turn) for turn in turns if turn]


def _asked(line: Mapping[str, Any], columns: Columns) -> tuple[Message, ...] | None:
    turns = _turns(line, columns)
    if turns and turns[-1].role == "assistant":  # an answer is not what was asked
        turns = turns[:-1]
    if turns:
        return turns
    question = line.get(columns.question) if columns.question else None
    if isinstance(question, list):  # a "prompt" column may hold a conversation
        return tuple(filter(None, map(_turn, question))) or None
    return (Message(role="user", content=question),) if isinstance(question, str) else None


def _completions(line: Mapping[str, Any], columns: Columns) -> list[tuple[str, str]]:
    if columns.many:
        found = line.get(columns.many)
        if not isinstance(found, list):
            return [("", "")]
        return [split_think(text) if isinstance(text, str) else ("", "") for text in found]
    if columns.response:
        text = _text(line, columns.response) or ""
    else:
        turns = _turns(line, columns)
        text = turns[-1].content if turns and turns[-1].role == "assistant" else ""
    reasoning = _text(line, columns.reasoning)
    return [(reasoning.strip(), text.strip())] if reasoning else [split_think(text)]


def _turns(line: Mapping[str, Any], columns: Columns) -> tuple[Message, ...]:
    talk = line.get(columns.talk) if columns.talk else None
    return tuple(filter(None, map(_turn, talk))) if isinstance(talk, list) else ()


def _turn(turn: Any) -> Message | None:
    if not isinstance(turn, dict):
        return None
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or not isinstance(content, str):
        return None
    return Message(role=SPEAKER.get(role, role), content=content)


def _text(line: Mapping[str, Any], name: str | None) -> str | None:
    value = line.get(name) if name else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _number(line: Mapping[str, Any], name: str) -> int | None:
    value = line.get(name)
    if isinstance(value, float) and value.is_integer():  # pandas writes 12.0 beside nulls
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
    return value if whole else None
