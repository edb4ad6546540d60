"""Tells which column of other people's data plays which part, and refuses ambiguous ones.

First come the names that mean one thing; the others count only where none of those is filled. Case,
spaces and underscores do not matter. A column of switches (``reasoning: on``) is no thought.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from distill.errors import UserError
from distill.files.switches import switches_in
from distill.files.talk import TALK, THOUGHT, about, answer_in, thoughts_in, turns_of
from distill.files.values import opened, words
from distill.think import OPEN, OTHERS, split_think

Lines = Sequence[Mapping[str, Any]]
QUESTION = ("question", "problem", "prompt", "instruction", "query", "input")
ALPACA = ("instruction", "input")  # the second holds what the first is about, or is empty
GOLD = ("gold", "answer", "expected_answer", "ground_truth", "final_answer")
REASONING = THOUGHT
RESPONSE = ("response", "content", "output", "completion", "generation", "generated_text")
MANY = ("generations",)
FINISHES = "finish_reasons"  # Open R1: one for each of the generations
OURS = ("id", "sample", "reasoning", "response")  # a table with these is read as our schema

# Names that count only where no column of those above is filled.
ALSO_QUESTION = ("user_prompt", "user_input", "user", "human", "request", "body", "model_input")
ALSO_TALK = ("conversation", "dialogue", "dialog", "chat", "contents")
ALSO_REASONING = (
    *("cot", "complex_cot", "long_cot", "chain_of_thought", "thoughts", "think", "rationale"),
    *("thought_process", "think_content", "thinking_content", "thinking_process", "scratchpad"),
    *("reasoning_text", "reasoning_trace", "reasoning_traces", "reasoning_process"),
    *("thinking_trace", "thinking_trajectory", "thinking_trajectories", "reasoning_chain"),
)
ALSO_RESPONSE = (
    *("answer_content", "response_text", "final_response", "output_text", "assistant_response"),
    *("model_answer", "model_output", "model_response", "llm_response", "llm_output", "attempt"),
    *("generated_solution", "generated_answer", "generated_response", "assistant", "result"),
)
CHOICES = ("choices", "candidates")  # of a reply; texts under these names are options
ALSO_MANY = ("responses", "completions", "outputs", "samples", *CHOICES)
ALSO_GOLD = (
    *("reference_answer", "correct_answer", "gold_answer", "golden_answer", "reference"),
    *("ground_truth_answer", "ground_truth_solution", "reference_solution"),
    "gold_standard_solution",
)
IN_OBJECTS = ("reward_model", "verification_info")  # verl's and Prime Intellect's references
# deepseek_reasoning with deepseek_solution: a thought and its answer under one vendor's name.
PAIRED = ("solution", "attempt", "answer", "response", "content", "output", "completion", "text")
TEACHERS = ("teacher", "model", "generator", "generation_model", "model_name", "teacher_model")
ENDS = ("finish_reason", "stop_reason", "done_reason")
# What rows use under its own name.
KNOWN = (
    *("id", "custom_id", "sample", "source", "domain", "verify", *TEACHERS, *ENDS, FINISHES),
    *("prompt_tokens", "reasoning_tokens", "completion_tokens", "cost_usd"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column of a foreign table plays which part; None if none does."""

    question: str | None = None
    about: str | None = None  # what an Alpaca instruction is about
    gold: str | None = None
    reasoning: str | None = None
    response: str | None = None
    talk: str | None = None  # a whole conversation
    many: tuple[str, ...] = ()  # a list of completions, or several columns of one each
    switch: str | None = None  # a column of the thought's name that only switches it
    mapped: bool = False  # whether the user has named the question's column

    def said(self, names: Iterable[str]) -> str:
        """One line for a person: what each part is read from, and which columns are not used."""
        prompt = self.question if self.mapped else self.talk or self.question
        asked = [name for name in (prompt, self.about) if name]
        answers = " and ".join(self.many) or self.response or self.talk
        parts = {
            "prompt": " and ".join(asked) or "nothing",
            "thought": self.reasoning or f"inside {answers}",
            "response": answers,
            "reference": self.gold or "nothing",
        }
        line = ", ".join(f"the {part} from {name}" for part, name in parts.items())
        used = {*self.many, *(getattr(self, f.name) for f in fields(self)), *KNOWN}
        unused = [name for name in names if name not in used]
        line += f"; {self.switch} is a switch, not a thought" if self.switch else ""
        return line + (f"; not used: {', '.join(unused)}" if unused else "")


