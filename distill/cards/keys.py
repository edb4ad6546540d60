"""Keeps API keys out of what is published: in rows, files and cards. Does not take them out."""

from pathlib import Path

import polars as pl

from distill.cards.parcel import CARD, Parcel
from distill.errors import UserError
from distill.recipes.secrets import SECRET


def refuse_keys(parcel: Parcel) -> None:
    """Raises if anything in the parcel looks like an API key.

    Raises:
        UserError: names the file, and the row's id, but never the key.
    """
    for name, file in parcel.files.items():
        if name.endswith(".parquet"):
            _refuse_keys_in_rows(file)
        edited = parcel.edited.get(name)
        if SECRET.search(_text_of(file) if edited is None else edited.decode()):
            raise _key_in(str(file), "take it out")
    if SECRET.search(parcel.card.decode()):  # a file's name may hold one too
        raise _key_in(CARD, "rename what it names")


def _refuse_keys_in_rows(shard: Path) -> None:
    rows = pl.scan_parquet(shard, glob=False)
    schema = rows.collect_schema()
    leaks = [_has_key(pl.col(name), kind) for name, kind in schema.items()]
    names = [name for name in ("id", "sample") if name in schema]
    found = rows.filter(pl.any_horizontal(leaks)).select(names).collect(engine="streaming")
    if found.height:
        where = " sample ".join(SECRET.sub("…", str(value)) for value in found.row(0))
        more = f" and {found.height - 1:,} more rows" if found.height > 1 else ""
        where = f"{shard}: row {where}{more}"
        raise _key_in(where, "drop it with a rule of the filters recipe")


def _has_key(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Whether any text in a value of that type looks like an API key."""
    if isinstance(kind, pl.List | pl.Array):
        items = value if isinstance(kind, pl.List) else value.arr.to_list()
        return items.list.eval(_has_key(pl.element(), kind.inner)).list.any()  # type: ignore[arg-type]
    if isinstance(kind, pl.Struct):
        inner = [_has_key(value.struct.field(f.name), f.dtype) for f in kind.fields]  # type: ignore[arg-type]
        return pl.any_horizontal(inner)
    if isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        return value.cast(pl.String).str.contains(SECRET.pattern)
    return pl.lit(value=False)


def _text_of(file: Path) -> str:
    """What a file says in words: all of it, or the header of a file of numbers."""
    if file.suffix == ".parquet":
        return str(pl.read_parquet_metadata(file))
    with file.open("rb") as stream:
        if file.suffix != ".safetensors":
            return stream.read().decode("utf-8", "replace")
        size = int.from_bytes(stream.read(8), "little")
        # safetensors' own format: 8 bytes of length, then a JSON header of at most 100 MB
        return stream.read(min(size, 100_000_000)).decode("utf-8", "replace")


def _key_in(where: str, remedy: str) -> UserError:
    return UserError(
        f"{where}: holds what looks like an API key, so nothing was sent; next: {remedy}, "
        "and revoke the key if it is real"
    )
