"""What a command may be given as DATA: one input or several, each with a name or without."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import UserError
from distill.files.find import HUB, matching

_NAMED = re.compile(r"(\w[\w.:-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Input:
    """One input: what ``data_files`` finds the files of, and the source that its rows name."""

    data: str | Path
    name: str | None = None

    def __str__(self) -> str:
        """As it is written on the command line."""
        return str(self.data) if self.name is None else f"{self.name}={self.data}"


# What a Python caller may pass: a name for each, or NAME=DATA as on the command line.
Data = str | Path | Sequence[str | Path | Input] | Mapping[str, str | Path]


def said(inputs: Sequence[Input]) -> str:
    """What the user named, for errors."""
    return ", ".join(str(one.data) for one in inputs)


def inputs_of(data: Data) -> tuple[Input, ...]:
    """The inputs that DATA is, in order.

    A text NAME=DATA names its input, unless there is a file of that whole name.

    Raises:
        UserError: there is none, or two have the same name.
    """
    if isinstance(data, Mapping):
        found = tuple(Input(each, name) for name, each in data.items())
    elif isinstance(data, (str, Path)):
        found = (_input(data),)
    else:
        found = tuple(map(_input, data))
    names = [one.name for one in found if one.name is not None]
    if again := next((name for name in names if names.count(name) > 1), None):
        msg = f"{again}=: names two inputs; give each a name of its own"
        raise UserError(msg)
    if not found or any(not str(one.data).strip() for one in found):
        msg = f"no input; give a run, a Parquet or JSONL file, or {HUB}…"
        raise UserError(msg)
    return found


def _input(given: str | Path | Input) -> Input:
    if isinstance(given, Input):
        return given
    met = _NAMED.fullmatch(given) if isinstance(given, str) else None
    if met is None or Path(str(given)).exists() or matching(Path(str(given))):
        return Input(given)
    return Input(met[2], met[1])
