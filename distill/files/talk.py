"""Reads conversations in the forms in which others write them.

Lists of turns {role, content}, ShareGPT's {from, value}, Gemini's {role, parts}; content as a text
or in parts; the whole as JSON in a text, or as a table of columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.files.switches import is_switch
from distill.files.values import first, opened, text, words
from distill.rows import Message

TALK = ("messages", "conversations")
# Keys of an object that holds a conversation: of a request, of a log.
INSIDE = (*TALK, "contents", "conversation")
ROLES = ("role", "from", "speaker")
CONTENTS = ("content", "value", "parts", "text")
TEXTS = ("text", "input_text", "output_text")  # types of parts that are text
SPEAKER = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), "assistant"),
    "system": "system",
}
PLAIN = frozenset(SPEAKER.values())  # what most files say
OTHERS = ("developer", "tool", "function", "ipython", "observation")  # who else may speak
REQUESTS = ("prompt", "input")  # of a request without a conversation
# Under these a turn, a part of its content or an answer holds its thought.
THOUGHT = ("reasoning", "reasoning_content", "thinking", "thought")
ALSO_THOUGHT = ("reasoning_text", "think_content", "thoughts", "think")
IN_PIECES = ("reasoning_details", "thinking_blocks", "thinking_chunks")
_PIECE = ("text", "thinking", "reasoning", "thought", "content", "summary")
# Some write the thought as a turn of its own before the answer (gpt-oss: a channel).
THINKERS = (*THOUGHT, "think", "analysis")


def turns_of(value: Any) -> list[Any]:
    """The turns of a conversation, as they are; none if it is none."""
    found = opened(value)
    if isinstance(found, dict):
        inner = first(found, INSIDE)
        found = _across(found) if inner is None else opened(inner)
    return [turn for each in found for turn in _pair(each)] if isinstance(found, list) else []


def _pair(turn: Any) -> list[Any]:
    """The two turns of {human: …, assistant: …}; any other turn as it is."""
    if not isinstance(turn, dict) or role_of(turn) is not None:
        return [turn]
    said = {SPEAKER[name]: text for name, text in turn.items() if name in SPEAKER}
    both = "user" in said and "assistant" in said
    return [{"role": role, "content": text} for role, text in said.items()] if both else [turn]


def _across(table: Mapping[str, Any]) -> list[Any]:
    """The turns of a table {role: […], content: […]}, as datasets writes a sequence of turns."""
    columns = {name: each for name, each in table.items() if isinstance(each, list)}
    if not (set(columns) & set(ROLES) and set(columns) & set(CONTENTS)):
        return []
    rows = zip(*columns.values(), strict=False)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A turn that says something, and the thought that stands as a turn of its own before it."""

    message: Message
    turn: Mapping[str, Any]
    before: str = ""


def spoken(turns: Iterable[Any]) -> Iterator[Spoken]:
    """The turns without those that are thoughts or say nothing."""
    before = ""
    for turn in turns:
        thinks = _is_thinker(turn)
        if not thinks and (said := message(turn)) is not None:
            yield Spoken(message=said, turn=turn, before=before)
        before = _apart(turn) if thinks else ""


def asked_in(turns: Iterable[Any]) -> tuple[Message, ...]:
    """What was asked: all turns without the answer at the end, and without thoughts."""
    said = tuple(one.message for one in spoken(turns))
    return said[:-1] if said and said[-1].role == "assistant" else said


def answer_in(turns: Sequence[Any]) -> tuple[str, str] | None:
    """(thought, text) of the answer at the end; None if there is none. Tags are still in it."""
    last = turns[-1] if turns else None
    if not isinstance(last, dict) or not (role_of(last) == "assistant" or _is_thinker(last)):
        return None
    if _is_thinker(last):
        return _apart(last), ""
    thought, said = said_in(last)
    return thought or "\n".join(map(_apart, turns[-2:-1])), said


def _apart(turn: Any) -> str:
    """The thought that a turn is; "" if it is none."""
    return (joined(_content(turn)) or _deep(turn)) if _is_thinker(turn) else ""


def said_in(turn: Mapping[str, Any]) -> tuple[str, str]:
    """(thought, text) of one answering turn."""
    info = opened(turn.get("info"))  # AM-DeepSeek-R1-Distilled
    if isinstance(info, dict) and (said := words(info.get("answer_content"))):
        return words(info.get("think_content")) or "", said
    content = opened_parts(_content(turn))
    parts = content if isinstance(content, list) else []
    thoughts = [thought_of(turn), *(_deep(part) for part in parts if is_thought(part))]
    return "\n".join(dict.fromkeys(filter(None, thoughts))), joined(content) or ""