def are_ours(names: Iterable[str]) -> bool:
    """Whether these are the columns of our own schema.

    They are not if the question or the reference answer is only in a column of another name.
    """
    there = set(names)
    lower = {name.lower() for name in there}
    asked = "messages" in there or lower.isdisjoint(QUESTION)
    return set(OURS) <= there and asked and ("gold" in there or lower.isdisjoint(GOLD))


def columns_of(
    lines: Lines, where: str, given: Mapping[str, str] | None = None, used: Iterable[str] = ()
) -> Columns:
    """The part that each column plays in these lines.

    Args:
        lines: of the file.
        where: the file, for errors.
        given: parts that the user has named, with their columns.
        used: columns that these are made of.

    Raises:
        UserError: no column holds an answer, or two columns could play the same part.
    """
    return _Finder(lines, where, dict(given or {}), used).columns()


class _Finder:
    """The columns of some lines, and which of them are filled."""

    def __init__(
        self, lines: Lines, where: str, given: dict[str, str], used: Iterable[str]
    ) -> None:
        self.lines, self.where, self.given = lines, where, given
        self.used = tuple(used)
        mapped = {*given.values(), *self.used}
        every = dict.fromkeys(name for line in lines for name in line)
        self.names = [name for name in every if name not in mapped]
        self.filled = {n for n in every if any(_is_filled(line.get(n)) for line in lines)}

    def columns(self) -> Columns:
        given = self.given.get
        alpaca = set(ALPACA) <= {name.lower() for name in self.names}
        questions = QUESTION[:-1] if alpaca else QUESTION
        needed = not {"question", "response"} <= set(self.given)
        talk = self.one("conversation", TALK, ALSO_TALK) if needed else None
        reasoning, switch = self.thought()
        response = given("response") or self.one("response", RESPONSE)
        many = () if "response" in self.given else self.many(response, talk)
        # a conversation with an answer is one; other names of answers count where there is none
        answered = bool(many or (response in self.filled) or self.answers(talk))
        response = (
            response if answered else self.also_response(reasoning or switch, talk) or response
        )
        gold = given("gold") or self.gold(response) or self.reference_in(talk)
        if not (response or talk or many):
            raise self.no_answer()
        return Columns(
            question=given("question") or self.one("question", questions, ALSO_QUESTION),
            about=self.one("input", ALPACA[1:]) if alpaca and not given("question") else None,
            gold=gold,
            reasoning=reasoning,
            response=response,
            talk=talk,
            many=many,
            switch=switch,
            mapped="question" in self.given,
        )

    def one(self, part: str, *tiers: Sequence[str], without: Iterable[str] = ()) -> str | None:
        """The column of that part: of the first names of which one is filled, else is there."""
        met = [self.named(tier, without) for tier in tiers]
        filled = [[name for name in found if name in self.filled] for found in met]
        found = next(filter(None, (*filled, *met)), [])
        if len(found) > 1:
            msg = (
                f"{self.where}: {' and '.join(found)} could both be the {part}; rename or drop all "
                f"but one (found columns: {_shown(self.names)}), or name it in the map of a "
                f"filters recipe: --set map.{PARTS.get(part, 'response')}={found[0]}"
            )
            raise UserError(msg)
        return found[0] if found else None

    def named(self, wanted: Sequence[str], without: Iterable[str] = ()) -> list[str]:
        there = [name for name in self.names if name not in without]
        return [name for known in wanted for name in there if _plain(name) == _plain(known)]

    def thought(self) -> tuple[str | None, str | None]:
        """The column of the thought, and one of its name that holds switches instead."""
        if "reasoning" in self.given:
            return self.given["reasoning"], None
        vendors = [n for n in self.names if _plain(n).endswith(tuple(map(_plain, _THINKING)))]
        tiers = (REASONING, ALSO_REASONING, vendors)
        found = {name for tier in tiers for name in self.named(tier)} & self.filled
        switches = {n for n in found if switches_in(self.values(n)) is not None}
        objects = {n for n in found if not any(map(thoughts_in, self.values(n)))} - switches
        switch = next((name for name in self.names if name in switches), None)
        return self.one("reasoning", *tiers, without=switches | objects), switch

    def many(self, response: str | None, talk: str | None) -> tuple[str, ...]:
        """Lists of answers: of one column, or of columns that are numbered."""
        if (name := self.one("list of answers", MANY)) is not None:
            self.one("answer", (*RESPONSE, *MANY))
            return (name,)
        if response in self.filled or self.answers(talk):
            return ()
        plain = {n for n in self.named(CHOICES) if not any(map(_are_objects, self.values(n)))}
        if (name := self.one("list of answers", ALSO_MANY, without=plain)) is not None:
            return (name,)
        numbered: dict[str, list[str]] = {}
        for each in self.names:
            if (met := _NUMBERED.fullmatch(each)) and _plain(met[1]).endswith(_ANSWERS):
                numbered.setdefault(met[1], []).append(each)
        return next((tuple(each) for each in numbered.values() if len(each) > 1), ())

    def answers(self, talk: str | None) -> bool:
        return talk is not None and any(answer_in(turns_of(value)) for value in self.values(talk))

    def also_response(self, reasoning: str | None, talk: str | None) -> str | None:
        """An answer under a name that means one only beside others."""
        vendors = set(filter(None, map(_vendor, (reasoning, *self.used))))
        pairs = {vendor + part for vendor in vendors for part in PAIRED}
        paired = [name for name in self.names if _plain(name) in pairs]
        if found := self.one("response", paired, ALSO_RESPONSE, ("solution",)):
            return found
        (*_, answer) = (None, *self.named(("answer",)))
        others = [n for n in self.named((*GOLD, *ALSO_GOLD)) if n != answer and n in self.filled]
        if answer and (reasoning in self.filled or others or talk):
            return answer
        # whatever it is called: what begins with a thought is an answer
        return self.one("response", [name for name in self.names if self.thinks(name)])

    def thinks(self, name: str) -> bool:
        texts = filter(None, map(words, self.values(name)))
        return any(said.lstrip().startswith(OPENINGS) and split_think(said)[0] for said in texts)

    def gold(self, response: str | None) -> str | None:
        taken = () if response is None else (response,)
        return self.one("reference answer", GOLD, ALSO_GOLD, IN_OBJECTS, without=taken)

    def reference_in(self, talk: str | None) -> str | None:
        """The conversation, where its turns have the reference beside them."""
        turns = [turn for value in self.values(talk) for turn in turns_of(value)] if talk else []
        return talk if about(turns).get("reference_answer") else None

    def values(self, name: str) -> Iterable[Any]:
        return (line.get(name) for line in self.lines)

    def no_answer(self) -> UserError:
        wanted = ", ".join((*RESPONSE, *TALK, *MANY))
        msg = (
            f"{self.where}: no column holds the answers; found {_shown(self.names) or 'none'}; "
            f"wanted one of {wanted}; or name it in the map of a filters recipe: "
            "--set map.response=COLUMN"
        )
        return UserError(msg)


