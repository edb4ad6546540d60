"""Makes rows of the lines of a table, once it is known which column plays which part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import polars as pl

from distill.files.answers import Answer, answers_in, split
from distill.files.columns import ENDS, FINISHES, IN_OBJECTS, TEACHERS, Columns
from distill.files.talk import (
    about,
    answer_in,
    asked_in,
    message,
    question_of,
    thoughts_in,
    turns_of,
)
from distill.files.values import first, number, opened, real, text, words
from distill.rows import DOMAINS, SCHEMA, Message, Row, row_id

REFERENCES = ("ground_truth", "reference_answer", "answer")  # in objects


def rows_of(line: Mapping[str, Any], columns: Columns, source: str) -> Iterator[Row]:
    """The rows that one line of a foreign table becomes: one for each of its answers, at least one.

    Where it cannot be read as an answer, the texts are empty, and the rules drop the row.
    """
    turns = turns_of(line.get(columns.talk)) if columns.talk else []
    asked, answers = _asked(line, columns, turns), _answers(line, columns, turns)
    # answers in between are part of what the last turn asks
    question = "\n".join(turn.content for turn in asked or () if turn.role != "system")
    beside = about(turns)
    source = text(line.get("source")) or text(beside.get("source")) or source
    gold = _gold(line, columns) or text(beside.get("reference_answer"))
    tests = None if gold else text(beside.get("test_case"))
    # A reference answer without a named check is compared as mathematics, which also compares
    # numbers and strings.
    guess = "math" if gold else "code" if tests else None
    verify = text(line.get("verify")) if "verify" in line else guess
    for i, answer in enumerate(answers):
        said = answer.reasoning + answer.response
        yield Row(
            id=text(first(line, ("custom_id", "id"))) or row_id(source, question or said),
            sample=number(line.get("sample")) or i,
            domain=text(line.get("domain")) or DOMAINS.get(verify or "", "general"),
            source=source,
            messages=asked,
            gold=gold or tests,
            verify=verify,
            reasoning=answer.reasoning,
            response=answer.response,
            finish_reason=_finish(line, columns, i) or answer.finish_reason,
            teacher=text(first(line, TEACHERS)) or answer.teacher,
            prompt_tokens=_count(line, "prompt_tokens", answer.prompt_tokens),
            reasoning_tokens=_count(line, "reasoning_tokens", answer.reasoning_tokens),
            completion_tokens=_count(line, "completion_tokens", answer.completion_tokens),
            cost_usd=real(line.get("cost_usd")),
        )


def own_values(line: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one line of our own schema; one of another type becomes None."""
    return {name: _own(line, name) for name in SCHEMA}


def sample_of(line: Mapping[str, Any], columns: Columns) -> int | None:
    """The number that the data gives a line's only answer; None if it gives none."""
    return None if columns.many else number(line.get("sample"))


def _own(line: Mapping[str, Any], name: str) -> Any:
    kind, value = SCHEMA[name], line.get(name)
    if kind == pl.String:
        return text(value)
    if kind == pl.UInt32:
        return number(value)
    if kind == pl.Float64:
        return real(value)
    value = opened(value)
    turns = [message(turn) for turn in value] if isinstance(value, list) else [None]
    return None if None in turns else [asdict(turn) for turn in turns if turn]


def _asked(
    line: Mapping[str, Any], columns: Columns, turns: Sequence[Any]
) -> tuple[Message, ...] | None:
    if not columns.mapped and (said := asked_in(turns)):
        return said
    question = question_of(line.get(columns.question)) if columns.question else None
    topic = text(line.get(columns.about)) if columns.about else None
    if not topic or (question and len(question) > 1):
        return question
    asked = [turn.content for turn in question or ()]
    return (Message(role="user", content="\n\n".join(filter(None, (*asked, topic)))),)


def _answers(line: Mapping[str, Any], columns: Columns, turns: Sequence[Any]) -> list[Answer]:
    thoughts = thoughts_in(line.get(columns.reasoning)) if columns.reasoning else []
    whole = "\n".join(thoughts)
    if columns.many:
        found = _listed(line, columns.many)
        each = thoughts if len(thoughts) == len(found) else [""] * len(found)
        read = [
            answers_in(value, own) or [Answer(reasoning=own)]
            for value, own in zip(found, each, strict=True)
        ]
        return list(chain.from_iterable(read)) or [Answer(reasoning=whole)]
    if found := answers_in(line.get(columns.response) if columns.response else None, whole):
        return found
    inner, said = answer_in(turns) or ("", "")
    return [split(whole or inner, said)]


def _listed(line: Mapping[str, Any], many: Sequence[str]) -> list[Any]:
    if len(many) > 1:
        return [line[name] for name in many if line.get(name) is not None]
    found = opened(line.get(many[0]))
    return found if isinstance(found, list) else []


def _gold(line: Mapping[str, Any], columns: Columns) -> str | None:
    if columns.gold is None or columns.gold == columns.talk:  # it is beside the turns
        return None
    value = line.get(columns.gold)
    if columns.gold in IN_OBJECTS:
        inner = opened(value)
        value = first(inner, REFERENCES) if isinstance(inner, dict) else None
    if isinstance(value, list) and len(value) == 1:  # OlympiadBench: a list of final answers
        value = value[0]
    return text(value)


def _finish(line: Mapping[str, Any], columns: Columns, i: int) -> str | None:
    """How the answer ended; several answers have a list of finish reasons beside them."""
    each = opened(line.get(FINISHES)) if columns.many else None
    if isinstance(each, list) and i < len(each):
        return words(each[i])
    return text(first(line, ENDS))


def _count(line: Mapping[str, Any], name: str, otherwise: int | None) -> int | None:
    found = number(line.get(name))
    return otherwise if found is None else found
