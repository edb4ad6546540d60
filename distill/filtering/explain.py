"""One row, step by step; examples of a reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from distill.errors import UserError, nearest
from distill.files.find import data_files
from distill.files.inputs import Data, inputs_of, said
from distill.files.mapped import Mapped
from distill.files.read import frames, is_own, own_columns, own_rows
from distill.filtering import stored
from distill.filtering.judge.verdicts import apply_judge_votes
from distill.filtering.measure import broken, is_measured
from distill.filtering.prepare import Prepared
from distill.filtering.rules import Rule, Rules
from distill.filtering.selection import draws
from distill.filtering.steps import visible
from distill.filtering.write import DROPPED, KEPT
from distill.rows import SCHEMA
from distill.terminal.plain import plain

PASSED = "kept"  # asked for in place of a reason, to see rows that were kept
UNKNOWN = "not filtered yet"
HEAD, TAIL = 300, 200  # characters of a text that an example shows


@dataclass(frozen=True, slots=True)
class Line:
    """One signal or rule of a row."""

    kind: str  # row, signal, rule
    name: str
    value: str
    note: str  # where a signal is from; a rule's SQL


def explain(data: Data, key: str, sample: int | None, ready: Prepared) -> Iterator[Line]:
    """Every signal and rule of the recipe for one row, also those after the first broken rule.

    Values that OUT has stored for exactly this row are used.

    Raises:
        UserError: no such row, or DATA cannot be read.
    """
    frame = row_of(data, key, sample, mapped=ready.mapped)
    for name in stored.SCALARS:
        yield Line("row", name, _said(frame[name][0]), "")
    settings = ready.job.rules.settings
    fate, same = _fate(ready.job.folder, frame)
    table = _stored(frame, ready) if same else frame.select(stored.SCALARS)
    gone = False
    for step in ready.job.steps:
        if isinstance(step, Rule):
            holds = _holds(step, table, frame, ready.job.rules, gone=gone)
            gone |= holds != "holds"
            yield Line("rule", step.name, holds, step.sql)
            continue
        there = bool(is_measured(table, step)[0])
        if not there:
            table = table.with_columns(step.measure(frame, settings).get_columns())
        for name in visible(step):
            where = "stored" if there else "measured now"
            yield Line("signal", name, _said(apply_judge_votes(table)[name][0]), where)
    other = fate != UNKNOWN and not same
    yield Line("row", "result", fate, "of other values under that key" if other else "")


def _holds(
    rule: Rule, table: pl.DataFrame, frame: pl.DataFrame, rules: Rules, *, gone: bool
) -> str:
    """What one rule alone says of the row; it may fail on a row that is ``gone`` already."""
    try:
        said = broken(rule, table, frame, rules)[0]
    except UserError:
        if not gone:
            raise
        return "cannot be told"
    return {None: "holds", rule.name: "broken"}.get(said, "cannot be told")


def row_of(
    data: Data, key: str, sample: int | None, *, mapped: Mapped | None = None
) -> pl.DataFrame:
    """The row of that key, or the first of that id.

    Raises:
        UserError: there is none.
    """
    wanted = pl.col("id") == key
    if sample is not None:
        wanted &= pl.col("sample") == sample
    inputs = inputs_of(data)
    files = [path for one in inputs for path in data_files(one.data)]
    plain = mapped is None and all(one.name is None for one in inputs)
    own = plain and all(map(is_own, files))
    for part in _near(files, wanted) if own else frames(inputs, mapped=mapped):
        found = part.filter(wanted)
        if found.height:
            return found.head(1)
    which = "" if sample is None else f" and sample {sample}"
    msg = f"{said(inputs)}: no row with id {key!r}{which}"
    raise UserError(msg)


def _near(files: Sequence[Path], wanted: pl.Expr) -> Iterator[pl.DataFrame]:
    """The first such row of each file, found by the small columns."""
    for path in files:
        keys = own_columns(path, ("id", "sample")).with_row_index("place")
        for place in keys.filter(wanted)["place"].head(1):
            yield from own_rows(path, place, place + 1)


def examples(folder: Path, reason: str, count: int) -> Iterator[list[Line]]:
    """``count`` rows of OUT with that reason, always the same ones, their texts cut to the ends.

    Raises:
        UserError: there is no such reason, or no result in the folder.
    """
    paths = sorted((folder / (KEPT if reason == PASSED else DROPPED)).glob("*.parquet"))
    if not paths:
        msg = f"{folder}: no filtered set; run distill filter first, or choose another -o"
        raise UserError(msg)
    columns = ["id", "sample"] + ([] if reason == PASSED else ["reason"])
    parts = [
        pl.read_parquet(path, columns=columns, glob=False)
        .with_row_index("place")
        .with_columns(file=pl.lit(i))
        for i, path in enumerate(paths)
    ]
    keys = pl.concat(parts)
    if reason != PASSED:
        mine = keys.filter(pl.col("reason") == reason)
        if mine.is_empty():
            hint = nearest(reason, keys["reason"].unique())
            msg = f"{folder}: no row was dropped as {reason!r}; {hint}"
            raise UserError(msg)
        keys = mine
    chosen = keys.with_columns(draws(keys)).sort("draw", "id", "sample").head(count)
    for file, place in chosen.select("file", "place").iter_rows():
        row = _whole(paths[file], place).row(0, named=True)
        yield list(_example(row))


def _example(row: dict[str, Any]) -> Iterator[Line]:
    asked = [turn["content"] or "" for turn in row["messages"] or ()]
    yield Line("row", "key", f"{row['id']} {row['sample']}", "")
    texts = {"question": asked[-1] if asked else ""}
    texts |= {name: row[name] for name in ("reasoning", "response")}
    for name, text in texts.items():
        yield Line("row", name, _ends(text), f"{len(text):,} characters")
    signals = [name for name in row if name not in SCHEMA]
    for name in ("domain", "source", "gold", *signals):
        if row[name] is not None:
            yield Line("signal", name, _said(row[name]), "")


def _stored(frame: pl.DataFrame, ready: Prepared) -> pl.DataFrame:
    """What OUT has stored for exactly this row, else its own values."""
    plain = frame.select(stored.SCALARS)
    for path in sorted((ready.job.folder / stored.FOLDER).glob("part-*.parquet")):
        table = stored.load(path, None, ready.job.tags)
        same = None if table is None else table.join(plain, on=["id", "sample"], how="semi")
        if same is not None and same.height:
            return same
    return plain


def _fate(folder: Path, frame: pl.DataFrame) -> tuple[str, bool]:
    """What became of the row in OUT, and whether its values are still the same."""
    key = frame.select("id", "sample")
    for name in (KEPT, DROPPED):
        for path in sorted((folder / name).glob("*.parquet")):
            keys = pl.read_parquet(path, columns=["id", "sample"], glob=False)
            found = keys.with_row_index("place").join(key, on=["id", "sample"], how="semi")
            for place in found["place"]:
                row = _whole(path, place)
                same = row.select(frame.columns).equals(frame)
                return ("kept" if name == KEPT else f"dropped: {row['reason'][0]}"), same
    return UNKNOWN, False


def _whole(path: Path, place: int) -> pl.DataFrame:
    """One row of a file, read by itself."""
    return pl.scan_parquet(path, glob=False).slice(place, 1).collect()


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "unknown" if value is None else plain(str(value), keep="\n")


def _ends(text: str) -> str:
    whole = plain(text, keep="\n")
    return whole if len(whole) <= HEAD + TAIL else f"{whole[:HEAD]} […] {whole[-TAIL:]}"
