"""Writes files atomically: beside their place, flushed to disk, then moved there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl

ZSTD = 3  # level: 1 takes a quarter less CPU and a quarter more disk


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls ``write`` with a temporary neighbour of ``path`` and moves the result into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes bytes atomically."""
    write_atomic(path, lambda part: part.write_bytes(data))


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON atomically."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    write_bytes(path, orjson.dumps(value, option=options))


def write_parquet(path: Path, frame: pl.DataFrame, metadata: dict[str, str] | None = None) -> None:
    """Writes a zstd Parquet file atomically; the same table gives the same bytes."""
    write_atomic(
        path,
        lambda part: frame.write_parquet(
            part, compression="zstd", compression_level=ZSTD, statistics=True, metadata=metadata
        ),
    )


def read_json(path: Path) -> Any:
    """What ``write_json`` wrote; None if there is no such file or it is not JSON."""
    try:
        return orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, orjson.JSONDecodeError):
        return None


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
