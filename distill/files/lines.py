"""The lines of a text file, compressed or not, in bounded memory. Does not look into them."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from distill.errors import UserError

LONGEST = 128 << 20  # bytes of a line; reading it as JSON takes up to ten times that in memory
PIECE = 1 << 20  # bytes that are read at one time
ZSTD_PIECE = 1 << 12  # compressed: at most 128 MB of text, by the format's largest block
# Traces shrink to a third or a tenth, loops to a fiftieth; what shrinks further was made to.
EXPANSION = 200
EXPANSION_FROM = 1 << 30  # bytes of text from which on that is asked


def text_lines(path: Path) -> Iterator[bytes]:
    """Without their ends, in order; the last needs no end.

    Raises:
        UserError: the file is cut short or damaged, expands beyond all measure, or has a line of
            more than LONGEST bytes.
    """
    try:
        yield from _split(_pieces(path), path)
    except (gzip.BadGzipFile, zstandard.ZstdError, zlib.error, EOFError, OSError) as error:
        msg = f"{path}: cannot be read to its end: {error}; fetch or write the file again"
        raise UserError(msg) from None


def _split(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    waiting: list[bytes] = []
    number, size = 1, 0
    for piece in pieces:
        first, *more = piece.split(b"\n")
        waiting.append(first)
        size += len(first)
        if more:
            yield b"".join(waiting)
            yield from more[:-1]
            number += len(more)
            waiting, size = [more[-1]], len(more[-1])
        if size > LONGEST:
            msg = f"{path}:{number}: longer than {LONGEST >> 20} MB; cut or remove the line"
            raise UserError(msg)
    yield b"".join(waiting)


def _pieces(path: Path) -> Iterator[bytes]:
    name = path.name.lower()
    if name.endswith(".zst"):
        return _measured(_zstd(path), path)
    if name.endswith(".gz"):
        return _measured(_gzip(path), path)
    return _plain(path)


def _measured(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    most = max(EXPANSION_FROM, EXPANSION * path.stat().st_size)
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            msg = f"{path}: expands to more than {EXPANSION} times its size; unpack it yourself"
            raise UserError(msg)
        yield piece


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _gzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while piece := file.read(PIECE):
            yield piece


def _zstd(path: Path) -> Iterator[bytes]:
    """Frame by frame; zstandard's own reader takes a file cut short for a whole one."""
    frame = None
    with path.open("rb") as file:
        while data := file.read(ZSTD_PIECE):
            while data:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(data)
                data, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        msg = "it ends within a frame"
        raise EOFError(msg)
