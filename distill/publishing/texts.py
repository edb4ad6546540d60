"""Finds every text in a table, however nested, and in bytes."""

from collections.abc import Iterator

import polars as pl

# Anything but ASCII text becomes one character that texts do not have.
_PLAIN = bytes(b if 0x20 <= b < 0x7F or b in b"\t\n\r" else 0x01 for b in range(256))


def plain(data: bytes) -> str:
    r"""Bytes as ASCII text, without NUL, so that UTF-16 can be read too.

    >>> plain(b"a\xffb"), plain("ab".encode("utf-16-le"))
    ('a\x01b', 'ab')
    """
    return data.translate(_PLAIN, b"\0").decode("ascii")


def texts_of(frame: pl.DataFrame, rows: pl.Series) -> Iterator[tuple[str, pl.Series, pl.Series]]:
    """(column, its texts, each text's row number); ``rows`` are the row numbers of the table."""
    for name in frame.columns:
        yield from _texts(frame[name], rows, name)


def _texts(
    values: pl.Series, rows: pl.Series, name: str
) -> Iterator[tuple[str, pl.Series, pl.Series]]:
    kind = values.dtype
    if isinstance(kind, pl.List | pl.Array):
        inner = pl.DataFrame({"row": rows, "value": values}).explode("value")
        yield from _texts(inner["value"], inner["row"], f"{name}[]")
    elif isinstance(kind, pl.Struct):
        for field in kind.fields:
            yield from _texts(values.struct.field(field.name), rows, f"{name}.{field.name}")
    elif isinstance(kind, pl.Binary):
        texts = [None if value is None else plain(value) for value in values]
        yield name, pl.Series(texts, dtype=pl.String), rows
    elif not (kind.is_numeric() or kind.is_temporal() or kind in (pl.Boolean, pl.Null)):
        yield name, values.cast(pl.String), rows
