"""Reads DATA as a stream of tables of rows, without holding a whole set in memory.

A line that is JSON but not a row becomes a row with empty texts, which the rules drop with a
reason. An unreadable file is one clear error that names the file and line.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError
from distill.files.arrays import json_rows
from distill.files.beside import beside_own, told_beside, with_beside
from distill.files.columns import are_ours
from distill.files.find import WHOLE, data_files
from distill.files.footer import refuse_bomb
from distill.files.inputs import Data, Input, inputs_of, said
from distill.files.lines import separator_of, text_lines
from distill.files.mapped import Mapped
from distill.files.objects import json_object
from distill.files.reading import Reading
from distill.files.slices import BATCH, BYTES, FIRST, height, readable, slices
from distill.files.switches import switched
from distill.files.talk import turns_of
from distill.files.traces import own_values, rows_of, sample_of
from distill.files.values import is_deep
from distill.rows import DOMAINS, SCHEMA, to_frame

SHORT = 128  # bytes of an id that is remembered as it is
# defaults for values that a row of our schema lacks
INSTEAD = {"sample": 0, "domain": "general", "source": "", "reasoning": "", "response": ""}


def frames(
    data: Data,
    *,
    limit: int | None = None,
    mapped: Mapped | None = None,
    beside: bool = False,
    silent: bool = False,
) -> Iterator[pl.DataFrame]:
    """Tables with exactly SCHEMA and at most BATCH rows each, in the order of the files.

    With ``beside``, one more column holds what ``files.beside`` reads; null: nothing.

    Says which columns of other people's files are read as what, and what could not be read; not if
    ``silent``, because the same data will be read again.

    Raises:
        UserError: DATA is missing, empty, not UTF-8, not JSON, or has no column of answers; two
            rows have the same id and sample; or ``mapped`` does not fit it.
    """
    seen: set[bytes] = set()
    left = limit
    count = 0
    reading = Reading(mapped, silent=silent, beside=beside)
    inputs = inputs_of(data)
    for frame in chain.from_iterable(_all_frames(one, reading) for one in inputs):
        if left is not None and left <= 0:
            break
        part = frame if left is None else frame.head(left)
        left = None if left is None else left - part.height
        _refuse_repeats(part, seen, said(inputs))
        count += part.height
        yield part
    if not count:
        msg = f"{said(inputs)}: no rows in it"
        raise UserError(msg)
    reading.say()


def _all_frames(one: Input, reading: Reading) -> Iterator[pl.DataFrame]:
    for path in data_files(one.data):
        try:
            for lines in records(path):
                if len(lines):
                    yield _named(_to_rows(lines, path, one, reading), one.name)
        except (MemoryError, OSError) as error:
            error.add_note(f"while reading {path}")
            raise


def _named(table: pl.DataFrame, name: str | None) -> pl.DataFrame:
    """Rows of a named input have its name as their source, and in their ids."""
    if name is None:
        return table
    own = pl.concat_str(pl.lit(f"{name}:"), "id")
    return table.with_columns(id=own, source=pl.lit(name))


def records(path: Path) -> Iterator[pl.DataFrame | list[dict[str, Any]]]:
    """A file's content in batches of at most BATCH: tables (Parquet, CSV) or lists of objects."""
    if path.name.lower().endswith(".parquet"):
        refuse_bomb(path)
        yield from slices(path, 0, height(path))
    elif path.name.lower().endswith(".csv"):
        yield from _csv(path)
    elif path.name.lower().endswith(WHOLE):
        yield from _batches(json_rows(path))
    else:
        yield from _batches(_jsonl(path))


def is_own(path: Path) -> bool:
    """Whether it is a Parquet file of our schema, so that any part can be read separately.

    Raises:
        UserError: a Parquet file that cannot be read, or expands to an absurd size.
    """
    if not path.name.lower().endswith(".parquet"):
        return False
    refuse_bomb(path)
    with readable(path, "Parquet"):
        schema = (scan := pl.scan_parquet(path, glob=False)).collect_schema()
        ours = are_ours(schema) and _has_plain_turns(schema)
        first = scan.select("reasoning").head(FIRST).collect() if ours else pl.DataFrame()
    return ours and not switched(schema, first["reasoning"].to_list())


def _has_plain_turns(schema: Mapping[str, pl.DataType]) -> bool:
    """Whether messages can be read as a column: texts with a role, or no messages at all.

    Other names or nesting (``from``, parts of content) are read line by line.
    """
    kind = schema.get("messages")
    if kind == pl.String:  # JSON, as in every CSV
        return False
    turn = kind.inner if isinstance(kind, pl.List) else None
    if not isinstance(turn, pl.Struct):
        return True
    fields = {field.name: field.dtype for field in turn.fields}
    return fields.get("role") == pl.String and fields.get("content") == pl.String


def own_rows(path: Path, start: int, stop: int) -> Iterator[pl.DataFrame]:
    """The rows ``start`` to ``stop`` of such a file, in tables as ``frames`` gives them.

    Raises:
        UserError: the file cannot be read.
    """
    for table in slices(path, start, stop):
        yield _cast(table)


def own_columns(path: Path, names: Sequence[str]) -> pl.DataFrame:
    """Columns of all rows of such a file, typed and filled as ``own_rows`` gives them.

    Raises:
        UserError: the file cannot be read.
    """
    with readable(path, "Parquet"):
        schema = pl.scan_parquet(path, glob=False).collect_schema()
    there = [name for name in names if name in schema]
    rows = height(path)
    tables = list(slices(path, 0, rows, names=there, most_rows=rows)) if there else []
    table = pl.concat(tables) if tables else pl.DataFrame()
    return _fill(pl.DataFrame([_column(table, name) for name in names]))


