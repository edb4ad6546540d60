"""Traces as the prompts of another round: each trace of each question is a prompt of its own.

Streams, so that a set of 800,000 traces is never in memory. What is done with a trace is up to the
template.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from distill.errors import UserError, first_line
from distill.files.done import data_digest
from distill.files.find import data_files
from distill.files.mapped import parsed
from distill.files.named import data_at
from distill.files.read import frames
from distill.problems.columns import condition
from distill.problems.draw import drawn, say_few
from distill.problems.golds import checkable
from distill.problems.left_out import Tally
from distill.recipes.load import Loaded
from distill.recipes.places import Origin, missing
from distill.recipes.prompts import Problems, PromptsRecipe
from distill.rows import PROBLEM_SCHEMA, SCHEMA, Trace, last_user_turn
from distill.sql import looks_across
from distill.verify.isolation import JAILED, Isolation
from distill.verify.kinds import CODE
from distill.verify.own import Checks


def place_of(spec: Problems, origin: Origin) -> tuple[str | Path, Any]:
    """Where the traces are, as ``frames`` reads it, and a JSON value that identifies them.

    Raises:
        UserError: nothing is there, it is not the recipe's to read, or the recipe says what traces
            have no use for.
    """
    key, text = "problems.traces", str(spec.traces)
    _check(spec, origin.path)
    data = data_at(text, key, origin)
    if data is None:
        raise missing(text, key, origin, "no such file, folder or pattern")
    try:
        files = data_files(data)
    except UserError as error:
        msg = f"{origin.path}: {key}: {error}"
        raise UserError(msg) from None
    # a file's name may be the source of its rows
    return data, ["traces", [[path.name, data_digest(path)] for path in files]]


def _check(spec: Problems, recipe: Path) -> None:
    if spec.map:
        part, text = next(iter(spec.map.items()))
        msg = f"{recipe}: problems.map.{part}: {text}: traces say it themselves; take map out"
        raise UserError(msg)
    if spec.sha256 is not None:
        msg = f"{recipe}: problems.sha256: {spec.sha256}: is not for traces; take it out"
        raise UserError(msg)
    if spec.where is not None:
        at = f"{recipe}: problems.where"
        expression = condition(spec.where, SCHEMA.to_frame(), SCHEMA.names(), at)
        if looks_across(expression):
            msg = f"{at}: {spec.where}: looks at other rows; traces are read one by one"
            raise UserError(msg)


def rounds(
    loaded: Loaded[PromptsRecipe],
    data: str | Path,
    tally: Tally,
    *,
    isolation: Isolation = JAILED,
    checks: Checks = (),
) -> Iterator[pl.DataFrame]:
    """Tables with PROBLEM_SCHEMA, in the order of the files.

    Raises:
        UserError: as in ``frames``; ``where`` fails on a value; a gold is a program to run, and
            there is no jail here.
    """
    spec = loaded.recipe.problems
    read = partial(_read, loaded, data)
    right = partial(checkable, tally=tally, isolation=isolation, checks=checks)
    usable = partial(_usable, tally=tally, recipe=loaded.recipe, isolation=isolation, right=right)
    if spec.sample is None:
        yield from map(_whole, usable(read()))
        return
    # two readings: what is drawn is known only at the end of the first
    ids = pl.concat([part.select("id") for part in usable(read())])
    chosen = set(drawn(ids, "id", count=spec.sample, seed=spec.seed).to_series())
    say_few(len(chosen), spec.sample, str(loaded.path))
    for prompts in read():
        taken = prompts.filter([name in chosen for name in prompts["id"]])
        if not taken.is_empty():
            yield _whole(taken)


def _read(loaded: Loaded[PromptsRecipe], data: str | Path) -> Iterator[pl.DataFrame]:
    """The traces that are meant, as prompts, each with its trace."""
    recipe = loaded.recipe
    # a rewritten trace stays an answer to its own question; a new answer is judged by the recipe
    verify = pl.col("verify") if recipe.becomes else pl.lit(recipe.kind, pl.String)
    source = pl.lit(recipe.problems.source, pl.String)
    for frame in frames(data):
        yield _meant(frame, recipe.problems.where, loaded.path).select(
            pl.concat_str("id", pl.lit("."), "sample").alias("id"),
            last_user_turn().alias("question"),
            "domain",
            pl.coalesce(source, "source").alias("source"),
            "gold",
            verify.alias("verify"),
            pl.struct(field.name for field in fields(Trace)).alias("trace"),
        )


def _meant(frame: pl.DataFrame, where: str | None, recipe: Path) -> pl.DataFrame:
    if where is None:
        return frame
    try:
        return frame.filter(parsed(where, f"{recipe}: problems.where"))
    except pl.exceptions.PolarsError as error:
        said = first_line(error)
        msg = f"{recipe}: problems.where: {where}: cannot be computed on the traces: {said}"
        raise UserError(msg) from None


def _usable(
    parts: Iterator[pl.DataFrame],
    tally: Tally,
    recipe: PromptsRecipe,
    isolation: Isolation,
    right: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    spec = recipe.problems
    for part in parts:
        if recipe.until is not None:  # nothing could be found right: all tries would be bought
            part = tally.only(part, pl.col("verify").is_not_null(), "no_check")
        rows = tally.only(part, pl.col("question").str.strip_chars() != "", "no_question")
        golden = pl.col("verify").is_null() | (pl.col("gold").str.strip_chars() != "")
        rows = tally.only(rows, golden, "no_gold")
        if recipe.until is not None and (rows["verify"] == CODE).any():
            from distill.verify.workers.threads import ready

            ready(isolation)  # before an answer is bought that could not be checked
        yield rows if spec.keep_uncheckable else right(rows)


def _whole(prompts: pl.DataFrame) -> pl.DataFrame:
    texts = [orjson.dumps(trace).decode() for trace in prompts["trace"]]
    table = prompts.with_columns(pl.Series("fields", texts, dtype=pl.String))
    return table.select(PROBLEM_SCHEMA.names())
