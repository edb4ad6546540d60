"""How much a trace repeats itself; counts its words on the way.

Four measures, because loops differ: verbatim ones show in 20-grams; those that change a word each
time only in the compression ratio, or, begun late in a long thought, in that of its last part; and
the one in which a trace was cut off in its tail.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import zstandard

from distill.near.grams import grams
from distill.signals.settings import Settings
from distill.signals.words import split_words

COLUMNS: dict[str, pl.DataType] = {
    "zstd_ratio": pl.Float64(),
    "tail_zstd_ratio": pl.Float64(),
    "repeat_20gram": pl.Float64(),
    "most_repeats": pl.UInt32(),
    "tail_loop": pl.UInt32(),
    "tail_period": pl.UInt32(),
    "total_words": pl.UInt32(),
}
VERSION = 3
COST = 1

WORDS = 20  # as in the measurements on 3,544 traces from which the shipped thresholds come
TAIL = 4_096  # bytes at the thought's end: in them whole traces keep above .28, and loops below .22
SEED = 40  # characters of the tail that must recur; shorter ones repeat in tables and lists
TURNS = 3  # a tail that appears twice is emphasis, three times a loop
LEVEL = 1  # of zstd: a ninth of the time of zlib's 6, and finds loops as well; see docs/filters.md
_SLICE = 64  # rows copied at once, and
_TOGETHER = 1 << 17  # bytes hashed at once: both fit a core's own cache
_ROWS = np.uint64(10)  # bits of a gram's hash that name its text


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The ratios: compressed over plain bytes, null for an empty trace.

    repeat_20gram and most_repeats: 0 below 20 words. tail_loop: the longer of the thought's and
    the response's.
    """
    press = zstandard.ZstdCompressor(
        level=LEVEL, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    rows: list[tuple[float | int | None, ...]] = []
    for part in frame.select("reasoning", "response").iter_slices(_SLICE):
        thoughts, responses, traces = _texts(part)
        shares = [found for group in _groups(traces) for found in repeated_20grams(group)]
        for thought, response, trace, (repeat, most, words) in zip(
            thoughts, responses, traces, shares, strict=True
        ):
            last = _ratio((thought or trace)[-TAIL:], press)
            loop = max(tail_loop(thought), tail_loop(response))
            rows.append((_ratio(trace, press), last, repeat, int(most), *loop, words))
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _texts(part: pl.DataFrame) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Thoughts, responses and both, in UTF-8, without white space around them."""
    filled = part.select(pl.all().fill_null("").str.strip_chars())
    texts = filled.cast(pl.Binary).get_columns()
    thoughts, responses = (column.to_list() for column in texts)
    both = [b"\n".join(pair) for pair in zip(thoughts, responses, strict=True)]
    return thoughts, responses, [text.strip(b"\n") for text in both]


def _ratio(text: bytes, press: zstandard.ZstdCompressor) -> float | None:
    return len(press.compress(text)) / len(text) if text else None


def _groups(texts: list[bytes]) -> Iterator[list[bytes]]:
    """Neighbours, of about _TOGETHER bytes; never more than _SLICE."""
    group: list[bytes] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= _TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def tail_loop(data: bytes) -> tuple[int, int]:
    """(characters at the end that are one stretch again and again, characters of one turn).

    (0, 0) if the stretch appears fewer than TURNS times. ``data`` is UTF-8.

    >>> tail_loop(b"So. " + b"Wait, let me check that once more, and again. " * 4)
    (185, 46)
    """
    seed = data[-4 * SEED :].decode("utf-8", "ignore")[-SEED:]
    if data.rfind(seed.encode(), 0, len(data) - 1) < 0:  # nearly every trace ends here
        return 0, 0
    text = data.decode().rstrip()
    size = len(text)
    if size < SEED * 2:
        return 0, 0
    again = text.rfind(text[-SEED:], 0, size - 1)
    if again < 0:
        return 0, 0
    period = size - SEED - again
    run = _common_suffix(text, text[:-period]) + period
    return (run, period) if run >= TURNS * period else (0, 0)


def _common_suffix(text: str, other: str) -> int:
    """How many characters at the ends of two texts are the same; by halving, not one by one."""
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if text[len(text) - middle :] == other[len(other) - middle :]:
            low = middle
        else:
            high = middle - 1
    return low


def repeated_20grams(texts: list[bytes]) -> list[tuple[float, float, int]]:
    """(share of stretches of WORDS words that are repeats, turns of the most frequent, words).

    The share is 1 - different / all; zeros below WORDS words. By hashes: at most 2 ** 10 texts, and
    two stretches share one with chance 2^-54.
    """
    words = split_words(texts)
    counts = np.diff(words.offsets)
    totals = np.maximum(counts - WORDS + 1, 0)
    if not totals.any():
        return [(0.0, 0.0, count) for count in counts.tolist()]
    hashes, _ = grams(words, WORDS)
    row = np.repeat(np.arange(len(texts), dtype=np.uint64), totals)
    keys = np.sort((hashes >> _ROWS) | (row << (np.uint64(64) - _ROWS)))
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))  # of equal ones
    times = np.diff(first, append=len(keys))
    begins = np.searchsorted(first, np.cumsum(totals) - totals)  # each text's first stretch
    some = totals > 0
    different = np.diff(begins[some], append=len(first))
    found = np.zeros((2, len(texts)))
    found[0, some] = 1 - different / totals[some]
    found[1, some] = np.maximum.reduceat(times, begins[some])
    return list(zip(*found.tolist(), counts.tolist(), strict=True))
