"""Splits texts into normalised words and gives each a 64-bit hash.

Two texts have the same words if they differ only in case, white space, punctuation and Unicode
form (NFKC: NFC and NFD agree, full-width letters and ligatures are plain ones). A word is a run of
letters, digits and marks. In scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) every
character is a word, so word n-grams are character n-grams there.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from distill.near.arrays import Bytes, Hashes, Ints

BLOCK = 1 << 20  # bytes of text at a time, so that their arrays fit into a core's cache
LONGEST = 64  # bytes of a word that are hashed eight at a time; longer words are rare
SEPARATOR = 0
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
SYMBOLS = r"[^\p{L}\p{M}\p{N}\x00-\x7f]+"


def _kept() -> bytes:
    """The replacement of each byte of UTF-8: letters in lower case, SEPARATOR between words."""
    table = bytearray(256)
    for byte in range(256):
        char = chr(byte)
        if byte >= 0x80:
            table[byte] = byte  # part of a letter: other characters have been removed by then
        elif char.isalnum():
            table[byte] = ord(char.lower())
    return bytes(table)


KEPT = _kept()
MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
# Odd multipliers of MurmurHash3's finaliser (public domain).
FIRST, SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of some texts, one after the other.

    Attributes:
        hashes: one for each word, uint64.
        offsets: text ``i`` has words ``offsets[i]:offsets[i + 1]``, int64, one more than texts.
        starts: of each word in ``data``, int64.
        sizes: of each word in bytes, int64.
        data: normalised text, words separated by zero bytes, uint8.
    """

    hashes: Hashes
    offsets: Ints
    starts: Ints
    sizes: Ints
    data: Bytes

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.offsets) - 1

    def spelled(self, first: int, count: int) -> list[bytes]:
        """``count`` words as UTF-8, from the ``first`` on, counted over all texts."""
        chosen = slice(first, first + count)
        pairs = zip(self.starts[chosen].tolist(), self.sizes[chosen].tolist(), strict=True)
        return [self.data[start : start + size].tobytes() for start, size in pairs]


def blocks(texts: pl.Series, *, size: int = BLOCK) -> Iterator[tuple[int, pl.Series]]:
    """(start, slice of ``texts``), each of about ``size`` bytes and at least one text."""
    ends = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy())
    start, count = 0, len(texts)
    while start < count:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + size, side="right")))
        yield start, texts.slice(start, stop - start)
        start = stop


def read_words(texts: pl.Series) -> Words:
    """The normalised words of every text; a null has none.

    For many long texts call it on ``blocks``, because it needs about 15 bytes per byte of text.
    """
    data, bounds = _normalised(texts)
    inside = data != SEPARATOR
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts = edges[0::2]
    sizes = edges[1::2] - starts
    offsets = np.searchsorted(starts, bounds).astype(np.int64)
    return Words(hashed(data, starts, sizes), offsets, starts, sizes, data)


def _normalised(texts: pl.Series) -> tuple[Bytes, Ints]:
    """The bytes of all texts with separators around each; where each begins, and the last ends.

    There are eight more bytes at the end, so that eight can be loaded from anywhere.
    """
    texts = texts.fill_null("")
    joined = texts.str.join(" ").cast(pl.Binary).item() if len(texts) else b""
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(texts.str.len_bytes().to_numpy() + 1, out=bounds[1:])
    if not joined.isascii():
        joined, bounds = _folded(joined, bounds)
    padded = b"".join([b"\0", joined.translate(KEPT), bytes(9)])
    return np.frombuffer(padded, np.uint8), bounds


def _folded(joined: bytes, bounds: Ints) -> tuple[bytes, Ints]:
    """The same with its pieces (runs between white space) normalised, if they are not ASCII.

    Nothing composes across white space, so only these need it, and each spelling only once.
    """
    data = np.frombuffer(joined, np.uint8)
    white = np.append(np.flatnonzero(data <= ord(" ")), len(data))
    places = np.unique(np.searchsorted(white, np.flatnonzero(data >= 0x80)))
    ends = white[places]
    starts = np.where(places > 0, white[places - 1] + 1, 0)
    pieces = [joined[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    spellings = list(dict.fromkeys(pieces))
    kept = _plain(pl.Series(spellings, dtype=pl.Binary).cast(pl.String)).cast(pl.Binary)
    new = dict(zip(spellings, kept, strict=True))
    parts, last = [], 0
    for piece, start in zip(pieces, starts.tolist(), strict=True):
        parts += [joined[last:start], new[piece]]
        last = start + len(piece)
    grown = np.array([0, *(len(new[piece]) - len(piece) for piece in pieces)])
    moved = np.cumsum(grown)[np.searchsorted(starts, bounds)]
    return b"".join([*parts, joined[last:]]), bounds + moved


def _plain(texts: pl.Series) -> pl.Series:
    """Non-ASCII texts normalised; beyond ASCII only the characters of words are left."""
    texts = texts.str.normalize("NFKC").str.to_lowercase()
    return texts.str.replace_all(SYMBOLS, " ").str.replace_all(UNSPACED, " $0 ")


def hashed(data: Bytes, starts: Ints, sizes: Ints) -> Hashes:
    """One hash for each word; ``data`` must have eight more bytes after the last one.

    Words of up to eight bytes never share a hash, if they have no zero byte.
    """
    eights = np.ndarray(len(data) - 7, np.dtype("<u8"), data.data, strides=(1,))
    hashes = mixed(eights[starts] & MASKS[np.minimum(sizes, 8)])
    longer = np.flatnonzero(sizes > 8)
    for done in range(8, LONGEST, 8):
        if not len(longer):
            break
        rest = eights[starts[longer] + done] & MASKS[np.minimum(sizes[longer] - done, 8)]
        hashes[longer] = mixed(hashes[longer] * FIRST + rest)
        longer = longer[sizes[longer] > done + 8]
    for place in longer.tolist():
        word = data[starts[place] : starts[place] + sizes[place]].tobytes()
        hashes[place] = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
    return hashes


def mixed(values: Hashes) -> Hashes:
    """Spreads every bit of each value over all 64, in place; a bijection."""
    values ^= values >> HALF
    values *= FIRST
    values ^= values >> HALF
    values *= SECOND
    values ^= values >> HALF
    return values
