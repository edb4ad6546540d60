"""The one row that flows from end to end: as a frozen dataclass and as a polars schema.

Does not read or write files (``files``) and does not judge rows (``signals``, ``rules``).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import orjson
import polars as pl

# How a server says that an answer came to its end: "stop" in the chat API; the others are what
# servers without it say for the same thing: Anthropic-like proxies, TGI, llama.cpp and Ollama.
ENDED: Final = ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "eot", "done")

Domain = Literal["math", "code", "stem", "logic", "general"]
# The domain of a row that names none, by its kind of check; "general" for the others.
DOMAINS: Final = {"math": "math", "code": "code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: str  # system, user, assistant
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is asked, before any answer exists."""

    id: str  # 16 hex digits, see row_id; or the user's own
    question: str
    domain: str  # a Domain
    source: str  # e.g. "openai/gsm8k:train"
    gold: str | None  # reference answer, or JSON of tests
    verify: str | None  # the kind of check; None = nothing to check against
    fields: str | None = None  # the JSON of a Trace, where a trace is the prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A trace that is a prompt: what a template can use of it beside its question."""

    id: str
    sample: int
    messages: tuple[Message, ...]
    reasoning: str
    response: str
    gold: str | None
    verify: str | None
    teacher: str | None

    @classmethod
    def read(cls, fields: str) -> "Trace":
        """From ``Problem.fields``."""
        values = orjson.loads(fields)
        return cls(**{**values, "messages": tuple(Message(**t) for t in values["messages"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One answered prompt. (``id``, ``sample``) is the key."""

    id: str  # 16 hex digits
    sample: int  # 0 … k-1
    domain: str
    source: str
    messages: (
        tuple[Message, ...] | None
    )  # what the teacher was asked; None if the data does not say
    gold: str | None
    verify: str | None
    reasoning: str  # the thinking, tags removed; "" if none
    response: str  # what follows the thinking
    finish_reason: str | None  # "stop", "length", …; None if the data does not say
    teacher: str | None  # as the server reported it
    prompt_tokens: int | None
    reasoning_tokens: int | None
    completion_tokens: int | None  # includes reasoning_tokens, as in the chat API
    cost_usd: float | None  # from the recipe's price table; None if unknown


_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "sample": pl.UInt32,
    "domain": pl.String,
    "source": pl.String,
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "gold": pl.String,
    "verify": pl.String,
    "reasoning": pl.String,
    "response": pl.String,
    "finish_reason": pl.String,
    "teacher": pl.String,
    "prompt_tokens": pl.UInt32,
    "reasoning_tokens": pl.UInt32,
    "completion_tokens": pl.UInt32,
    "cost_usd": pl.Float64,
}
SCHEMA: Final = pl.Schema(_TYPES)
# A table of problems, one line each, in the order in which they are asked.
PROBLEM_SCHEMA: Final = pl.Schema(
    dict.fromkeys(("id", "question", "domain", "source", "gold", "verify", "fields"), pl.String())
)


def row_id(source: str, question: str) -> str:
    """A stable name for a question: 16 hex digits of sha256 over source, NUL, question.

    >>> row_id("openai/gsm8k:train", "1 + 1?")
    'abb23740bf066e1f'
    """
    text = f"{source}\0{question}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:16]


# What a row's ``messages`` ask, in four readings. Each is null where ``messages`` is null.


def all_turns() -> pl.Expr:
    """Everything the teacher was sent, as one text with a line break between turns."""
    return _contents().list.join("\n")


def user_turns() -> pl.Expr:
    """All that the user said, as one text; "" where that is nothing."""
    return _contents(pl.element().struct["role"] == "user").list.join("\n")


def conversation() -> pl.Expr:
    """All turns but the system's: what was answered in between is part of the last question."""
    return _contents(pl.element().struct["role"] != "system").list.join("\n")


def last_user_turn() -> pl.Expr:
    """The question that was asked last; null where the user said nothing."""
    return _contents(pl.element().struct["role"] == "user").list.last()


def _contents(of: pl.Expr | None = None) -> pl.Expr:
    content = pl.element().struct["content"]
    return pl.col("messages").list.eval(content if of is None else content.filter(of))


def to_frame(rows: Iterable[Row]) -> pl.DataFrame:
    """A table with exactly SCHEMA, one line a row, in the order given."""
    found = list(rows)
    columns: dict[str, object] = {
        name: [getattr(row, name) for row in found] for name in SCHEMA.names()
    }
    # polars takes ten times as long over lists of dicts, for all the others together
    turns = [None if row.messages is None else orjson.dumps(row.messages).decode() for row in found]
    texts = pl.Series("messages", turns, dtype=pl.String)
    columns["messages"] = texts.str.json_decode(SCHEMA["messages"])
    return pl.DataFrame(columns, schema=SCHEMA)


def from_frame(frame: pl.DataFrame) -> list[Row]:
    """The rows of a table with SCHEMA; other columns are left out."""
    return [_row(values) for values in frame.select(SCHEMA.names()).iter_rows(named=True)]


def _row(values: dict[str, object]) -> Row:
    turns = values.pop("messages")
    messages = None if turns is None else tuple(Message(**turn) for turn in turns)  # type: ignore[attr-defined]
    return Row(messages=messages, **values)  # type: ignore[arg-type]
