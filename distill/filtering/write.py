"""Writes the rows of one unit to kept/ and dropped/, each by its reason.

The rows of unit 12 are in part-00012.parquet, whichever worker writes them; very large ones
continue in part-00012-1.parquet and so on.
"""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from distill.files.write import write_parquet
from distill.filtering import stored
from distill.filtering.steps import Job, shown
from distill.filtering.units import Unit, changed
from distill.rows import SCHEMA
from distill.verify.isolation import UNSAFE

PART = 128 << 20  # bytes of text in one file, unless a single table is larger
KEPT, DROPPED = "kept", "dropped"
SHUFFLING = ".shuffling"  # kept rows on their way to another order


@dataclass(slots=True)
class _Parts:
    """Files of one unit in one folder."""

    folder: Path
    name: str
    waiting: list[pl.DataFrame] = field(default_factory=list)
    written: int = 0

    def add(self, frame: pl.DataFrame) -> None:
        if frame.height:
            self.waiting.append(frame)
            if sum(part.estimated_size() for part in self.waiting) > PART:
                self.flush()

    def flush(self) -> None:
        if self.waiting:
            suffix = f"-{self.written}" if self.written else ""
            write_parquet(self.folder / f"{self.name}{suffix}.parquet", pl.concat(self.waiting))
            self.written += 1
            self.waiting.clear()


def write(task: tuple[Unit, pl.DataFrame], job: Job) -> int:
    """Writes every row of the unit once; returns how many there were.

    The table beside the unit has the ``reason`` of each row (null: kept) and, if the set is to be
    shuffled, the ``group`` and the ``place`` of each kept row.

    Raises:
        UserError: the file cannot be read, or has other rows than when it was measured.
    """
    unit, fate = task
    table = stored.load(job.folder / stored.FOLDER / f"{unit.name}.parquet", unit.key, job.tags)
    if table is None or table.height != fate.height:
        raise changed(unit.path)
    values = shown(table.with_columns(fate["reason"]), job)
    kept = _Parts(job.folder / KEPT, unit.name)
    dropped = _Parts(job.folder / DROPPED, unit.name)
    at = 0
    for frame in unit.rows():
        here = slice(at, at + frame.height)
        if not frame.select(stored.SCALARS).equals(table[here].select(stored.SCALARS)):
            raise changed(unit.path)
        stays = fate[here]["reason"].is_null()
        dropped.add(pl.concat([frame, values[here]], how="horizontal").filter(~stays))
        frame = _marked(frame, table[here], job)
        if "group" in fate.columns:
            _scatter(frame.filter(stays), fate[here].filter(stays), job.folder, f"{unit.name}-{at}")
        else:
            kept.add(frame.filter(stays))
        at += frame.height
    kept.flush()
    dropped.flush()
    return at


def write_empty(job: Job) -> None:
    """Puts a file without rows into an empty folder, so that a reader sees its columns."""
    nothing = SCHEMA.to_frame()
    empty = _marked(nothing, nothing, job)
    reason = pl.lit(None, pl.String).alias("reason")
    values = shown(nothing.with_columns(reason), job)
    wide = pl.concat([nothing, values], how="horizontal")
    for name, table in ((KEPT, empty), (DROPPED, wide)):
        if not list((job.folder / name).glob("*.parquet")):
            write_parquet(job.folder / name / "part-00000.parquet", table)


def _marked(frame: pl.DataFrame, table: pl.DataFrame, job: Job) -> pl.DataFrame:
    """The rows, with a column that says whose programs ran without a jail if that was allowed."""
    if not job.rules.settings.unsafe_no_sandbox:
        return frame
    marks = pl.Series(UNSAFE, [False], pl.Boolean).new_from_index(0, table.height)
    if "verdict_detail" in table.columns:
        marks = table["verdict_detail"].str.starts_with(UNSAFE).fill_null(value=False)
    return frame.with_columns(marks.alias(UNSAFE))


def _scatter(frame: pl.DataFrame, fate: pl.DataFrame, folder: Path, name: str) -> None:
    """Writes rows to the folders of their groups."""
    placed = frame.with_columns(fate["group"], fate["place"])
    for part in placed.partition_by("group"):
        into = folder / SHUFFLING / f"{part['group'][0]:05}"
        into.mkdir(parents=True, exist_ok=True)
        part.drop("group").write_parquet(
            into / f"{name}.parquet", compression="lz4", statistics=False
        )
