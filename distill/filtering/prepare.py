"""Makes a recipe ready: checks its rules, reads its benchmarks. DATA is not read yet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill.files.done import file_digest, fingerprint
from distill.files.mapped import Mapped, by_row
from distill.filtering import hashes
from distill.filtering.benchmarks import Contamination, contamination
from distill.filtering.copies import Sketch
from distill.filtering.judge.agreement import NEEDED as JUDGED
from distill.filtering.judge.votes import Judging, judging
from distill.filtering.report import HIT
from distill.filtering.rules import compile as compile_rules
from distill.filtering.selection import DUPLICATES, NEEDED, Order, orders
from distill.filtering.steps import Job
from distill.filtering.stored import SCALARS
from distill.recipes.filters import FilterRecipe
from distill.recipes.load import load
from distill.rows import SCHEMA
from distill.signals import MODULES, all_columns, verdict
from distill.signals.own import own_signals
from distill.signals.settings import Settings, placed
from distill.verify.isolation import UNSAFE
from distill.verify.own import own_checks

# Columns that a signal of the user's own may not make: there already, or what filter itself works
# with.
TAKEN = frozenset(
    (
        *SCHEMA,
        *all_columns(),
        *hashes.COLUMNS,
        *Contamination.COLUMNS,
        *Judging.COLUMNS,
        *DUPLICATES,
        *("reason", "kept", "rank", "draw", "group", "place", "share", "samples", UNSAFE),
    )
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a recipe asks for."""

    recipe: FilterRecipe
    job: Job
    by: tuple[Order, Order]  # preference among copies, and among answers to a prompt
    mapped: Mapped | None  # how parts of a row are made of DATA's columns


def prepare(
    name: str,
    folder: Path,
    overrides: Sequence[str],
    settings: Settings,
    *,
    all_signals: bool = False,
    allow_code: bool = False,
) -> Prepared:
    """The recipe of that name with ``--set`` applied, for a result in ``folder``.

    Raises:
        UserError: the recipe, or a file that it names, cannot be used; or one is Python, and
            ``allow_code`` is false.
    """
    loaded = load(name, FilterRecipe, overrides)
    recipe, where, select = loaded.recipe, str(loaded.path), loaded.recipe.select
    own = own_signals(recipe.signals, loaded.origin, taken=TAKEN, allowed=allow_code)
    named = {f"checks.{number}": check for number, check in enumerate(recipe.checks)}
    checks = own_checks(named, loaded.origin, allowed=allow_code)
    signals = all_columns((*MODULES, *own))
    by = orders(select, [*SCALARS, *signals], where)
    measure = [*recipe.measure, *(name for order in by for name, _ in order if name in signals)]
    measure += ["verdict"] if select.difficulty or recipe.judge else []
    rules = compile_rules(
        recipe.rules,
        where,
        measure=measure,
        settings=replace(placed(settings, recipe, loaded.origin), checks=checks),
        signals=(*MODULES, *own),
    )
    sketch = Sketch(select.near) if select.dedupe == "near" else None
    needed = [
        *NEEDED,
        "text_bytes",
        *(["verdict"] if select.difficulty else []),
        *(["verdict_detail"] if settings.unsafe_no_sandbox and _verifies(rules.needed) else []),
        *(column for order in by for column, _ in order),
        *((*HIT, "_compared") if recipe.decontaminate else ()),
        *(JUDGED if recipe.judge else ()),
        *(sketch.COLUMNS if sketch else ()),
    ]
    job = Job(
        folder=folder,
        rules=rules,
        needed=tuple(dict.fromkeys(column for column in needed if column != "reason")),
        all_signals=all_signals,
        contamination=contamination(recipe.decontaminate, loaded.origin)
        if recipe.decontaminate
        else None,
        judging=judging(recipe.judge, loaded.origin, folder) if recipe.judge else None,
        sketch=sketch,
        files=_digests(rules.settings),
        own=own,
    )
    return Prepared(recipe, job, by, _mapped(recipe, where))


def _mapped(recipe: FilterRecipe, where: str) -> Mapped | None:
    for part, text in recipe.map.items():
        by_row(text, f"{where}: map.{part}")
    return Mapped(dict[str, str](recipe.map.items()), where) if recipe.map else None


def _verifies(columns: Sequence[str]) -> bool:
    return any(name in verdict.COLUMNS for name in columns)


def _digests(settings: Settings) -> dict[str, str]:
    """Digests of the files that the settings name; reads every byte."""
    named = {"tokenizer": settings.tokenizer, "score_model": settings.score_model}
    return {key: _digest(Path(name)) for key, name in named.items() if name is not None}


def _digest(path: Path) -> str:
    """The digest of a file, or of all files in a folder and their names."""
    if path.is_file():
        return file_digest(path)
    inside = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
    return fingerprint(files=[[file.name, file_digest(file)] for file in inside])
