"""What makes a thought hard to read, after DeepSeek-R1: long paragraphs, long lines, code blocks.

In the response all three are fine. R1 publishes no limits.
"""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.signals.settings import Settings

COLUMNS: dict[str, pl.DataType] = {
    "longest_paragraph_chars": pl.UInt32(),
    "longest_line_chars": pl.UInt32(),
    "mean_line_chars": pl.Float64(),
    "thought_code_fences": pl.UInt32(),
}
VERSION = 2
COST = 0

_EMPTY = re.compile(rb"\n[ \t]+(?=\n)")  # a line of blanks
_FENCE = re.compile(rb"^[ \t]*(?:```|~~~)", re.MULTILINE)
_SLICE = 64  # rows looked at together, so that they stay in a core's own cache


def measure(frame: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """A paragraph ends at an empty line; a fence is a line that begins with three backticks.

    Blanks around a paragraph or line count. The mean is of lines that are not empty.
    """
    thoughts = frame.select(pl.col("reasoning").fill_null("").str.strip_chars()).to_series()
    parts = []
    for start in range(0, len(thoughts), _SLICE):
        texts = thoughts.slice(start, _SLICE).cast(pl.Binary).to_list()
        lines = _Lines.of(texts)
        odd = lines.beginning_with(b" \t\r`~")  # these texts need a closer look; few do
        fences = [len(_FENCE.findall(text)) if n else 0 for text, n in zip(texts, odd, strict=True)]
        if any(odd):
            lines = _Lines.of([_even(t) if n else t for t, n in zip(texts, odd, strict=True)])
        parts.append(lines.shapes().with_columns(thought_code_fences=pl.Series(fences)))
    return pl.concat(parts).cast(pl.Schema(COLUMNS)) if parts else pl.DataFrame(schema=COLUMNS)


def _even(text: bytes) -> bytes:
    """Lines end in one way, and empty ones hold nothing."""
    return _EMPTY.sub(b"\n", text.replace(b"\r\n", b"\n"))


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the lines of some texts are in all of them joined; numbers are of bytes."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]  # at the line's end, one behind its last byte
    first: NDArray[np.int64]  # the first line of each text

    @classmethod
    def of(cls, texts: list[bytes]) -> "_Lines":
        joined = b"\n\n".join([*texts, b""])  # an empty line after each: no paragraph spans two
        data = np.frombuffer(joined, dtype=np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        starts = np.concatenate([[0], ends[:-1] + 1])
        bounds = np.cumsum([0] + [len(text) + 2 for text in texts[:-1]])
        return cls(data, starts, ends, np.searchsorted(starts, bounds))

    def beginning_with(self, signs: bytes) -> list[bool]:
        r"""Which texts have a line that begins with one of ``signs``, or ends with \r."""
        begin = np.isin(self.data[self.starts], np.frombuffer(signs, dtype=np.uint8))
        begin |= self.data[self.ends - 1] == ord("\r")
        found: list[bool] = np.logical_or.reduceat(begin, self.first).tolist()
        return found

    def shapes(self) -> pl.DataFrame:
        """The columns that lines decide, in characters."""
        later = np.flatnonzero(self.data.view(np.int8) < -64)  # no first byte of a character
        last = self.ends - np.searchsorted(later, self.ends)
        first = np.concatenate([[0], last[:-1] + 1])  # a line begins behind the one before
        sizes = last - first
        full = np.concatenate([[False], sizes > 0, [False]])
        begins, stops = full[1:-1] & ~full[:-2], full[1:-1] & ~full[2:]
        longest = np.zeros(len(sizes), dtype=np.int64)
        longest[begins] = last[stops] - first[begins]
        count = np.add.reduceat(sizes > 0, self.first, dtype=np.int64)
        total = np.add.reduceat(sizes, self.first)
        return pl.DataFrame(
            {
                "longest_paragraph_chars": np.maximum.reduceat(longest, self.first),
                "longest_line_chars": np.maximum.reduceat(sizes, self.first),
                "mean_line_chars": [
                    t / n if n else None for t, n in zip(total, count, strict=True)
                ],
            },
            schema_overrides={"mean_line_chars": pl.Float64},
        )
