"""Continues an answer that was cut: the turn that asks for the rest, and joining the parts.

What was cut within the thinking goes on thinking; what was cut after it goes on with the response.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distill.recipes.teachers import Continues
from distill.teachers.wire import Reply, parse
from distill.think import CLOSE, OPEN

# What was cut is longer than this, but for limits of a few tokens; shorter beginnings are repeated
# by chance.
ECHO_CHARS = 8


@dataclass(slots=True)
class _Joined:
    thought: str = ""
    response: str | None = None  # None: still thinking

    def begin(self, reasoning: str, content: str) -> None:
        if reasoning:
            self.thought, self.response = reasoning, content or None
            return
        opened = content.lstrip().startswith(OPEN)
        text = content.lstrip().removeprefix(OPEN) if opened else content
        thought, closed, rest = text.partition(CLOSE)
        if closed:
            self.thought, self.response = thought, rest
        elif opened:
            self.thought = text
        else:
            self.response = text

    def go_on(self, reasoning: str, content: str) -> None:
        if _echoes(self.thought, reasoning):
            self.begin(reasoning, content)
            return
        if self.response is not None:
            # a parser that has not seen the thought end takes more of the response for thought
            text = self.response + reasoning + content
            thought, closed, rest = text.partition(CLOSE)
            if closed and not self.thought:  # it had no opening tag: all of it was thought
                self.thought, text = thought, rest
            self.response = text
            return
        self.thought += reasoning
        if not reasoning:  # the cut may lie within the closing tag
            content, self.thought = self.thought + content, ""
        thought, closed, rest = content.partition(CLOSE)
        if closed:
            self.thought, self.response = self.thought + thought, rest
        elif reasoning and content:  # the server has separated them itself
            self.response = content
        else:
            self.thought += content

    def text(self) -> str:
        """The answer so far as a model writes it."""
        thinks = self.thought or self.response is None
        text = f"{OPEN}\n{self.thought.lstrip()}" if thinks else ""
        return text if self.response is None else text + (CLOSE if thinks else "") + self.response


def joined(bodies: Sequence[bytes]) -> Reply:
    """The one reply in the body of an answer and those of what went on with it.

    Tokens are summed; the finish reason is the last part's.

    Raises:
        MalformedReply: a body is not a completion.
    """
    if len(bodies) == 1:
        return parse(bodies[0])
    parts = [parse(body) for body in bodies]
    whole = _join(parts)
    return replace(
        parts[-1],
        reasoning=whole.thought.strip(),
        response=(whole.response or "").strip(),
        prompt_tokens=_sum([part.prompt_tokens for part in parts]),
        cached_tokens=_sum([part.cached_tokens for part in parts]),
        reasoning_tokens=_sum([part.reasoning_tokens for part in parts]),
        completion_tokens=_sum([part.completion_tokens for part in parts]),
        texts=(whole.thought, whole.response or ""),
    )


def said_anew(cut: Sequence[bytes], reply: Reply) -> str:
    """The text of a reply, thinking first, without what the bodies it goes on with said already."""
    thought, content = reply.texts
    if not cut:
        return thought + content
    whole = _join(map(parse, cut))
    known = [_bare(text) for text in (whole.thought, whole.text(), whole.response or "")]
    return "".join(_unknown(_bare(said), known) for said in (thought, content))


def _bare(text: str) -> str:
    return text.strip().removeprefix(OPEN).lstrip()


def _unknown(said: str, known: Sequence[str]) -> str:
    """What follows the longest beginning that is known."""
    return said[max(_alike(said, text) for text in known) :]


def _alike(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def turn_to_continue(
    bodies: Sequence[bytes], how: Continues
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the last turn of the request for the rest, what else the request says)."""
    whole = _join(map(parse, bodies))
    if how == "deepseek_prefix":
        turn = {"role": "assistant", "content": whole.response or "", "prefix": True}
        return {**turn, "reasoning_content": whole.thought}, {}
    switches = {"continue_final_message": True, "add_generation_prompt": False}
    return {"role": "assistant", "content": whole.text()}, (
        switches if how == "continue_final_message" else {}
    )


def _join(replies: Iterable[Reply]) -> _Joined:
    whole, parts = _Joined(), [reply.texts for reply in replies]
    if not any(reasoning for reasoning, _ in parts):  # inline: a cut may lie within a tag
        text = ""
        for _, content in parts:
            text = content if _echoes(text, content) else text + content
        parts = [("", text)]
    whole.begin(*parts[0])
    for part in parts[1:]:
        whole.go_on(*part)
    return whole


def _echoes(known: str, said: str) -> bool:
    """Whether a server gives the answer from its beginning, not the rest: llama.cpp does."""
    begun = _bare(known)
    return len(begun) >= ECHO_CHARS and _bare(said).startswith(begun)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
