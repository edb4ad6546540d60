"""How much a trace repeats itself. Does not say where.

Three measures, because loops differ: verbatim ones show in 20-grams, those that change a word
each time only in the compression ratio, and the one in which a trace was cut off in its tail.
"""

import zlib

import polars as pl

COLUMNS: dict[str, pl.DataType] = {
    "zlib_ratio": pl.Float64(),
    "repeat_20gram": pl.Float64(),
    "tail_loop": pl.UInt32(),
}
VERSION = 1
COST = 1

WORDS = 20  # as in the measurements on 3,544 traces from which the shipped thresholds come
SEED = 40  # characters of the tail that must come again; shorter ones repeat in tables and lists
TURNS = 3  # a tail that is there twice is emphasis, three times a loop
_SLICE = 256  # traces whose words are in memory at once: about 8 MB of text at R1's mean length
_BLANKS = list("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") + [
    chr(code) for code in range(0x2000, 0x200B)
]  # as in str.split; ten times faster than a pattern
_MIX = 0x9E3779B97F4A7C15  # odd 64-bit constant (golden ratio): words' order changes the hash


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """zlib_ratio: null for an empty trace; repeat_20gram: 0 below 20 words."""
    traces = frame.select(
        trace=pl.concat_str(
            pl.col("reasoning", "response").fill_null(""), separator="\n"
        ).str.strip_chars()
    )["trace"]
    thoughts = frame["reasoning"].fill_null("")
    tails = zip(thoughts, traces, strict=True)
    return pl.DataFrame(
        {
            "zlib_ratio": [zlib_ratio(text) for text in traces],
            "repeat_20gram": _repeats(traces),
            "tail_loop": [max(tail_loop(a), tail_loop(b)) for a, b in tails],
        },
        schema=COLUMNS,
    )


def zlib_ratio(text: str) -> float | None:
    """Compressed bytes over bytes (zlib, level 6): about 0.3 for R1, below 0.15 in a loop."""
    data = text.encode("utf-8", "surrogatepass")
    return len(zlib.compress(data, 6)) / len(data) if data else None


def tail_loop(text: str) -> int:
    """Characters at the end that are one stretch again and again; 0 if not TURNS times.

    >>> tail_loop("So. " + "Wait, let me check that once more, and again. " * 4)
    185
    """
    text = text.rstrip()
    size = len(text)
    if size < SEED * 2:
        return 0
    again = text.rfind(text[-SEED:], 0, size - 1)
    if again < 0:
        return 0
    period = size - SEED - again
    run = _common_suffix(text, text[:-period]) + period
    return run if run >= TURNS * period else 0


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


def _repeats(traces: pl.Series) -> pl.Series:
    parts = [_repeat_20gram(traces.slice(at, _SLICE)) for at in range(0, len(traces), _SLICE)]
    return pl.concat(parts) if parts else pl.Series(dtype=pl.Float64)


def _repeat_20gram(traces: pl.Series) -> pl.Series:
    """1 - different / all word 20-grams of each trace, by a hash of each window of words."""
    words = (
        pl.DataFrame({"text": traces})
        .with_row_index("row")
        .select("row", word=pl.col("text").str.replace_many(_BLANKS, [" "]).str.split(" "))
        .explode("word")
        .filter(pl.col("word") != "")
        .select("row", h1=pl.col("word").hash(seed=0))
    )
    grams = (
        words.with_columns(h2=_join("h1", "h1", 1))
        .with_columns(h4=_join("h2", "h2", 2))
        .with_columns(h8=_join("h4", "h4", 4))
        .with_columns(h16=_join("h8", "h8", 8))
        .select("row", gram=_join("h16", "h4", 16))
        .filter(pl.col("row") == pl.col("row").shift(WORDS - 1))
    )
    counts = grams.group_by("row").agg(repeat=1 - pl.col("gram").n_unique() / pl.len())
    rows = pl.DataFrame({"row": pl.int_range(len(traces), dtype=pl.get_index_type(), eager=True)})
    return rows.join(counts, on="row", how="left", maintain_order="left")["repeat"].fill_null(0.0)


def _join(late: str, early: str, words: int) -> pl.Expr:
    """The hash of a window from those of its two parts; the early one ends ``words`` before."""
    factor = _MIX * (2 * words + 1) % 2**64  # odd, and another one at each width
    return pl.col(late) + pl.col(early).shift(words) * pl.lit(factor, pl.UInt64)  # mod 2^64