def _csv(path: Path) -> Iterator[pl.DataFrame]:
    with readable(path, "CSV"), suppress(pl.exceptions.NoDataError):
        scan = pl.scan_csv(path, infer_schema=False, glob=False, separator=separator_of(path))
        yield from scan.collect_batches(chunk_size=BATCH, maintain_order=True)


def _jsonl(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The object of each line, and the line's bytes."""
    for number, line in enumerate(text_lines(path), 1):
        text = line.strip()
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text:
            yield json_object(text, path, number), len(text)


def _batches(lines: Iterator[tuple[dict[str, Any], int]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for line, length in lines:
        batch.append(line)
        size += length
        if len(batch) == BATCH or size >= BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _to_rows(
    lines: pl.DataFrame | list[dict[str, Any]], path: Path, one: Input, reading: Reading
) -> pl.DataFrame:
    mapped = reading.mapped
    if isinstance(lines, pl.DataFrame):
        ours = not mapped and are_ours(lines.columns) and _has_plain_turns(lines.schema)
        if ours and not switched(lines.columns, lines["reasoning"].to_list()):
            return beside_own(_cast(lines), lines) if reading.beside else _cast(lines)
        lines = lines.to_dicts()
    lines = [{k: None if is_deep(v) else v for k, v in line.items()} for line in lines]
    names = list(dict.fromkeys(name for line in lines for name in line))
    if are_ours(names) and not switched(names, [line.get("reasoning") for line in lines]):
        table = _own(mapped.own(lines, str(path)) if mapped else lines)
        return beside_own(table, lines) if reading.beside else table
    lines = mapped.added(lines, str(path)) if mapped else lines
    return _foreign(lines, path, reading, reading.numbers(one.name))


def _cast(table: pl.DataFrame) -> pl.DataFrame:
    """Our own table with every column of SCHEMA, in order; a value of another type becomes null."""
    return _fill(pl.DataFrame([_column(table, name) for name in SCHEMA]))


def _column(table: pl.DataFrame, name: str) -> pl.Series:
    kind = SCHEMA[name]
    if name in table.columns and table.schema[name].is_nested() == kind.is_nested():
        with suppress(pl.exceptions.PolarsError):  # e.g. lists of numbers for messages
            return _typed(table[name], kind)
    return pl.Series(name, [], kind).clear(table.height)


def _typed(found: pl.Series, kind: pl.DataType) -> pl.Series:
    """Values of a wrong type or broken conversations become null, and only they."""
    column = pl.col(found.name)
    if found.dtype.is_float():
        found = found.to_frame().select(pl.when(column.is_finite()).then(column)).to_series()
    if found.dtype == pl.Binary and kind == pl.String:
        return _decoded(found)
    cast = found.cast(kind, strict=False)
    if not kind.is_nested():
        return cast
    turn = pl.element().struct
    broken = column.list.eval(turn["role"].is_null() | turn["content"].is_null()).list.any()
    return cast.to_frame().select(pl.when(~broken).then(column)).to_series()


def _decoded(found: pl.Series) -> pl.Series:
    try:
        return found.cast(pl.String)
    except pl.exceptions.PolarsError:  # some value is not UTF-8: its broken bytes become U+FFFD
        texts = [None if value is None else value.decode("utf-8", "replace") for value in found]
        return pl.Series(found.name, texts, pl.String)


def _own(lines: list[dict[str, Any]]) -> pl.DataFrame:
    return _fill(pl.DataFrame([own_values(line) for line in lines], schema=SCHEMA, orient="row"))


def _fill(table: pl.DataFrame) -> pl.DataFrame:
    if "domain" in table.columns and "verify" in table.columns:
        checked = pl.col("verify").replace_strict(DOMAINS, default=None, return_dtype=pl.String)
        table = table.with_columns(pl.col("domain").fill_null(checked))
    there = [name for name in INSTEAD if name in table.columns]
    return table.with_columns(pl.col(name).fill_null(INSTEAD[name]) for name in there)


def _foreign(
    lines: list[dict[str, Any]], path: Path, reading: Reading, samples: Counter[str]
) -> pl.DataFrame:
    columns = reading.columns(lines, str(path))
    rows, told = [], []
    for line in lines:
        given = sample_of(line, columns)
        made = list(rows_of(line, columns, path.name))
        turns = turns_of(line.get(columns.talk)) if columns.talk else []
        stands = told_beside(line, turns)
        told += [stands] * len(made)
        if stands is not None and not reading.beside:
            reading.lose(stands, str(path))
        reading.count(line, made, columns, str(path))
        for row in made:
            sample = samples[row.id] if given is None else given
            rows.append(row if row.sample == sample else replace(row, sample=sample))
            samples[row.id] += given is None
    return with_beside(to_frame(rows), told) if reading.beside else to_frame(rows)


def _refuse_repeats(frame: pl.DataFrame, seen: set[bytes], data: str) -> None:
    refuse_no_id(frame["id"], data)
    for name, sample in zip(frame["id"], frame["sample"], strict=True):
        key = f"{name}\0{sample}".encode("utf-8", "surrogatepass")
        key = key if len(key) < SHORT else sha256(key).digest()
        if key in seen:
            raise twice(name, sample, data)
        seen.add(key)


def refuse_no_id(ids: pl.Series, data: str | Path) -> None:
    """Raises if a row has no id.

    Raises:
        UserError: with the number of such rows.
    """
    if ids.null_count():
        msg = f"{data}: {ids.null_count()} rows have no id; fill the column or leave it out"
        raise UserError(msg)


def twice(name: str, sample: int, data: str | Path) -> UserError:
    """The error for two rows with the same key."""
    return UserError(f"{data}: id {name!r} with sample {sample} appears twice; ids must be unique")
