"""Which options of a generator a recipe may give: numbers, dates and plain words.

Some generators evaluate what they have put together from their options, or read the file that one
names. A recipe is data, so it must not reach any of that.
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from datetime import date, time
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.recipes.prompts import GymTask

# These run code or make generators of their own from what they are given.
REFUSED = {
    "codeio": "runs programs that a model wrote",
    "composite": "is made of other generators; name those",
}
# No path, no call, no attribute, no operator.
_WORD = re.compile(r"[A-Za-z0-9]{1,40}(?:[ _][A-Za-z0-9]{1,40}){0,9}")


def refuse_options(task: GymTask, recipe: Path) -> None:
    """Return if the generator and its options are harmless.

    Raises:
        UserError: an option is neither a number, a date, a word nor a text of the generator's own
            settings, nor a list of these; or recipes may not use the generator.
    """
    where = f"{recipe}: problems.reasoning_gym: {task.name}"
    if task.name in REFUSED:
        msg = f"{where}: {REFUSED[task.name]}; next: take it out"
        raise UserError(msg)
    own = _own_texts(task.name)
    for name, value in task.options.items():
        for part in _parts(value):
            if not _is_harmless(part, own.get(name, frozenset())):
                shown = " or ".join(map(repr, sorted(own.get(name, ()))[:5]))
                known = f"; its own are {shown}" if shown else ""
                msg = (
                    f"{where}: options.{name}: {str(part)[:80]!r}: a recipe may give numbers, "
                    f"dates and words{known}"
                )
                raise UserError(msg)


def _is_harmless(part: Any, own: frozenset[str]) -> bool:
    if isinstance(part, str):
        return part in own or bool(_WORD.fullmatch(part))
    return part is None or isinstance(part, (bool, int, float, date, time))


def _parts(value: Any) -> Iterator[Any]:
    """Itself, or all that is in a list of lists."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _parts(one)
    else:
        yield value


def _own_texts(generator: str) -> dict[str, frozenset[str]]:
    """The texts that are in the defaults of its options."""
    from reasoning_gym.factory import DATASETS

    found = {}
    for field in fields(DATASETS[generator][1]):
        made = field.default_factory() if field.default_factory is not MISSING else field.default
        found[field.name] = frozenset(part for part in _parts(made) if isinstance(part, str))
    return found
