"""Reads the problem set of a prompts recipe: from a file, the Hub, or reasoning-gym.

Does not render prompts (``chat``) or ask anything (``teachers``). The whole set is one table in
memory: id, question, gold (about 300 bytes a problem).
"""

import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from distill.errors import UserError, missing_extra, nearest
from distill.files.done import fingerprint
from distill.files.find import is_known
from distill.files.read import records
from distill.recipes.load import Loaded
from distill.recipes.prompts import GymTask, Problems, PromptsRecipe
from distill.rows import Problem, row_id

log = logging.getLogger("distill")

QUESTIONS = ("question", "problem", "prompt", "instruction")
GOLDS = ("gold", "answer", "expected_answer")


def read_problems(loaded: Loaded[PromptsRecipe]) -> list[Problem]:
    """The problems of a recipe, in the order of their source, each question once.

    Raises:
        UserError: the source is missing, empty, not as recorded, or lacks a column; an id repeats.
    """
    spec, where = loaded.recipe.problems, str(loaded.path)
    source, table = _table(spec, loaded.path)
    if table.is_empty():
        msg = f"{where}: problems: {source} is empty"
        raise UserError(msg)
    asked = _asked(spec, table, where, source, checked=loaded.recipe.verify is not None)
    _check_recorded(spec, asked, where)
    usable = _usable(asked, checked=loaded.recipe.verify is not None, where=where)
    _refuse_repeated_ids(usable, where)
    return [
        Problem(
            id=own or row_id(spec.source or source, question),
            question=question,
            domain=loaded.recipe.domain,
            source=spec.source or source,
            gold=gold,
            verify=loaded.recipe.verify,
        )
        for own, question, gold in usable.iter_rows()
    ]


def _table(spec: Problems, recipe: Path) -> tuple[str, pl.DataFrame]:
    """(source name, table) of whichever source the recipe names."""
    if spec.reasoning_gym is not None:
        return "reasoning-gym", pl.concat([_gym(task, recipe) for task in spec.reasoning_gym])
    if spec.dataset is not None:
        return f"{spec.dataset}:{spec.split}", _dataset(spec, recipe)
    path = Path(spec.file or "")
    beside = recipe.parent / path
    chosen = path if path.is_file() else beside
    if not chosen.is_file():
        msg = f"{recipe}: problems.file: {path}: no such file"
        raise UserError(msg)
    if not is_known(chosen):
        msg = f"{recipe}: problems.file: {path}: give JSONL(.gz, .zst), Parquet or CSV"
        raise UserError(msg)
    try:
        batches = [
            part if isinstance(part, pl.DataFrame) else pl.DataFrame(part, infer_schema_length=None)
            for part in records(chosen)
        ]
        whole = pl.concat(batches, how="diagonal_relaxed") if batches else pl.DataFrame()
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        msg = f"{recipe}: problems.file: {path}: its lines do not make one table: {reason}"
        raise UserError(msg) from None
    return path.name.split(".")[0], whole


def _gym(task: GymTask, recipe: Path) -> pl.DataFrame:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError:
        raise missing_extra(module="reasoning-gym", extra="local") from None
    if task.name not in DATASETS:
        hint = nearest(task.name, DATASETS)
        msg = f"{recipe}: problems.reasoning_gym: no generator {task.name!r}; {hint}"
        raise UserError(msg)
    try:
        made = reasoning_gym.create_dataset(
            task.name, size=task.size, seed=task.seed, **task.options
        )
    except (TypeError, AssertionError, ValueError) as error:
        msg = f"{recipe}: problems.reasoning_gym: {task.name}: unusable options: {error}"
        raise UserError(msg) from None
    entries = [made[i] for i in range(task.size)]
    return pl.DataFrame(
        {"question": [e["question"] for e in entries], "gold": [str(e["answer"]) for e in entries]}
    )


