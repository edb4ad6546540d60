"""Chooses among rows that passed every rule, looking at small columns of the whole set.

Its reasons are, in the order in which they are tried, ``too_hard`` and ``too_easy``, ``duplicate``,
``per_prompt`` and ``quota``. Columns and a hash of the key decide, never chance or the order of the
input.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from distill.errors import UserError, nearest
from distill.recipes.filters import Difficulty, Quota, Select

# Needed besides the columns that ``prefer`` names, and ``verdict`` for ``difficulty``.
NEEDED = ("id", "sample", "domain", "source", "reason", "text_hash", "prompt_hash")
ORDER = re.compile(r"^\s*([a-z_0-9]+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)
JUDGED = ("correct", "wrong", "no_answer")  # verdicts that say how hard the prompt is
# Which rows of each group of copies are dropped, and which is kept instead.
DUPLICATES = {"row": pl.UInt32, "keeps_row": pl.UInt32, "jaccard": pl.Float64}

Order = list[tuple[str, bool]]  # columns, and whether from the highest down
# Near copies among some rows: a table of ``row`` and ``rank`` (the lowest stays) → DUPLICATES.
NearCopies = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of each row."""

    reasons: pl.Series  # null = kept, in the order of the table
    duplicates: pl.DataFrame  # DUPLICATES, by ``row``; rows are places in the table


def preferred(terms: str, columns: Sequence[str], where: str) -> Order:
    """The columns of a ``prefer``.

    Raises:
        UserError: not a list of columns with ASC or DESC, or no such column; begins with ``where``.
    """
    pairs = []
    for term in terms.split(","):
        match = ORDER.match(term)
        if match is None:
            msg = f"{where}: {term.strip()!r}: write 'column ASC' or DESC"
            raise UserError(msg)
        name, way = match.group(1), (match.group(2) or "asc").lower()
        if name not in columns:
            msg = f"{where}: no column {name!r}; {nearest(name, columns)}"
            raise UserError(msg)
        pairs.append((name, way == "desc"))
    return pairs


def orders(select: Select, columns: Sequence[str], where: str) -> tuple[Order, Order]:
    """Which copies, and which answers to a prompt, are preferred; raises as ``preferred``."""
    first = preferred(select.prefer, columns, f"{where}: select.prefer")
    own = select.per_prompt.prefer if select.per_prompt else None
    if own is None:
        return first, first
    return first, preferred(own, columns, f"{where}: select.per_prompt.prefer")


def choose(
    table: pl.DataFrame, select: Select, by: tuple[Order, Order], near: NearCopies | None = None
) -> Choice:
    """The fate of every row of ``table``, which has NEEDED and the columns of ``by``.

    A row whose ``reason`` is set keeps it. ``near`` is called if the recipe drops near copies.
    """
    state = table.with_row_index("_row")
    copies = pl.DataFrame(schema=DUPLICATES)
    if select.difficulty is not None:
        for rows, reason in _misplaced(state, select.difficulty):
            state = _drop(state, rows, reason)
    if select.dedupe is not None:
        copies = _same_texts(_alive(state), by[0])
        state = _drop(state, copies["row"], "duplicate")
    if near is not None and select.dedupe == "near":
        more = near(_ranked(_alive(state), by[0])).cast(DUPLICATES)  # type: ignore[arg-type]
        state = _drop(state, more["row"], "duplicate")
        copies = _led_on(copies, more)
    if select.per_prompt is not None:
        state = _drop(
            state, _surplus(_alive(state), select.per_prompt.at_most, by[1]), "per_prompt"
        )
    for domain, quota in select.quota.items():
        state = _within(state, pl.col("domain") == domain, quota)
    return Choice(state["reason"], copies.sort("row"))


def draws(table: pl.DataFrame) -> pl.Series:
    """A number for each key: uniform over 64 bits, the same on every machine."""
    keys = table.select("id", "sample").iter_rows()
    return pl.Series("draw", [_draw(f"{name}\0{sample}") for name, sample in keys], dtype=pl.UInt64)


def _draw(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _alive(state: pl.DataFrame) -> pl.DataFrame:
    return state.filter(pl.col("reason").is_null())


def _drop(state: pl.DataFrame, rows: pl.Series, reason: str) -> pl.DataFrame:
    gone = pl.Series([False]).new_from_index(0, state.height).scatter(rows, True)
    return state.with_columns(
        pl.when(gone).then(pl.lit(reason)).otherwise(pl.col("reason")).alias("reason")
    )


def _ranked(alive: pl.DataFrame, by: Order) -> pl.DataFrame:
    """The rows from the most preferred down, with ``row`` and ``rank`` (0 …)."""
    names = [name for name, _ in by] + ["sample", "id"]
    down = [descending for _, descending in by] + [False, False]
    ordered = alive.sort(names, descending=down, nulls_last=True, maintain_order=True)
    return ordered.with_row_index("rank").with_columns(row=pl.col("_row"))


def _misplaced(state: pl.DataFrame, wanted: Difficulty) -> list[tuple[pl.Series, str]]:
    judged = state.filter(pl.col("verdict").is_in(JUDGED))
    share = (pl.col("verdict") == "correct").mean()
    rates = judged.group_by("prompt_hash").agg(share=share, samples=pl.len())
    rates = rates.filter(pl.col("samples") >= wanted.samples)
    told = _alive(state).join(rates, on="prompt_hash", how="inner")
    return [
        (told.filter(pl.col("share") < wanted.at_least)["_row"], "too_hard"),
        (told.filter(pl.col("share") > wanted.at_most)["_row"], "too_easy"),
    ]


def _same_texts(alive: pl.DataFrame, by: Order) -> pl.DataFrame:
    ranked = _ranked(alive, by)
    stays = pl.col("row").first().over("text_hash")
    copies = ranked.with_columns(keeps_row=stays, jaccard=1.0).filter(pl.col("row") != stays)
    return copies.select(*DUPLICATES).cast(DUPLICATES)  # type: ignore[arg-type]


def _led_on(exact: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Both; a copy of a row that was dropped as a near copy points to the row kept for that."""
    moved = near.select(keeps_row="row", _to="keeps_row", _alike="jaccard")
    led = exact.join(moved, on="keeps_row", how="left").select(
        "row",
        keeps_row=pl.coalesce("_to", "keeps_row"),
        jaccard=pl.coalesce("_alike", "jaccard"),
    )
    return pl.concat([led, near])


def _surplus(alive: pl.DataFrame, most: int, by: Order) -> pl.Series:
    place = pl.int_range(pl.len()).over("prompt_hash")
    return _ranked(alive, by).filter(place >= most)["row"]


def _within(state: pl.DataFrame, mine: pl.Expr, quota: Quota) -> pl.DataFrame:
    """Cuts each source that has a quota to it, then all of them together to the total."""
    limits = [(mine & (pl.col("source") == name), most) for name, most in quota.sources.items()]
    for rows, most in [*limits, (mine, quota.total)]:
        if most is not None:
            own = _alive(state).filter(rows)
            drawn = own.with_columns(draws(own)).sort("draw", "id", "sample")
            state = _drop(state, drawn["_row"].slice(most), "quota")
    return state
