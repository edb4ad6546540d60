"""Reads JSON that is not quite JSON, because what a server sent was paid for.

Marks at the beginning, UTF-16, halves of emoji, NaN and 1e400, nesting without end, whatever stands
around the object, an event stream, an end that was cut off behind what matters.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

DEPTH = 64  # brackets within brackets; an answer's own text lies under nine
# A cut inside more brackets than these two, the whole and a list in it, lies within the answer.
CUT_DEPTH = 2
LONG_INT = 4_000  # digits; Python reads 4,300
# Twice the longest output that any vendor allows. More is left unread: bad shapes take up to a
# microsecond a byte.
MOST_BYTES = 4 * 2**20
AROUND = "\ufeff\0 \t\r\n"
STREAM = ("data:", "event:", "id:", "retry:", ":")  # how a line of an event stream begins
# A whole string, a bracket or a comma: what lies between does not change the shape.
PIECES = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},"]', re.DOTALL)


def read(body: bytes) -> Iterator[Any]:
    """The objects in a body, in their order: one, or those of an event stream.

    Strings hold no halves of surrogate pairs; what is nested deeper than DEPTH is null.

    Raises:
        ValueError: there is none, it is cut within more than CUT_DEPTH brackets, or the body is
            longer than MOST_BYTES.
    """
    if len(body) > MOST_BYTES:
        msg = "too long"
        raise ValueError(msg)
    text = _decoded(body).strip(AROUND)
    if not text.startswith(STREAM) or "data:" not in text:  # lines to keep it alive, then JSON
        yield _object(text)
        return
    for line in re.split(r"[\r\n]+", text):
        name, _, said = line.partition(":")
        if name == "data" and "{" in said:
            yield _object(said)


def _decoded(body: bytes) -> str:
    """JSON's own rule for UTF-8, 16 and 32; what is not Unicode becomes U+FFFD."""
    bare = body.lstrip(b"\0 \t\r\n")
    found = json.detect_encoding(body) if b"\0" in bare[:4] else "utf-8"
    return (body if found != "utf-8" else bare).decode(found, "replace")


def _object(text: str) -> Any:
    """The first object in a text; what follows it is left."""
    start = text.find("{")
    if start < 0:
        msg = "no object in it"
        raise ValueError(msg)
    decoder = json.JSONDecoder(
        object_pairs_hook=_pairs, parse_constant=lambda _: None, parse_int=_int
    )
    text = text[start:]
    try:
        return clean(decoder.raw_decode(text)[0])
    except (ValueError, RecursionError):
        return clean(decoder.raw_decode(_closed(text))[0])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Where a name appears twice, its last value that is not empty."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if value or name not in found:
            found[name] = value
    return found


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) < LONG_INT else None


def clean(value: Any, depth: int = DEPTH) -> Any:
    """Without halves of surrogate pairs ("?") and without what is nested deeper than ``depth``."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        return None
    if isinstance(value, list):
        return [clean(one, depth - 1) for one in value]
    return {clean(name): clean(one, depth - 1) for name, one in value.items()}


def _closed(text: str) -> str:
    """The first object in ``text`` with null for what is too deep, and closed where it was cut.

    Raises:
        ValueError: it is cut within more than CUT_DEPTH brackets.
    """
    kept: list[str] = []
    ends: list[str] = []  # the brackets that are open, as they will be closed
    safe, safe_ends = 0, ""  # up to where ``kept`` is whole but for these
    at = 0
    for piece in PIECES.finditer(text):
        sign, depth = piece[0], len(ends)
        if sign == '"':
            break  # an unterminated string
        kept.append(text[at : piece.start()] if depth <= DEPTH else "")
        at = piece.end()
        if sign in "[{":
            ends.append("]" if sign == "[" else "}")
            kept.append(sign if depth < DEPTH else "null" if depth == DEPTH else "")
            continue
        whole = sign in "]}"
        if whole and (not ends or sign != ends.pop()):
            break
        if sign == "," and len(ends) <= CUT_DEPTH:
            safe, safe_ends = len(kept), "".join(reversed(ends))
        kept.append(sign if depth <= DEPTH else "")
        if whole and len(ends) <= CUT_DEPTH:
            safe, safe_ends = len(kept), "".join(reversed(ends))
        if whole and not ends:
            break
    if len(ends) > CUT_DEPTH:
        msg = "cut within its answer"
        raise ValueError(msg)
    return "".join(kept[:safe]) + safe_ends