def _dataset(spec: Problems, recipe: Path) -> pl.DataFrame:
    try:
        import datasets
        from datasets.exceptions import DatasetNotFoundError
    except ImportError:
        raise missing_extra(module="datasets", extra="hub") from None
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(str(spec.dataset), spec.config, split=spec.split)
    except (DatasetNotFoundError, OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        msg = (
            f"{recipe}: problems.dataset: {spec.dataset} cannot be read from the Hub: {reason}; "
            "offline, use --set problems.file=FILE.jsonl"
        )
        raise UserError(msg) from None
    table = loaded.to_polars()
    return table if isinstance(table, pl.DataFrame) else pl.concat(list(table))


def _sql(text: str, table: pl.DataFrame, where: str, wanted: str) -> pl.Expr:
    try:
        expression = pl.sql_expr(text)
        made = table.head(0).select(expression).dtypes[0]
    except pl.exceptions.ColumnNotFoundError:
        found = ", ".join(table.columns)
        msg = f"{where}: {text}: names a column that is not there; found {found}"
        raise UserError(msg) from None
    except pl.exceptions.PolarsError as error:
        msg = f"{where}: {text}: not a polars SQL expression: {str(error).splitlines()[0]}"
        raise UserError(msg) from None
    if made.is_nested() or (wanted == "a condition" and made != pl.Boolean):
        msg = f"{where}: {text}: makes {made}, not {wanted}"
        raise UserError(msg)
    return expression


def _asked(
    spec: Problems, table: pl.DataFrame, where: str, source: str, *, checked: bool
) -> pl.DataFrame:
    """The columns of the rows that ``problems.where`` leaves."""
    try:
        if spec.where is not None:
            at = f"{where}: problems.where"
            table = table.filter(_sql(spec.where, table, at, "a condition"))
        return _columns(spec, table, where, source, checked=checked)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        msg = f"{where}: problems: where or map cannot be computed on {source}: {reason}"
        raise UserError(msg) from None


def _columns(
    spec: Problems, table: pl.DataFrame, where: str, source: str, *, checked: bool
) -> pl.DataFrame:
    """Id, question and gold as strings; id null where the source has none."""
    parts = {"id": ("id",) if "id" in spec.map else (), "question": QUESTIONS, "gold": GOLDS}
    chosen = []
    for part, names in parts.items():
        text = spec.map.get(part) or _named(part, names, table, where, source)  # type: ignore[call-overload]
        if text is None and (part == "question" or (part == "gold" and checked)):
            there = ", ".join(table.columns)
            hint = "use map" if part == "question" else "use map, or verify: null"
            msg = f"{where}: problems: {source} has no {part} column; found {there}; {hint}"
            raise UserError(msg)
        if text is None:
            chosen.append(pl.lit(None, pl.String).alias(part))
        else:
            expression = _sql(text, table, f"{where}: problems.map.{part}", "text")
            chosen.append(expression.cast(pl.String).alias(part))
    return table.select(chosen)


def _named(
    part: str, names: Sequence[str], table: pl.DataFrame, where: str, source: str
) -> str | None:
    found = [name for name in names if name in table.columns]
    if len(found) > 1:
        msg = f"{where}: problems: {' and '.join(found)} could both be the {part}; say which in map"
        raise UserError(msg)
    return f'"{found[0]}"' if found else None


def _check_recorded(spec: Problems, asked: pl.DataFrame, where: str) -> None:
    if spec.sha256 is None:
        return
    made = fingerprint(rows=asked.select("question", "gold").rows())
    if made != spec.sha256:
        msg = (
            f"{where}: problems.sha256: the source now makes another set ({made}, recorded "
            f"{spec.sha256}); pin its version, or record the new one"
        )
        raise UserError(msg)


def _usable(asked: pl.DataFrame, *, checked: bool, where: str) -> pl.DataFrame:
    """Without empty questions, repeats, and questions whose reference answers contradict."""
    key = pl.col("question").map_elements(_normal, return_dtype=pl.String)
    rows = asked.with_columns(key=key).filter(pl.col("key") != "")
    _say(asked.height - rows.height, "no question", where)
    if checked:
        golden = rows.filter(pl.col("gold").str.strip_chars() != "")
        _say(rows.height - golden.height, "no reference answer", where)
        agreed = golden.filter(pl.col("gold").n_unique().over("key") == 1)
        _say(golden.height - agreed.height, "their reference answers contradict each other", where)
        rows = agreed
    once = rows.unique("key", keep="first", maintain_order=True)
    _say(rows.height - once.height, "the same question is in the set before them", where)
    if once.is_empty():
        msg = f"{where}: problems: no usable problem is left"
        raise UserError(msg)
    return once.drop("key")


def _normal(question: str) -> str:
    return " ".join(unicodedata.normalize("NFC", question).split())


def _say(count: int, what: str, where: str) -> None:
    if count:
        log.warning("%s: %d problems left out: %s", where, count, what)


def _refuse_repeated_ids(table: pl.DataFrame, where: str) -> None:
    ids = table["id"].drop_nulls()
    if ids.len() != ids.n_unique():
        twice = ids.filter(ids.is_duplicated())[0]
        msg = f"{where}: problems: id {twice!r} is there twice; ids must be unique"
        raise UserError(msg)
