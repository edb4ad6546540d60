"""DATA as units: ranges of rows of Parquet files of our schema, each read by itself.

DATA in another form (JSON lines, CSV, other columns) is first written as such files. Memory is
bounded by one table, however large the set.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from distill.errors import UserError
from distill.files.done import file_digest, fingerprint
from distill.files.find import data_files
from distill.files.inputs import Data, Input, inputs_of, said
from distill.files.mapped import Mapped
from distill.files.read import (
    frames,
    is_own,
    own_columns,
    own_rows,
    refuse_no_id,
    twice,
)
from distill.files.slices import BATCH, height
from distill.files.write import read_json, write_json, write_parquet

MANIFEST = "manifest.json"
READING = 2  # raised when the same files become other rows than before


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of rows of one file, measured, stored and written together."""

    number: int  # 0 …, in the order of DATA
    before: int  # rows of DATA before it
    path: Path
    start: int
    stop: int
    key: str  # differs whenever the rows could differ

    @property
    def name(self) -> str:
        """The name of each file that is made from it."""
        return f"part-{self.number:05}"

    @property
    def after(self) -> int:
        """Rows of DATA up to its end."""
        return self.before + self.stop - self.start

    def rows(self) -> Iterator[pl.DataFrame]:
        """Its rows, in tables of SCHEMA of bounded size.

        Raises:
            UserError: the file cannot be read, or has fewer rows than it had.
        """
        left = self.stop - self.start
        for table in own_rows(self.path, self.start, self.stop):
            left -= table.height
            yield table
        if left:
            raise changed(self.path)


@dataclass(frozen=True, slots=True)
class Source:
    """The files of DATA as they are now."""

    inputs: tuple[Input, ...]
    names: tuple[str | None, ...]  # of each file's input
    files: tuple[Path, ...]
    digests: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]  # size and time of change, in nanoseconds

    @property
    def data(self) -> str:
        """What the user named, for errors."""
        return said(self.inputs)

    @property
    def digest(self) -> str:
        """16 hex digits of the content, and of names where rows are named after their file."""
        named = [None if is_own(path) else path.name for path in self.files]
        inputs = {"inputs": self.names} if any(self.names) else {}
        return fingerprint(files=self.digests, named=named, **inputs)

    def refuse_changed(self) -> None:
        """Checks that no file has changed.

        Raises:
            UserError: one has; names it.
        """
        for path, stamp in zip(self.files, self.stamps, strict=True):
            if not path.is_file() or _stamp(path) != stamp:
                raise changed(path)


def changed(path: Path) -> UserError:
    """The error for rows that are not the ones that were measured."""
    return UserError(f"{path}: DATA changed while it was read; run it again")


def source(data: Data) -> Source:
    """What DATA is: reads every byte of it once.

    Raises:
        UserError: it is not there, or of a kind that distill does not read.
    """
    inputs = inputs_of(data)
    there = [(one.name, path) for one in inputs for path in data_files(one.data)]
    names, files = tuple(name for name, _ in there), tuple(path for _, path in there)
    stamps = tuple(map(_stamp, files))  # before the digests, so that a change meanwhile is seen
    return Source(inputs, names, files, tuple(map(file_digest, files)), stamps)


def units(
    found: Source, scratch: Path, *, limit: int | None = None, mapped: Mapped | None = None
) -> list[Unit]:
    """The rows of DATA, at most ``limit``, in order. ``scratch`` is for files in our schema.

    Raises:
        UserError: a file cannot be read; no row, no id, or a key twice.
    """
    own = [is_own(path) for path in found.files]  # opens every file: one may be cut short
    if all(own) and not any(found.names) and mapped is None:
        made = _ranges(found.files, found.digests, limit)
        _refuse_repeats(made, found.data)
        return made
    parts = dict(mapped.parts) if mapped else None
    wanted = {"digest": found.digest, "limit": limit, "map": parts, "reading": READING}
    manifest = read_json(scratch / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("of") != wanted:
        shutil.rmtree(scratch, ignore_errors=True)
        manifest = {"of": wanted, "parts": _rewritten(found, scratch, limit, mapped)}
        found.refuse_changed()
        write_json(scratch / MANIFEST, manifest)
    shards = manifest["parts"]
    return _ranges([scratch / name for name in shards], list(shards.values()), None)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _rewritten(
    found: Source, scratch: Path, limit: int | None, mapped: Mapped | None
) -> dict[str, str]:
    """Name and digest of each file that was made."""
    parts = {}
    for i, frame in enumerate(frames(found.inputs, limit=limit, mapped=mapped)):
        path = scratch / f"part-{i:05}.parquet"
        write_parquet(path, frame)
        parts[path.name] = file_digest(path)
    return parts


def _ranges(files: Sequence[Path], digests: Sequence[str], limit: int | None) -> list[Unit]:
    made: list[Unit] = []
    left = limit
    for path, digest in zip(files, digests, strict=True):
        rows = height(path) if left is None else min(left, height(path))
        left = None if left is None else left - rows
        for start in range(0, rows, BATCH):
            stop = min(start + BATCH, rows)
            before = made[-1].after if made else 0
            made.append(Unit(len(made), before, path, start, stop, f"{digest}:{start}:{stop}"))
    return made


def _refuse_repeats(made: Sequence[Unit], data: str) -> None:
    """Raises if there is no row, a row without an id, or two rows with one key."""
    ends = {unit.path: unit.stop for unit in made}
    tables = [own_columns(path, ("id", "sample")).head(stop) for path, stop in ends.items()]
    if not tables:
        msg = f"{data}: no rows in it"
        raise UserError(msg)
    keys = pl.concat(tables)
    refuse_no_id(keys["id"], data)
    again = keys.filter(keys.is_duplicated())
    if again.height:
        raise twice(again["id"][0], again["sample"][0], data)
