"""Finds near copies over the whole set: sketches each unit, then compares the candidates.

The texts of candidates are laid out on disk meanwhile, so that memory holds a thousand or two of
them at once. ``distill.near`` says how texts are compared.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from distill.filtering import hashes
from distill.filtering.units import Unit
from distill.filtering.workers import Workers
from distill.near.arrays import Ints, Keys
from distill.near.clusters import near_duplicates
from distill.near.sketch import plan, sketches
from distill.recipes.filters import Near
from distill.signals import COSTLY
from distill.signals.settings import Settings


@dataclass(frozen=True, slots=True)
class Sketch:
    """Sketches texts; measured like a signal."""

    near: Near

    VERSION = 2
    COST = COSTLY

    @property
    def __name__(self) -> str:
        """Names the settings too: sketches made with others cannot be compared."""
        return f"sketch-{self.near.words}-{self.near.jaccard:g}"

    @property
    def COLUMNS(self) -> dict[str, pl.DataType]:
        """One list of 32-bit keys, of a fixed size."""
        return {"_sketch": pl.Array(pl.UInt32, plan(self.near.jaccard).bands)}

    def measure(self, frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """_sketch: never null."""
        keys = sketches(whole(frame), words=self.near.words, jaccard=self.near.jaccard)
        return pl.DataFrame({"_sketch": keys}, schema=self.COLUMNS)


def whole(frame: pl.DataFrame) -> pl.Series:
    """Question, thought and response in one text: what near copies are copies of."""
    texts = pl.concat_str(hashes.question(frame), "reasoning", "response", separator="\n")
    return frame.select(texts).to_series()


def near_copies(
    ranked: pl.DataFrame,
    units: Sequence[Unit],
    near: Near,
    *,
    scratch: Path,
    workers: Workers,
) -> pl.DataFrame:
    """Which rows are near copies of one that stays: row, keeps_row, jaccard.

    Args:
        ranked: ``row`` (its place in the whole set), ``rank`` (the lowest stays) and ``_sketch``.
        units: of the whole set, in order.
        near: when two are copies.
        scratch: a folder for texts, removed afterwards.
        workers: who read the texts.
    """
    ordered = ranked.sort("row")
    rows = ordered["row"].to_numpy().astype(np.int64)
    keys = ordered["_sketch"].to_numpy()
    candidates = rows[meeting(keys, plan(near.jaccard).agree)]
    bounds = np.searchsorted(candidates, [unit.after for unit in units])
    parts = zip(units, np.split(candidates, bounds[:-1]), strict=True)
    tasks = [(unit, part - unit.before) for unit, part in parts if len(part)]
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        lay = partial(_lay_out, scratch=scratch)
        for _ in workers.map(lay, tasks):
            pass
        texts = partial(_texts, rows=rows, candidates=candidates, units=units, scratch=scratch)
        ranks = ordered["rank"].to_numpy().astype(np.int64)
        found = near_duplicates(keys, ranks, texts, words=near.words, jaccard=near.jaccard)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    places = pl.Series("row", rows)
    return found.with_columns(
        row=places.gather(found["row"]), keeps_row=places.gather(found["keeps_row"])
    )


def meeting(keys: Keys, agree: int) -> npt.NDArray[np.bool_]:
    """Which rows share keys with others in ``agree`` bands or more: only these have near copies."""
    shared = np.zeros(len(keys), np.uint16)
    for band in range(keys.shape[1]):
        _, place, count = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shared += count[place] > 1
    return shared >= agree


def _lay_out(task: tuple[Unit, Ints], *, scratch: Path) -> None:
    """Writes the texts of some rows of a unit one after the other, and where each begins."""
    unit, rows = task
    at, ends = 0, [0]
    with (scratch / unit.name).open("wb") as file:
        for frame in unit.rows():
            mine = rows[(rows >= at) & (rows < at + frame.height)] - at
            for text in whole(frame[mine]).cast(pl.Binary):
                ends.append(ends[-1] + file.write(text))
            at += frame.height
    np.save(scratch / f"{unit.name}.npy", np.asarray(ends, np.int64))


def _texts(
    wanted: Ints, *, rows: Ints, candidates: Ints, units: Sequence[Unit], scratch: Path
) -> pl.Series:
    """The texts of some of ``rows``; ``wanted`` has their places in it, ascending."""
    places = np.searchsorted(candidates, rows[wanted])
    bounds = np.searchsorted(candidates, [unit.after for unit in units])
    owners = np.searchsorted(bounds, places, side="right")
    found = []
    for owner in np.unique(owners):
        path = scratch / units[owner].name
        ends = np.load(path.with_suffix(".npy"))
        mine = places[owners == owner] - (bounds[owner - 1] if owner else 0)
        with path.open("rb") as file:
            for place in mine.tolist():
                file.seek(ends[place])
                found.append(file.read(ends[place + 1] - ends[place]))
    return pl.Series("text", found, pl.Binary).cast(pl.String)
