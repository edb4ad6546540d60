"""The source that a recipe names: where it is, what identifies its content, and its table.

Traces are read in ``rounds``; ``columns`` tells which column is the question.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError, first_line, missing_extra, nearest
from distill.files.done import data_digest
from distill.files.find import HUB, is_readable
from distill.files.footer import refuse_bomb
from distill.files.hub import hub, quiet_client
from distill.files.named import ROWS, TABLE
from distill.files.read import records
from distill.problems.options import refuse_options
from distill.problems.scored import references
from distill.recipes.places import Origin, missing, place
from distill.recipes.prompts import GymTask, Problems
from distill.verify.isolation import JAILED, Isolation

log = logging.getLogger("distill")
REFERENCES = 2  # raised when the same generated problems get other references than before
Wanted = Sequence[str] | None  # names of columns; None: all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a source holds, as far as it was wanted."""

    table: pl.DataFrame  # the wanted columns that are there
    columns: tuple[str, ...]  # all that are there
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that is there and was not read yet."""

    name: str  # what rows say they come from, where the recipe does not say it
    identity: Any  # a JSON value: the same one means the same content
    read: Callable[[Wanted], Content]


def source_of(spec: Problems, origin: Origin, *, isolation: Isolation = JAILED) -> Source:
    """The source of a recipe's questions: a file, generators, or a Hub data set (fetched here).

    Raises:
        UserError: it is not there, not the recipe's to read, or of a kind that distill does not
            read; later, from ``read``: its content cannot be read.
    """
    recipe = origin.path
    if spec.reasoning_gym is not None:
        return _gym(spec.reasoning_gym, recipe, isolation)
    if spec.dataset is not None:
        return _dataset(spec, recipe)
    return _file(spec.file or "", origin)


def _file(given: str, origin: Origin) -> Source:
    key, recipe, path = "problems.file", origin.path, Path(given)
    chosen = place(given, key, origin, TABLE)
    if chosen is None:
        raise missing(given, key, origin)
    if not is_readable(chosen):
        msg = f"{recipe}: problems.file: {path}: give {ROWS}"
        raise UserError(msg)
    name = path.name.split(".")[0]
    identity = ["file", path.name, data_digest(chosen)]
    return Source(name=name, identity=identity, read=partial(_read_file, chosen, path, recipe))


def _read_file(chosen: Path, path: Path, recipe: Path, wanted: Wanted) -> Content:
    try:
        if chosen.name.lower().endswith(".parquet"):
            return _parquet(chosen, wanted)
        return _joined(records(chosen), wanted)
    except pl.exceptions.PolarsError as error:
        msg = (
            f"{recipe}: problems.file: {path}: its lines do not make one table: {first_line(error)}"
        )
        raise UserError(msg) from None


def _parquet(path: Path, wanted: Wanted) -> Content:
    """The wanted columns alone: the others may be traces that are larger than memory."""
    refuse_bomb(path)
    try:
        scan = pl.scan_parquet(path, glob=False)
        columns = tuple(scan.collect_schema().names())
        rows = scan.select(pl.len()).collect().item()
        table = scan.select(_there(columns, wanted)).collect()
    except pl.exceptions.PolarsError as error:
        msg = f"{path}: not a readable Parquet file: {first_line(error)}"
        raise UserError(msg) from None
    return Content(table=table, columns=columns, rows=rows)


def _joined(parts: Iterable[pl.DataFrame | list[dict[str, Any]]], wanted: Wanted) -> Content:
    """One table of the wanted columns; a batch is made a table at once, which is much smaller."""
    columns: dict[str, None] = {}  # a set in the order of first use
    tables = []
    for part in parts:
        names = part.columns if isinstance(part, pl.DataFrame) else chain.from_iterable(part)
        here = dict.fromkeys(names)
        columns |= here
        tables.append(_table(part, _there(here, wanted)))
    if not tables:
        return Content(table=pl.DataFrame(), columns=(), rows=0)
    rows = sum(table.height for table in tables)
    whole = pl.concat(tables, how="diagonal_relaxed").drop(ROW, strict=False)
    return Content(table=whole, columns=tuple(columns), rows=rows)


ROW = "\0row"  # stands for the row where a batch has none of the wanted columns


def _table(part: pl.DataFrame | list[dict[str, Any]], names: Sequence[str]) -> pl.DataFrame:
    if not names:
        return pl.DataFrame({ROW: [True] * len(part)})
    if isinstance(part, pl.DataFrame):
        return part.select(names)
    lines = [{name: line.get(name) for name in names} for line in part]
    return pl.DataFrame(lines, infer_schema_length=None)


def _there(columns: Iterable[str], wanted: Wanted) -> list[str]:
    return [name for name in columns if wanted is None or name in wanted]


def _gym(tasks: Sequence[GymTask], recipe: Path, isolation: Isolation) -> Source:
    try:
        from reasoning_gym.factory import DATASETS
    except ImportError:
        raise missing_extra(module="reasoning-gym", extra="local") from None
    made = []
    for task in tasks:
        if task.name not in DATASETS:
            hint = nearest(task.name, DATASETS)
            msg = f"{recipe}: problems.reasoning_gym: no generator {task.name!r}; {hint}"
            raise UserError(msg)
        refuse_options(task, recipe)
        made.append((task, _usable(task, recipe, partial(_created, task))))
    # what is asked is made by that version's code
    made_by = [version("reasoning-gym"), REFERENCES]
    identity = ["reasoning_gym", *made_by, [task.model_dump() for task in tasks]]
    return Source(
        name="reasoning-gym",
        identity=identity,
        read=lambda wanted: _generated(made, recipe, isolation),
    )


def _generated(made: Sequence[tuple[GymTask, Any]], recipe: Path, isolation: Isolation) -> Content:
    lines: list[tuple[str, str | None]] = []
    for task, problems in made:
        entries = _usable(task, recipe, partial(_entries, task, problems))
        golds = references(task.name, problems, entries, isolation=isolation)
        lines += zip((entry["question"] for entry in entries), golds, strict=True)
    table = pl.DataFrame(lines, schema={"question": pl.String, "gold": pl.String}, orient="row")
    return Content(table=table, columns=tuple(table.columns), rows=table.height)


def _created(task: GymTask) -> Any:
    from reasoning_gym import create_dataset

    return create_dataset(task.name, size=task.size, seed=task.seed, **task.options)


def _entries(task: GymTask, problems: Any) -> list[dict[str, Any]]:
    return [problems[i] for i in range(task.size)]


def _usable(task: GymTask, recipe: Path, make: Callable[[], Any]) -> Any:
    """What ``make`` makes; a generator says by these that it cannot work with its options."""
    try:
        return make()
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        msg = f"{recipe}: problems.reasoning_gym: {task.name}: unusable options: {text}"
        raise UserError(msg) from None


def _dataset(spec: Problems, recipe: Path) -> Source:
    try:
        import datasets
        from datasets.exceptions import DatasetNotFoundError
    except ImportError:
        raise missing_extra(module="datasets", extra="hub") from None
    datasets.disable_progress_bars()
    log.info("reads %s from %s", spec.dataset, hub())
    try:
        # without the prefix a folder of this name here would be read instead
        with quiet_client():
            name = f"{HUB}{spec.dataset}"
            loaded = datasets.load_dataset(name, spec.config, split=spec.split)
    except (DatasetNotFoundError, OSError, ValueError, RuntimeError) as error:
        msg = (
            f"{recipe}: problems.dataset: {spec.dataset} cannot be read from the Hub: "
            f"{first_line(error)}; offline, use --set problems.file=FILE.jsonl"
        )
        raise UserError(msg) from None
    name = f"{spec.dataset}:{spec.split}"
    # the fingerprint is made from the revision, the configuration and the split
    identity = ["dataset", name, spec.config, loaded._fingerprint]
    return Source(name=name, identity=identity, read=partial(_read_dataset, loaded))


def _read_dataset(loaded: Any, wanted: Wanted) -> Content:
    names = _there(loaded.column_names, wanted)
    table = loaded.select_columns(names).to_polars() if names else pl.DataFrame()
    whole = table if isinstance(table, pl.DataFrame) else pl.concat(list(table))
    return Content(table=whole, columns=tuple(loaded.column_names), rows=loaded.num_rows)
