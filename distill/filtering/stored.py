"""What was measured of a unit, in a Parquet file, and whether it still holds."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import orjson
import polars as pl

from distill.files.done import fingerprint
from distill.files.write import write_parquet
from distill.rows import SCHEMA
from distill.signals import Signal, verdict
from distill.signals.settings import Settings
from distill.verify.own import digests

FOLDER = "signals"
TEXTS = ("messages", "gold", "reasoning", "response")
SCALARS = [name for name in SCHEMA.names() if name not in TEXTS]  # small: held for all rows
ISOLATION = ("unsafe_no_sandbox", "paranoid")  # settings that concern only verdicts
LABEL = "distill"  # of our part of the file's metadata


def tags(modules: Iterable[Signal], settings: Settings, files: Mapping[str, str]) -> dict[str, str]:
    """What the values of each module depend on besides the row, in 16 hex digits.

    ``files`` has the digest of what each setting names; its path does not count.
    """
    said = {**asdict(settings), **files}
    del said["checks"]
    checking = {name: said.pop(name) for name in ISOLATION} | digests(settings.checks)
    return {
        m.__name__: fingerprint(version=m.VERSION, settings=checking if m is verdict else said)
        for m in modules
    }


def load(path: Path, key: str | None, made: dict[str, str]) -> pl.DataFrame | None:
    """What is stored of the unit ``key``, without what other versions or settings made.

    None if nothing is, or it is of other rows; a ``key`` of None takes any rows.
    """
    try:
        label = orjson.loads(pl.read_parquet_metadata(path).get(LABEL, "null"))
        if not label or key not in (None, label["key"]):
            return None
        stale = {name for name, tag in label["made"].items() if made.get(name) != tag}
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):  # not there yet, or cut short by a full disk
        return None
    gone = [column for name in stale for column in label["columns"][name]]
    return table.drop(gone)


def save(
    path: Path, table: pl.DataFrame, key: str, modules: Iterable[Signal], made: dict[str, str]
) -> None:
    """Stores the row's own small columns and those of every module that ``table`` has."""
    there = [m for m in modules if set(m.COLUMNS) <= set(table.columns)]
    label = {
        "key": key,
        "made": {m.__name__: made[m.__name__] for m in there},
        "columns": {m.__name__: list(m.COLUMNS) for m in there},
    }
    columns = table.select(*SCALARS, *(name for m in there for name in m.COLUMNS))
    write_parquet(path, columns, metadata={LABEL: orjson.dumps(label).decode()})
