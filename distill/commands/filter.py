"""``distill filter``: rows → OUT/kept/, OUT/dropped/ with a reason each, OUT/report.json.

What was measured stays in OUT/signals/: after a crash, or for another recipe, only what is missing
is measured.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from distill.errors import Exit
from distill.files.inputs import Data, inputs_of
from distill.filtering.prepare import prepare
from distill.filtering.run import run_filter
from distill.filtering.workers import Engine, Workers
from distill.signals.settings import Settings


def filter(
    recipe: str,
    data: Data,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    workers: int = 1,
    engine: Engine = "local",
    all_signals: bool = False,
    unsafe_no_sandbox: bool = False,
    paranoid: bool = False,
    allow_code: bool = False,
    dry_run: bool = False,
    force: bool = False,
) -> Exit:
    """Splits DATA into rows to train on and rows not to, with the reason of every drop.

    Args:
        recipe: name or path of a filters recipe.
        data: a run, a file, a folder, a glob, or hf://datasets/owner/name; or several, as a list,
            or by a name each: that is then the source of their rows, and begins their ids.
        out: folder of the result.
        overrides: ``key.path=value`` for values of the recipe.
        limit: only the first so many rows.
        workers: processes that measure and write; the result is the same for any number.
        engine: ``local`` processes, or ``ray`` tasks (a cluster where RAY_ADDRESS names one; every
            machine of it must see DATA and ``out``).
        all_signals: measure everything on every row, for audits.
        unsafe_no_sandbox: run programs and scorers as this user, without a jail.
        paranoid: run each answer's code in a jail of its own.
        allow_code: run the Python files that the recipe names, as this user and without a jail.
        dry_run: check recipe and data; write nothing.
        force: replace the result of another recipe or input.

    Raises:
        UserError: recipe or data unusable; data inside the result that it replaces, or changed
            while it was read; or ``out`` holds what distill did not make.
    """
    settings = Settings(unsafe_no_sandbox=unsafe_no_sandbox, paranoid=paranoid)
    ready = prepare(
        recipe, Path(out), overrides, settings, all_signals=all_signals, allow_code=allow_code
    )
    running = {"unsafe-no-sandbox": unsafe_no_sandbox, "paranoid": paranoid}
    running |= {"all-signals": all_signals, "allow-code": allow_code}
    more: dict[str, object] = {"limit": limit, "workers": workers if workers > 1 else None}
    more["engine"] = engine if engine != "local" else None
    return run_filter(
        ready,
        data,
        limit=limit,
        workers=Workers(workers, engine),
        dry_run=dry_run,
        force=force,
        again=_command(recipe, data, out, overrides, running, more),
    )


def _command(
    recipe: str,
    data: Data,
    out: str | Path,
    overrides: Sequence[str],
    running: Mapping[str, bool],
    more: Mapping[str, object],
) -> list[str]:
    """The words of a command that does the same."""
    words = ["distill", "filter", recipe, *map(str, inputs_of(data)), "-o", str(out)]
    words += [word for override in overrides for word in ("--set", override)]
    words += [f"--{name}" for name, on in running.items() if on]
    given = {name: value for name, value in more.items() if value is not None}
    return words + [word for name in given for word in (f"--{name}", str(given[name]))]
