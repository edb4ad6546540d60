"""Reads DATA as a stream of tables of rows. Does not hold a whole set in memory, does not judge.

A line that is JSON but no row becomes a row with empty texts, which the rules then drop with a
reason. A file that is not readable at all is one clear error that names the file and line.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from distill.errors import UserError
from distill.files.columns import Columns, columns_of, own_values, rows_of
from distill.files.find import data_files
from distill.rows import SCHEMA, to_frame

BATCH = 2_000  # rows of one table: about 40 MB of text at R1's mean length
OURS = ("id", "sample", "reasoning", "response")  # a table with these is read as our schema


def frames(data: str | Path, *, limit: int | None = None) -> Iterator[pl.DataFrame]:
    """Tables with exactly SCHEMA and at most BATCH rows each, in the order of the files.

    Raises:
        UserError: DATA is missing, empty, not UTF-8, not JSON, or has no column of answers; or two
            rows have the same id and sample.
    """
    seen: set[bytes] = set()
    left = limit
    count = 0
    for frame in _all_frames(data):
        if left is not None and left <= 0:
            break
        part = frame if left is None else frame.head(left)
        left = None if left is None else left - part.height
        _refuse_repeats(part, seen, data)
        count += part.height
        yield part
    if not count:
        msg = f"{data}: no rows in it"
        raise UserError(msg)


def _all_frames(data: str | Path) -> Iterator[pl.DataFrame]:
    samples: Counter[str] = Counter()  # how often a foreign table answered each question so far
    for path in data_files(data):
        for lines in records(path):
            if len(lines):
                yield _to_rows(lines, path, samples)


def records(path: Path) -> Iterator[pl.DataFrame | list[dict[str, Any]]]:
    """A file's content in batches of at most BATCH: tables (Parquet, CSV) or lists of objects."""
    if path.name.lower().endswith(".parquet"):
        yield from _parquet(path)
    elif path.name.lower().endswith(".csv"):
        yield _csv(path)
    else:
        yield from _jsonl(path)


def _parquet(path: Path) -> Iterator[pl.DataFrame]:
    try:
        scan = pl.scan_parquet(path, glob=False)
        total = scan.select(pl.len()).collect().item()
        for start in range(0, total, BATCH):
            yield scan.slice(start, BATCH).collect()
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        msg = f"{path}: not a readable Parquet file: {reason}"
        raise UserError(msg) from None


def _csv(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema=False)
    except pl.exceptions.NoDataError:
        return pl.DataFrame()
    except pl.exceptions.PolarsError as error:
        msg = f"{path}: not a readable CSV file: {str(error).splitlines()[0]}"
        raise UserError(msg) from None


def _jsonl(path: Path) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(path), 1):
        text = line.strip()
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if not text:
            continue
        batch.append(_object(text, path, number))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(path: Path) -> Iterator[bytes]:
    name = path.name.lower()
    try:
        if name.endswith(".zst"):
            yield from _zstd_lines(path)
            return
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            yield from file
    except (gzip.BadGzipFile, zstandard.ZstdError, zlib.error, EOFError, OSError) as error:
        msg = f"{path}: cannot be read to its end: {error}; fetch or write the file again"
        raise UserError(msg) from None


def _zstd_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    for text in _zstd_text(path):
        *lines, rest = (rest + text).split(b"\n")
        yield from lines
    yield rest


def _zstd_text(path: Path) -> Iterator[bytes]:
    """The content frame by frame; zstandard's own reader takes a file cut short for a whole one."""
    frame = None
    with path.open("rb") as file:
        while data := file.read(zstandard.DECOMPRESSION_RECOMMENDED_INPUT_SIZE):
            while data:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(data)
                data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        msg = "it ends within a frame"
        raise EOFError(msg)


def _object(text: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        kind = "not UTF-8" if not _is_utf8(text) else f"not JSON ({error.msg})"
        msg = f"{path}:{number}: {kind}; mend or remove the line"
        raise UserError(msg) from None
    if not isinstance(value, dict):
        msg = f"{path}:{number}: a line must be a JSON object; found {type(value).__name__}"
        raise UserError(msg)
    return value


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _to_rows(
    lines: pl.DataFrame | list[dict[str, Any]], path: Path, samples: Counter[str]
) -> pl.DataFrame:
    if isinstance(lines, pl.DataFrame):
        if set(OURS) <= set(lines.columns):
            return _cast(lines)
        lines = lines.to_dicts()
    names = list(dict.fromkeys(name for line in lines for name in line))
    if set(OURS) <= set(names):
        return _own(lines)
    return _foreign(lines, columns_of(names, str(path)), path, samples)


def _cast(table: pl.DataFrame) -> pl.DataFrame:
    """Our own table with every column of SCHEMA, in order; a value of another type becomes null."""
    return _fill(pl.DataFrame([_column(table, name) for name in SCHEMA]))


def _column(table: pl.DataFrame, name: str) -> pl.Series:
    kind = SCHEMA[name]
    if name in table.columns and table.schema[name].is_nested() == kind.is_nested():
        with suppress(pl.exceptions.PolarsError):  # e.g. lists of numbers for messages
            return table[name].cast(kind, strict=False)
    return pl.Series(name, [], kind).clear(table.height)


def _own(lines: list[dict[str, Any]]) -> pl.DataFrame:
    return _fill(pl.DataFrame([own_values(line) for line in lines], schema=SCHEMA, orient="row"))


def _fill(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(
        pl.col("sample").fill_null(0),
        pl.col("domain").fill_null("general"),
        pl.col("source", "reasoning", "response").fill_null(""),
    )


def _foreign(
    lines: list[dict[str, Any]], columns: Columns, path: Path, samples: Counter[str]
) -> pl.DataFrame:
    table = to_frame(row for line in lines for row in rows_of(line, columns, path.name))
    if "sample" in lines[0]:
        return table
    numbers = []
    for name in table["id"]:
        numbers.append(samples[name])
        samples[name] += 1
    return table.with_columns(pl.Series("sample", numbers, dtype=pl.UInt32))


def _refuse_repeats(frame: pl.DataFrame, seen: set[bytes], data: str | Path) -> None:
    if frame["id"].null_count():
        msg = f"{data}: {frame['id'].null_count()} rows have no id; fill the column or leave it out"
        raise UserError(msg)
    for name, sample in zip(frame["id"], frame["sample"], strict=True):
        key = f"{name}\0{sample}".encode("utf-8", "surrogatepass")
        if key in seen:
            msg = f"{data}: id {name!r} with sample {sample} is there twice; ids must be unique"
            raise UserError(msg)
        seen.add(key)
