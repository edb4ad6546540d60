"""Reads what stands beside the texts of a line and says how to train on it; the row has no place.

Weights of the row and of its turns, thoughts of earlier turns, and whether it is more than text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson
import polars as pl

from distill.files.talk import (
    TEXTS,
    Spoken,
    is_thought,
    joined,
    message,
    opened_parts,
    role_of,
    said_in,
    spoken,
    turns_of,
)
from distill.files.values import first, opened, real

WEIGHT = ("weight", "loss_weight", "sample_weight")
# Of a turn: OpenAI's fine-tuning format, axolotl's, ms-swift's; the last four are switches.
TURN_WEIGHT = (*WEIGHT, "loss_scale", "train", "training", "trainable", "loss")
TOOLS = ("tools", "functions", "available_tools")
CALLS = ("tool_calls", "function_call", "tool_call_id")
CALLERS = ("tool", "function", "ipython", "observation", "function_call", "tool_call")
MEDIA = ("image", "images", "audio", "audios", "video", "videos", "files")
COLUMNS = (*WEIGHT, *TOOLS, *MEDIA)
SWITCHES = {"": None, "nan": None, "true": 1.0, "false": 0.0}  # as texts, as in every CSV
LEAST, MOST = 1e-6, 1e6  # of a weight that is not 0; beyond, float32 loses the sum of a step
NAME = "beside"  # of the column of a table that holds the JSON of a Beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a line says beside its row; the tuples have one value for each of its messages."""

    holds: Literal["tools", "media", "wrong_weight"] | None = None  # what a row cannot say
    weight: float = 1.0  # of the whole row
    answer_weight: float = 1.0
    weights: tuple[float, ...] = ()
    thoughts: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: str | None) -> "Beside":
        """From the column."""
        if told is None:
            return NOTHING
        values = orjson.loads(told)
        lists = {name: tuple(values[name]) for name in ("weights", "thoughts")}
        return cls(**{**values, **lists})


NOTHING = Beside()
_WRONG = orjson.dumps(asdict(Beside(holds="wrong_weight"))).decode()


def with_beside(table: pl.DataFrame, found: "list[str | None] | None" = None) -> pl.DataFrame:
    """The table with the column; nothing is said of any row if ``found`` is None."""
    values = [None] * table.height if found is None else found
    return table.with_columns(pl.Series(NAME, values, dtype=pl.String))


def beside_own(table: pl.DataFrame, lines: pl.DataFrame | list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of our own schema, with the column; ``lines``: what they were read from."""
    if isinstance(lines, pl.DataFrame):
        told = [name for name in COLUMNS if name in lines.columns]
        if not told and _only_texts(lines.schema.get("messages")):
            return with_beside(table)
        lines = lines.select(*told, pl.col("^messages$")).to_dicts()
    found = []
    for line in lines:
        turns = turns_of(line.get("messages"))
        said = (Spoken(message=one, turn=turn) for turn in turns if (one := message(turn)))
        found.append(_told(line, turns, list(said)))
    return with_beside(table, found)


def _only_texts(kind: pl.DataType | None) -> bool:
    turn = kind.inner if isinstance(kind, pl.List) else None
    if not isinstance(turn, pl.Struct):
        return True
    return {one.name for one in turn.fields} <= {"role", "content"}


def told_beside(line: Mapping[str, Any], turns: list[Any]) -> str | None:
    """What a line of somebody else's says, whose conversation is ``turns``; None: nothing."""
    said = list(spoken(turns))
    if said and said[-1].message.role == "assistant":
        return _told(line, turns, said[:-1], answer=said[-1].turn)
    return _told(line, turns, said)


def _told(
    line: Mapping[str, Any],
    turns: list[Any],
    before: Sequence[Spoken],
    answer: Mapping[str, Any] | None = None,
) -> str | None:
    learnt = (answer or {}, *(one.turn for one in before))
    told = [_weight(line, WEIGHT), *map(_turn_weight, learnt)]
    given = [one for one in told if one is not None]
    if len(given) < len(told):
        return _WRONG
    weight, answer_weight, *weights = given
    thoughts = [_thought(one.turn) or one.before for one in before]
    found = Beside(
        holds=_holds(line, turns),
        weight=weight,
        answer_weight=answer_weight,
        weights=tuple(weights) if set(weights) - {1.0} else (),
        thoughts=tuple(thoughts) if any(thoughts) else (),
    )
    return None if found == NOTHING else orjson.dumps(asdict(found)).decode()


def _turn_weight(turn: Mapping[str, Any]) -> float | None:
    return _weight(turn, TURN_WEIGHT) if role_of(turn) == "assistant" else 1.0


def _weight(values: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """The weight that is given; 1 if none is, as pandas writes NaN; None if it makes no sense."""
    said = first(values, names)
    if isinstance(said, str):
        said = SWITCHES.get(said.strip().lower(), said)
    if said is None or said != said:
        return 1.0
    found = real(said)
    return found if found is not None and (found == 0 or LEAST <= found <= MOST) else None


def _thought(turn: Mapping[str, Any]) -> str:
    return said_in(turn)[0] if role_of(turn) == "assistant" else ""


def _holds(line: Mapping[str, Any], turns: list[Any]) -> Literal["tools", "media"] | None:
    objects = [turn for turn in turns if isinstance(turn, dict)]
    parts = [part for turn in objects for part in _parts(turn)]
    kinds = [str(part.get("type")) for part in parts]
    calls = any(_filled(turn, CALLS) or _calls(turn) for turn in objects)
    if calls or _filled(line, TOOLS) or any("tool" in kind or "func" in kind for kind in kinds):
        return "tools"
    return "media" if parts or _filled(line, MEDIA) else None


def _calls(turn: Mapping[str, Any]) -> bool:
    return str(role_of(turn)).strip().lower() in CALLERS


def _parts(turn: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a turn's content that are neither text nor a thought."""
    content = opened(first(turn, ("content", "parts")))
    content = opened_parts(content)
    found = content if isinstance(content, list) else []
    parts = [part for part in found if isinstance(part, dict) and not is_thought(part)]
    return [part for part in parts if part.get("type") not in TEXTS and joined([part]) is None]


def _filled(values: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(opened(values.get(name)) not in (None, "", [], {}, False) for name in names)