OPENINGS = (OPEN, *OTHERS)
MOST = 20  # names of columns in one line
# What map calls the parts that errors name; those of an answer are its response.
PARTS = {"reasoning": "reasoning", "question": "question", "reference answer": "gold"}
_THINKING = (*THOUGHT, "cot", "thinking_trajectory", "reasoning_trace", "thoughts")
_ANSWERS = ("response", "solution", "output", "completion", "generation", "attempt")
_NUMBERED = re.compile(r"(.*\D)_?(\d{1,3})")


def _shown(names: Sequence[str]) -> str:
    """Names of columns for one line: not those of a table whose every key is a column."""
    cut = [name if len(name) <= 40 else f"{name[:39]}…" for name in names[:MOST]]
    return ", ".join(cut) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _vendor(reasoning: str | None) -> str:
    """What stands before the usual name of a thought: the ``deepseek`` of deepseek_reasoning."""
    name = _plain(reasoning or "")
    known = (*ALSO_REASONING, *_THINKING)
    ends = [len(_plain(end)) for end in known if name.endswith(_plain(end))]
    return name[: -max(ends)] if ends else ""


def _is_filled(value: Any) -> bool:
    return value is not None and value not in ("", [], {})


def _are_objects(value: Any) -> bool:
    found = opened(value)
    return isinstance(found, list) and bool(found) and all(isinstance(one, dict) for one in found)
