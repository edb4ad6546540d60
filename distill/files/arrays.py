"""Reads a .json file of rows: an array, an object that holds one, or JSON lines after all.

An array is read element by element, in bounded memory, however long its one line is.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from distill.errors import UserError
from distill.files.lines import LONGEST, text_lines, text_pieces
from distill.files.objects import json_object
from distill.files.talk import ROLES

# A whole string, or what opens, closes and separates; a quote alone begins an unfinished string.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|["\[\]{},]', re.DOTALL)
_INSIDE = re.compile(rb'((?:[^"\\]|\\.)*+)("?)', re.DOTALL)  # of a string: what is there of it
# Keys under which an object holds rows; under others a list may be one row's own.
HOLDERS = ("data", "rows", "examples", "instances", "records", "items", "dataset")
BOM = b"\xef\xbb\xbf"
SPACE = b" \t\r\n"
JSONL = "next: write it as JSON lines, one object a line"


def json_rows(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The rows of a .json file, in order, each with the bytes that it takes up.

    Raises:
        UserError: it is not JSON, damaged, holds no rows, or more than one list of them.
    """
    pieces = text_pieces(path)
    start = b""
    for piece in pieces:
        start = (start + piece).removeprefix(BOM).lstrip(SPACE)
        if start:
            break
    whole = chain([start], pieces)
    if start[:1] == b"[":
        for number, element in enumerate(_elements(whole, path), 1):
            yield json_object(element, path, number, part="element"), len(element)
    elif start:
        yield from ((row, 0) for row in _of_object(path))


def _elements(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """The text of each element of an array."""
    depth, start, at, text, comma, inside = 0, 0, 0, b"", False, False
    for piece in pieces:
        text, start, at = text[start:] + piece, 0, at - start
        if len(text) > LONGEST + len(piece):
            msg = f"{path}: an element is longer than {LONGEST >> 20} MB; cut or remove it"
            raise UserError(msg)
        if inside and (rest := _INSIDE.match(text, at)):  # each piece is looked at once
            inside, at = not rest[2], rest.end()
        while not inside and (met := _TOKEN.search(text, at)):
            at = met.end()
            if met[0] == b'"' and (rest := _INSIDE.match(text, at)):
                inside, at = True, rest.end()
            if met[0][:1] == b'"':
                continue
            depth += (met[0] in b"[{") - (met[0] in b"]}")
            if depth == 1 and start == 0 and met[0] == b"[":
                start = at
            elif (depth == 1 and met[0] == b",") or depth == 0:
                element, start = text[start : met.start()].strip(SPACE), at
                if not element and (comma or met[0] == b","):
                    raise _damaged(path)
                comma = met[0] == b","
                if element:
                    yield element
            if depth == 0:
                if text[at:].strip(SPACE) or any(piece.strip(SPACE) for piece in pieces):
                    raise _damaged(path)
                return
    raise _damaged(path)


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: not a whole JSON array; fetch or write the file again")


def _of_object(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an object, or of many: what is named .json is often JSON lines."""
    numbered = ((number, line.strip()) for number, line in enumerate(text_lines(path), 1))
    lines = ((number, line) for number, line in numbered if line)
    number, line = next(lines)
    first = (number, line.removeprefix(BOM).strip())
    second = next(lines, None)
    if second is None:
        yield from _held(json_object(first[1], path, 1), path)
        return
    if _is_object(first[1], path):
        for number, line in chain([first, second], lines):
            yield json_object(line, path, number)
        return
    every = (line for _, line in chain([first, second], lines))
    text = b"\n".join(_bounded(every, path))
    yield from _held(json_object(text, path, 1), path)


def _is_object(line: bytes, path: Path) -> bool:
    try:
        json_object(line, path, 1)
    except UserError:
        return False
    return True


def _bounded(lines: Iterator[bytes], path: Path) -> Iterator[bytes]:
    left = LONGEST
    for line in lines:
        left -= len(line)
        if left < 0:
            msg = f"{path}: one object of more than {LONGEST >> 20} MB; {JSONL}"
            raise UserError(msg)
        yield line


def _held(value: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The rows that an object holds; else it is one row itself."""
    lists = {name: rows for name, rows in value.items() if _are_rows(rows)}
    if len(lists) > 1:
        msg = f"{path}: {' and '.join(lists)} could both be the rows; {JSONL}"
        raise UserError(msg)
    for name, rows in lists.items():
        if name.lower() in HOLDERS or len(value) == 1:
            return [_shown(row) for row in rows]
    if _is_table(value):
        msg = f"{path}: holds a table by columns or by keys, not rows; {JSONL}"
        raise UserError(msg)
    return [value]


def _are_rows(rows: Any) -> bool:
    """Whether it is a list of objects that are no turns of a conversation."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return False
    return not any(name in row for row in rows for name in ROLES)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the Hub's viewer returns it is in an object with its number."""
    inner = row.get("row")
    return inner if isinstance(inner, dict) and "row_idx" in row else row


def _is_table(value: dict[str, Any]) -> bool:
    parts = list(value.values())
    if len(parts) > 1 and all(isinstance(part, list) for part in parts):
        return len({len(part) for part in parts}) == 1
    return bool(parts) and all(isinstance(part, dict) for part in parts)