def thought_of(turn: Mapping[str, Any]) -> str:
    """The thought beside the text of a turn or a reply; the same one in two places is one."""
    said = [words(turn[name]) for name in (*THOUGHT, *ALSO_THOUGHT) if name in turn]
    found = dict.fromkeys(one.strip() for one in said if one and not is_switch(one))
    if not found:
        pieces = (value for name in (*IN_PIECES, *THOUGHT) if (value := turn.get(name)) is not None)
        found = dict.fromkeys(map(_deep, pieces))
    return "\n".join(filter(None, found))


def thoughts_in(value: Any) -> list[str]:
    """The thoughts in a value of a column: a text, a list, or an object; a switch is none."""
    found = opened(value)
    listed = found if isinstance(found, list) else [found if isinstance(found, dict) else value]
    texts = (_deep(each) if isinstance(each, dict) else words(each) for each in listed)
    return [said for said in texts if said and said.strip() and not is_switch(said)]


def user_text(talk: Any) -> str:
    """All that the user says in a conversation."""
    turns = filter(None, map(message, turns_of(talk)))
    return "\n".join(turn.content for turn in turns if turn.role == "user")


def question_of(value: Any) -> tuple[Message, ...] | None:
    """What a value asks: a text, a conversation whatever it ends with, or a request with one."""
    turns = tuple(filter(None, map(message, turns_of(value))))
    said = text(value)
    if said is not None:  # JSON in a text may be a question about it
        ours = turns and {turn.role for turn in turns} <= {*SPEAKER.values(), *OTHERS}
        return turns if ours else (Message(role="user", content=said),)
    if not turns and isinstance(value, dict):
        return question_of(first(value, REQUESTS))
    return turns or None


def message(turn: Any) -> Message | None:
    """One turn as ours; None if nobody says it, or nothing is said."""
    if not isinstance(turn, dict):
        return None
    role, content = role_of(turn), joined(_content(turn))
    return None if role is None or content is None else Message(role=role, content=content)


def about(turns: Sequence[Any]) -> dict[str, Any]:
    """What the turns' infos say of the row (AM-DeepSeek-R1-Distilled); the first one counts."""
    infos = [opened(turn.get("info")) for turn in turns if isinstance(turn, dict)]
    said = [info for info in infos if isinstance(info, dict)]
    return {key: value for info in reversed(said) for key, value in info.items() if value}


def role_of(turn: Mapping[str, Any]) -> str | None:
    """Who says it, under our name where there are several."""
    role = first(turn, ROLES)
    if not isinstance(role, str):
        return None
    return role if role in PLAIN else SPEAKER.get(role.strip().lower(), role)


def _is_thinker(turn: Any) -> bool:
    if not isinstance(turn, dict):
        return False
    role = role_of(turn)
    if role is None:
        return is_thought(turn)
    if turn.get("channel") == "analysis":
        return True
    return role not in PLAIN and role.strip().lower() in THINKERS


def _content(turn: Mapping[str, Any]) -> Any:
    return first(turn, CONTENTS)


def opened_parts(content: Any) -> Any:
    """Content in parts that was written as JSON in a text; any other as it is."""
    found = opened(content)
    parts = isinstance(found, list) and found and all(_is_part(part) for part in found)
    return found if parts else content


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and (is_thought(part) or part.get("type") in TEXTS)


def joined(content: Any) -> str | None:
    """The text of a turn, a string or a list of parts {type: text, text: …}; None if neither."""
    content = opened_parts(content)
    if isinstance(content, list):
        texts = [_said(part) for part in content if not is_thought(part)]
        return "\n".join(filter(None, texts)) if any(texts) else None
    return words(content)


def _said(part: Any) -> str | None:
    found = part.get("text") if isinstance(part, dict) else part
    return "\n".join(filter(None, map(_said, found))) if isinstance(found, list) else words(found)


def is_thought(part: Any) -> bool:
    """Whether a part of a turn's content is its thought."""
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    named = isinstance(kind, str) and kind.startswith(("reasoning", "thinking", "thought"))
    return named or part.get("thought") is True  # Gemini's


def _deep(value: Any) -> str:
    """The text of a thought in pieces: Mistral's is a list of parts, others' are objects."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_deep, value)))
    if isinstance(value, dict):
        return next(filter(None, (_deep(value.get(name)) for name in _PIECE)), "")
    found = text(value)
    return "" if found is None or not isinstance(value, str) or is_switch(found) else found.strip()
