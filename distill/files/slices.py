"""Reads a Parquet file in tables that fit into memory, whatever its rows expand to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from distill.errors import UserError, first_line
from distill.files.lines import LONGEST, most_unpacked, too_dense

BATCH = 2_000  # rows of one table: about 40 MB of text at R1's mean length
BYTES = 48 << 20  # of text in one table, unless a single row is larger
# For the first table of a part: its most rows, and how much traces shrink in a Parquet file.
FIRST, PACKED = 100, 3
Kind = pl.DataType | DataTypeClass


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Raises UserError for a file that Polars cannot read."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        msg = f"{path}: not a readable {kind} file: {first_line(error)}"
        raise UserError(msg) from None


def height(path: Path) -> int:
    """Rows of a Parquet file, from its footer.

    Raises:
        UserError: it cannot be read.
    """
    with readable(path, "Parquet"):
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())


def slices(
    path: Path,
    start: int,
    stop: int,
    *,
    names: Sequence[str] | None = None,
    most_rows: int = BATCH,
) -> Iterator[pl.DataFrame]:
    """Tables of as many rows as fit: a guess at first, then by the size of earlier rows."""
    with readable(path, "Parquet"):
        scan = pl.scan_parquet(path, glob=False)
        scan = scan if names is None else scan.select(names)
        packed = path.stat().st_size // max(height(path), 1)
        step = max(1, min(FIRST, BYTES // max(PACKED * packed, 1)))
        left = most_unpacked(path)
        while start < stop:
            table = scan.slice(start, min(step, stop - start)).collect()
            if not table.height:
                return
            size = _bytes(table)
            left -= size
            if left < 0:
                raise too_dense(path)
            yield from _parts(table, path)
            start += table.height
            step = max(1, min(most_rows, BYTES * table.height // max(size, 1)))


def _parts(table: pl.DataFrame, path: Path) -> Iterator[pl.DataFrame]:
    """A table in parts that fit: texts of a dictionary take memory only when they are copied."""
    size = _bytes(table)
    if size > LONGEST and table.height == 1:
        msg = f"{path}: a row of more than {LONGEST >> 20} MB; cut or remove it"
        raise UserError(msg)
    if size <= BYTES or table.height == 1:
        yield table.select(column.cast(_plain(column.dtype)) for column in table)
        return
    half = table.height // 2
    yield from _parts(table[:half], path)
    yield from _parts(table[half:], path)


def _bytes(table: pl.DataFrame) -> int:
    """What it takes when each row has its own copy of its texts."""
    return sum(_bytes_of(column) for column in table)


def _bytes_of(column: pl.Series) -> int:
    if column.dtype == _plain(column.dtype):
        return int(column.estimated_size())
    if isinstance(column.dtype, pl.List):
        return _bytes_of(column.explode())
    if isinstance(column.dtype, pl.Struct):
        return sum(_bytes_of(column.struct.field(one.name)) for one in column.dtype.fields)
    return int(column.cat.len_bytes().sum())


def _plain(kind: Kind) -> Kind:
    """The type with texts for categories, which seem small until they are used."""
    match kind:
        case pl.Categorical() | pl.Enum():
            return pl.String()
        case pl.List(inner=inner):
            return pl.List(_plain(inner))
        case pl.Struct(fields=fields):
            return pl.Struct({field.name: _plain(field.dtype) for field in fields})
    return kind
