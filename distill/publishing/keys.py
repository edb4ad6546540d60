"""Refuses to publish credentials, whether in rows, files, names or cards."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import polars as pl

from distill.credentials.environment import own_secrets
from distill.credentials.find import keys_by_row, without_keys
from distill.errors import UserError
from distill.files.slices import BATCH, BYTES, FIRST
from distill.publishing.bundle import CARD, PushBundle
from distill.publishing.texts import plain, texts_of

OWN = "the value of "
BLOCK, OVERLAP = 4 << 20, 16 << 10  # bytes of a file at a time, and repeated with the next block
_TEXT = r"(?-u:[\t\n\r -~]{12,})"  # the shortest thing with a password in it: a://:pass@b
_ESCAPE, _SURROGATE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["\\/]))'), re.compile("[\ud800-\udfff]")
MOST_JSON = 256 << 20  # bytes: the largest tokenizers have 40 MB
MOST_HEADER = 100_000_000  # bytes: safetensors' own limit


@dataclass(frozen=True, slots=True)
class Digest:
    """Digests of the bytes that were searched, as the Hub computes them."""

    sha256: str
    git: str  # of the blob


@dataclass(slots=True)
class _Found:
    """Credentials in the rows of one file: the place of the first, and which rows have any."""

    first: tuple[int, str, str] | None = None  # row, column, kind
    rows: set[int] = field(default_factory=set)

    def add(self, row: int, column: str, kind: str) -> None:
        self.rows.add(row)
        if self.first is None or row < self.first[0]:
            self.first = (row, column, kind)


def refuse_keys(bundle: PushBundle) -> dict[str, Digest]:
    """Searches everything that is to be sent; returns its digests by path in the repository.

    Raises:
        UserError: something looks like a credential, or is the value of an environment variable
            that is named like one; or a file named as JSON is not JSON. Names the file, the row and
            its column, and the kind, but never the credential.
        ChangedError: a file is not the one that was checked before.
    """
    digests = {}
    for name in bundle.names():
        _refuse_name(name, f"{bundle.folder.path}: the name of a file")
        content = bundle.content(name)
        if isinstance(content, bytes):
            where = str(bundle.files[name].path) if name in bundle.files else CARD
            digests[name] = _look_through(BytesIO(content), len(content), where, name)
            continue
        with bundle.folder.open(content) as stream:
            if name.endswith(".parquet"):
                _refuse_keys_in_rows(stream, str(content.path))
                stream.seek(0)
            digests[name] = _look_through(stream, content.size, str(content.path), name)
    return digests


def _refuse_name(name: str, where: str) -> None:
    """Raises if a name, which is sent too and becomes a path elsewhere, is strange or a key."""
    if not name.isprintable() or "\\" in name:
        msg = f"{where}: has unusual characters, so nothing was sent; next: rename {name!a}"
        raise UserError(without_keys(msg, 400))
    if kinds := _kinds(pl.Series([name])).get(0):
        raise _key_in(where, kinds[0], "rename it")


def _look_through(stream: IO[bytes], size: int, where: str, name: str) -> Digest:
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for block, fresh in _blocks(stream):
        sha256.update(block[-fresh:])
        git.update(block[-fresh:])
        _refuse_keys_in(block, where)
    stream.seek(0)
    if name.endswith(".safetensors"):
        header = int.from_bytes(stream.read(8), "little")
        _refuse_escaped(stream.read(min(header, MOST_HEADER)), where, "safetensors")
    elif name.endswith(".json"):
        _refuse_escaped(stream.read(MOST_JSON + 1), where, "JSON")
    return Digest(sha256.hexdigest(), git.hexdigest())


def _blocks(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Pieces of a file that overlap, and how many bytes at the end of each are new."""
    before = b""
    while fresh := stream.read(BLOCK):
        yield before + fresh, len(fresh)
        before = (before + fresh)[-OVERLAP:]


