"""Reads the lines of a text file, compressed or not, in bounded memory."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from distill.errors import UserError

LONGEST = 128 << 20  # bytes of a line; reading it as JSON takes up to ten times that in memory
PIECE = 1 << 20  # bytes that are read at a time
ZSTD_PIECE = 1 << 12  # compressed: at most 128 MB of text, by the format's largest block
# Traces shrink to a third or a tenth, loops to a fiftieth; what shrinks more is an attack.
EXPANSION = 200
EXPANSION_FROM = 1 << 30  # bytes of text that are always allowed


def text_lines(path: Path) -> Iterator[bytes]:
    """The lines in order, without their ends; the last one needs no end.

    Raises:
        UserError: as ``text_pieces``, or a line has more than LONGEST bytes.
    """
    yield from _split(text_pieces(path), path)


def text_pieces(path: Path) -> Iterator[bytes]:
    """The text in pieces of about PIECE bytes, or as the compression gives them.

    Raises:
        UserError: the file is cut short or damaged, or expands to an absurd size.
    """
    try:
        yield from _pieces(path)
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
        return _measured(_read(gzip.open(path)), path)
    return _read(path.open("rb"))


def _measured(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    most = max(EXPANSION_FROM, EXPANSION * path.stat().st_size)
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            msg = f"{path}: expands to more than {EXPANSION} times its size; unpack it yourself"
            raise UserError(msg)
        yield piece


def _read(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def _zstd(path: Path) -> Iterator[bytes]:
    """Frame by frame, because zstandard's own reader does not notice a file that is cut short."""
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


def separator_of(path: Path) -> str:
    """What stands between the columns of a CSV: spreadsheets also write semicolons or tabs."""
    with path.open("rb") as file:
        names = file.readline(1 << 16)
    return max((b",", b";", b"\t"), key=names.count).decode()
