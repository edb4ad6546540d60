"""``distill filter --explain`` and ``--sample``: shows rows and why they were dropped."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from distill.errors import Exit
from distill.files.inputs import Data
from distill.filtering.explain import Line, examples
from distill.filtering.explain import explain as steps_of
from distill.filtering.prepare import prepare
from distill.signals.settings import Settings
from distill.terminal.screen import Cell, Column, Sheet, show


def explain(
    recipe: str,
    data: Data,
    key: str,
    sample: int | None = None,
    *,
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
    allow_code: bool = False,
) -> Exit:
    """Prints every signal and rule of one row: its value, and whether the rule holds.

    Args:
        recipe: name or path of a filters recipe.
        data: where the row is.
        key: the row's id.
        sample: which of its answers; else the first in DATA.
        out: a filtered set: its stored values are used, and it says what became of the row.
        overrides: ``key.path=value`` for values of the recipe.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: run each answer's code in a jail of its own.
        allow_code: run the Python files that the recipe names, as this user and without a jail.

    Raises:
        UserError: recipe or data unusable, or no such row.
    """
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(recipe, Path(out or NOWHERE), overrides, settings, allow_code=allow_code)
    _print(steps_of(data, key, sample, ready))
    return Exit.DONE


def sample(out: str | Path, reason: str, count: int = 5) -> Exit:
    """Prints some rows that were dropped for ``reason``, or "kept" ones; always the same.

    Raises:
        UserError: no such reason in ``out``, or no filtered set.
    """
    for lines in examples(Path(out), reason, count):
        _print(lines)
    return Exit.DONE


NOWHERE = "/nonexistent"  # a result that is not there


def _print(lines: Iterable[Line]) -> None:
    sections: list[list[Sequence[Cell]]] = [[]]
    style = {"broken": "red", "cannot be told": "yellow", "holds": "green"}
    for line in lines:
        if line.kind == "rule":
            sections.append([])
        name = (line.name, "bold" if line.kind == "rule" else "")
        sections[-1].append((name, (line.value, style.get(line.value, "")), line.note))
    columns = [Column(wraps=False), Column(), Column(style="dim")]
    show(Sheet(columns=columns, sections=sections))