def _refuse_keys_in(data: bytes, where: str) -> None:
    # Weights contain hardly any text, and finding the text first takes a tenth of the time.
    text = "\n".join(pl.Series([plain(data)]).str.extract_all(_TEXT)[0])
    kinds = _kinds(pl.Series([text])).get(0, [])
    own = [name for value, name in own_secrets().items() if value.encode() in data]  # in any script
    kinds = [*(f"{OWN}{name}" for name in own), *kinds]
    if kinds:
        raise _key_in(where, kinds[0], "rename what it names" if where == CARD else "take it out")


def _refuse_escaped(data: bytes, where: str, kind: str) -> None:
    r"""The same for JSON, where a key may be written as ``\u0073k-…``; raises if it is not JSON."""
    try:
        if len(data) > MOST_JSON:
            raise ValueError
        json.loads(data)
    except (ValueError, RecursionError):
        msg = f"{where}: not {kind}, though its name says so; nothing was sent; next: take it out"
        raise UserError(msg) from None
    if b"\\" in data:  # search the text, because of two equal names parsing keeps only the last
        text = data.decode(json.detect_encoding(data), "surrogatepass")
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
        text = _SURROGATE.sub("\ufffd", text)
        _refuse_keys_in(text.encode(), where)


def _refuse_keys_in_rows(stream: IO[bytes], where: str) -> None:
    found = _Found()
    known: dict[str, Any] = {}
    for start, frame in _slices(stream):
        numbers = pl.Series(range(start, start + frame.height), dtype=pl.UInt64)
        for column, texts, rows in texts_of(frame, numbers):
            for i, kinds in _kinds(texts).items():
                found.add(int(rows[i]), column, kinds[0])
        if found.first and not known:
            names = [name for name in ("id", "sample") if name in frame.columns]
            known = frame.select(names).row(found.first[0] - start, named=True)
    if found.first is None:
        return
    row, column, kind = found.first
    ids = ", ".join(f"{name} {value}" for name, value in known.items())
    place = f"row {row:,} (from 0{'; ' if ids else ''}{ids}), column {column}"
    more = f" and {len(found.rows) - 1:,} more rows" if len(found.rows) > 1 else ""
    remedy = "filter again without such rows (--set 'rules.keys=secret_keys = 0')"
    if kind.startswith(OWN):  # filter does not know this value
        remedy = "filter again without this row, by its id or its text"
    where = f"{where}: {without_keys(place, 300)}{more}"
    raise _key_in(where, kind, remedy)


def _slices(stream: IO[bytes]) -> Iterator[tuple[int, pl.DataFrame]]:
    """(number of its first row, rows) of a Parquet file, in tables of bounded size."""
    scan = pl.scan_parquet(stream, glob=False)
    height, start, step = int(scan.select(pl.len()).collect().item()), 0, FIRST
    while start < height:
        frame = scan.slice(start, step).collect()
        yield start, frame
        start += frame.height
        fitting = BYTES * frame.height // max(int(frame.estimated_size()), 1)
        step = max(1, min(BATCH, fitting))


def _kinds(texts: pl.Series) -> dict[int, list[str]]:
    """Number of a text → the kinds of credentials in it, those of this process first."""
    found = keys_by_row(texts)
    for value, name in own_secrets().items():
        for i in texts.str.contains(value, literal=True).fill_null(value=False).arg_true():
            found[i] = [f"{OWN}{name}", *found.get(i, [])]
    return dict(sorted(found.items()))


def _key_in(where: str, kind: str, remedy: str) -> UserError:
    for value, name in own_secrets().items():  # a row's id may be a secret
        where = where.replace(value, "…")
        if kind == OWN + name:
            remedy += f" (or unset {name} if it is no secret)"
    return UserError(
        f"{where}: holds what looks like an API key or password ({kind}), so nothing was sent; "
        f"next: {remedy}, and revoke it if it is real"
    )
