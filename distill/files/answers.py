"""Reads answers in the forms in which others store them: texts, turns, and what an API returned.

Knows replies of the chat API (also in the lines of a Batch result), of OpenAI's Responses, of
Anthropic, Gemini and Ollama. A thought that is both in its field and in tags is read once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distill.files.talk import answer_in, role_of, said_in, thought_of, turns_of
from distill.files.values import first, number, opened, text, words
from distill.think import split_think

# A whole answer in these is the answer: what R1-Zero's template and AM's data ask for.
MARKS = (("<answer>", "</answer>"), ("<solution>", "</solution>"))
TEXTS = ("text", "response", "content", "output", "completion", "generation", "answer", "value")
ENDS = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason")
MAKERS = ("model", "modelVersion", "response_model", "generator")
ASKED = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count")
MADE = ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, and what its form says of it."""

    reasoning: str = ""
    response: str = ""
    finish_reason: str | None = None
    teacher: str | None = None
    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None
    completion_tokens: int | None = None


def split(thought: str, said: str) -> Answer:
    """An answer of a text, and of the thought that stands in a field of its own, if any."""
    inner, rest = split_think(said)
    thought = thought.strip()
    if not thought:
        return Answer(reasoning=inner, response=_bare(rest))
    own, after = split_think(thought)  # with tags in its own field too
    if own and (not after or _same(after, said) or _same(after, rest) or not said.strip()):
        thought, rest = own, rest if inner or said.strip() else after
        said = said if said.strip() else after
    again = inner and (_same(inner, thought) or _same(inner, own))
    return Answer(reasoning=thought, response=_bare(rest if again else said.strip()))


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def _bare(response: str) -> str:
    """A response without the marks that are around all of it."""
    for mark, end in MARKS:
        inside = response.removeprefix(mark).removesuffix(end)
        if len(inside) == len(response) - len(mark) - len(end) and mark not in inside:
            return inside.strip()
    return response


def answers_in(value: Any, thought: str = "") -> list[Answer]:
    """The answers that a value holds; none if it holds none.

    Args:
        value: a text, a turn, a conversation, a reply, or a list of any of these.
        thought: what stands in a column of its own.
    """
    found = _opened(value)
    if isinstance(found, dict):
        return [_with(thought, one) for one in _of_object(found)]
    if not isinstance(found, list):
        said = text(found)
        return [split(thought, said)] if said and said.strip() else []
    if any(isinstance(turn, dict) and role_of(turn) for turn in found):
        return _of_turns(found, thought)
    return [one for each in found for one in answers_in(each, thought) or [Answer()]]


def _opened(value: Any) -> Any:
    """A reply, or turns, that a CSV holds as text; an answer in JSON is a text like others."""
    found = opened(value)
    if found is value:
        return value
    if isinstance(found, dict):
        return found if any(_of_reply(_inside(found))) else value
    return found if answer_in(found) else value


def _of_turns(turns: list[Any], thought: str) -> list[Answer]:
    found = answer_in(turns)
    return [] if found is None else [split(thought or found[0], found[1])]


def _with(thought: str, answer: Answer) -> Answer:
    if not thought or answer.reasoning:
        return answer
    both = split(thought, answer.response)
    return replace(answer, reasoning=both.reasoning, response=both.response)


def _of_object(value: Mapping[str, Any]) -> list[Answer]:
    """Of a reply, a turn, a conversation, or any object with a text under a usual name."""
    inner = _inside(value)
    if found := list(_of_reply(inner)):
        return found
    if turns := turns_of(value):
        return _of_turns(turns, "")
    if role_of(inner):
        return _told(inner, *said_in(inner))
    said = first(inner, TEXTS)
    return _told(inner, thought_of(inner), words(said) or "") if words(said) else []


def _inside(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reply in a line of a batch, or in a log's {response: …}."""
    beside = {name: value[name] for name in (*ENDS, *MAKERS, *ASKED, *MADE) if name in value}
    for name in ("body", "response", "result", "message", "content"):
        if isinstance(inner := value.get(name), dict):
            return beside | dict(_inside(inner))
    return value


def _of_reply(reply: Mapping[str, Any]) -> Iterator[Answer]:
    """One answer for each of the reply's choices."""
    for choice in _objects(reply.get("choices")):  # the chat API
        turn = choice.get("message")
        said = said_in(turn) if isinstance(turn, dict) else ("", words(choice.get("text")) or "")
        yield from _told({**reply, **choice}, *said)
    for choice in _objects(reply.get("candidates")):  # Gemini
        turn = choice.get("content")
        said = said_in(turn) if isinstance(turn, dict) else ("", "")
        yield from _told({**reply, **choice}, *said)
    items = _objects(reply.get("output"))  # OpenAI's Responses
    if any(item.get("type") == "message" for item in items):
        yield from _told(reply, *_of_items(items))
    elif role_of(reply) == "assistant" and any(name in reply for name in ENDS):
        yield from _told(reply, *said_in(reply))  # Anthropic, Ollama


def _of_items(items: list[Any]) -> tuple[str, str]:
    thoughts = [said_in({"content": [item]})[0] for item in items if item.get("type") != "message"]
    texts = [said_in(item)[1] for item in items if item.get("type") == "message"]
    return "\n".join(filter(None, thoughts)), "\n".join(filter(None, texts))


def _objects(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _told(reply: Mapping[str, Any], thought: str, said: str) -> list[Answer]:
    usage = first(reply, ("usage", "usageMetadata"))
    counts = usage if isinstance(usage, dict) else reply
    details = first(counts, ("completion_tokens_details", "output_tokens_details"))
    thinking = details.get("reasoning_tokens") if isinstance(details, dict) else None
    made = replace(
        split(thought, said),
        finish_reason=_ended(reply),
        teacher=words(first(reply, MAKERS)),
        prompt_tokens=number(first(counts, ASKED)),
        completion_tokens=number(first(counts, MADE)),
        reasoning_tokens=number(thinking),
    )
    return [made]


def _ended(reply: Mapping[str, Any]) -> str | None:
    """How it ended; the Responses API says it in other words."""
    why = reply.get("incomplete_details")
    if isinstance(why, dict):
        return words(why.get("reason"))
    done = "stop" if reply.get("status") == "completed" else None
    return words(first(reply, ENDS)) or done
