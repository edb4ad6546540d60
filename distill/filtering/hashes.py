"""Hashes of a row's question and texts, and its size.

Measured like a signal, for selection; no rule may name it.
"""

import hashlib
import unicodedata

import polars as pl

from distill.rows import conversation, user_turns
from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "prompt_hash": pl.UInt64(),
    "text_hash": pl.UInt64(),
    "text_bytes": pl.UInt64(),
}
VERSION = 2
COST = 0

# Rows with more bytes of text are dropped. R1's longest answers, 32,768 tokens, are 0.2 MB.
LARGEST = 8 << 20


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """prompt_hash, text_hash: the first 8 bytes of a sha256; text_bytes: of all texts, in UTF-8.

    Prompts are whole conversations without what the system says. Equal ones are equal in Unicode
    form C with single spaces. Equal texts have equal prompts and responses in that sense, and equal
    thoughts but for their ends and how their lines end.
    """
    small = without_oversized(frame)
    thoughts = small["reasoning"]  # twice: Python takes as long to encode them as to hash them
    columns = (_prompt(small), thoughts, thoughts.cast(pl.Binary), small["response"])
    hashes = [_hashes(*texts) for texts in zip(*columns, strict=True)]
    pairs = pl.DataFrame(
        hashes, schema={n: COLUMNS[n] for n in ("prompt_hash", "text_hash")}, orient="row"
    )
    return pairs.with_columns(text_bytes=frame.select(_bytes()).to_series())


def question(frame: pl.DataFrame) -> pl.Series:
    """All that the user said, turn by turn; the id of the row where the data does not say."""
    return _or_id(frame, user_turns())


def _prompt(frame: pl.DataFrame) -> pl.Series:
    """The same with what was answered in between: it is part of what the last turn asks."""
    return _or_id(frame, conversation())


def _or_id(frame: pl.DataFrame, text: pl.Expr) -> pl.Series:
    said = pl.when(text.str.strip_chars("\n") != "").then(text)
    return frame.select(question=pl.coalesce(said, "id")).to_series()


def without_oversized(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows; those of more than LARGEST bytes without their texts."""
    large = _bytes() > LARGEST
    if not frame.select(large.any()).item():
        return frame
    empty = {"reasoning": pl.lit(""), "response": pl.lit("")}
    return frame.with_columns(
        pl.when(large).then(empty.get(name)).otherwise(pl.col(name)).alias(name)
        for name in ("messages", "gold", "reasoning", "response")
    )


def _bytes() -> pl.Expr:
    content = pl.element().struct["content"].str.len_bytes()
    asked = pl.col("messages").list.eval(content).list.sum()
    others = (pl.col(name).str.len_bytes() for name in ("gold", "reasoning", "response"))
    sizes = (size.fill_null(0).cast(pl.UInt64) for size in (asked, *others))
    return pl.sum_horizontal(sizes).alias("text_bytes")


def _hashes(asked: str, thought: str, utf8: bytes, response: str) -> tuple[int, int]:
    if not unicodedata.is_normalized("NFC", thought):
        utf8 = unicodedata.normalize("NFC", thought).encode()
    if b"\r" in utf8:
        utf8 = utf8.replace(b"\r\n", b"\n")
    question, answer = _folded(asked), _folded(response)
    return _hash(question), _hash(b"\0".join((question, utf8.strip(), answer)))


def _folded(text: str) -> bytes:
    return " ".join(unicodedata.normalize("NFC", text).split()).encode()


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
