"""Converts plain values to bytes and back; the same file on both sides of the jail.

Only the exact built-in types travel: None, bool, int, float, complex, str, bytes, list, tuple,
dict, set and frozenset, nested as you like. Anything else, subclasses included, arrives as
``Opaque``, because a value that claims to be equal to everything must not decide anything. This
file imports nothing slow, because it is loaded again in every jail.
"""

import struct

TYPE_CHECKING = False  # type checkers know this name; typing itself is slow to import
if TYPE_CHECKING:
    from typing import Any

# Deeper than any answer that a test compares; far below Python's own limit of 1000 frames.
MAX_DEPTH = 100
# Bytes of one value. A judge's largest outputs are a few MB.
MAX_BYTES = 16 << 20
# Values in one value. A million take a second to read; a hostile 16 MiB would hold 16 million.
MAX_ITEMS = 2_000_000
# Keys of one set or dict with the same hash. More would be an attack: each new key is compared with
# all of them, so a megabyte of such keys would take minutes.
MAX_SAME_HASH = 64
_MANY = {b"l": list, b"t": tuple, b"S": set, b"Z": frozenset}
_MANY_TAG: "dict[type, bytes]" = {kind: tag for tag, kind in _MANY.items()}
_SIZE = struct.Struct("<I")
_HEAD = struct.Struct("<cI")
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")


class CodecError(ValueError):
    """Bytes that ``encode`` did not make, or a value too deep or too large."""


class Opaque:
    """Stands for a value of another type; equal only to another with the same type name."""

    __slots__ = ("type_name",)
    type_name: str

    def __init__(self, type_name: str) -> None:
        object.__setattr__(self, "type_name", type_name)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a value is frozen."""
        text = "an Opaque is frozen"
        raise AttributeError(text)

    def __eq__(self, other: object) -> bool:
        return type(other) is Opaque and other.type_name == self.type_name

    def __hash__(self) -> int:
        return hash((Opaque, self.type_name))

    def __repr__(self) -> str:
        return f"Opaque({self.type_name!r})"


def encode(value: object) -> bytes:
    """The bytes of ``value``.

    Raises:
        CodecError: nested deeper than ``MAX_DEPTH`` (as a cycle is), or more than ``MAX_BYTES`` or
            ``MAX_ITEMS``.
    """
    out = _Out()
    _write(out, value, 0)
    return bytes(out)


class _Out(bytearray):
    """The bytes so far; ``left`` is how many more values may follow."""

    left = MAX_ITEMS


def _write(out: _Out, value: "Any", depth: int) -> None:
    kind = type(value)
    if kind is int:
        size = value.bit_length() // 8 + 1
        out += _HEAD.pack(b"i", size)
        out += value.to_bytes(size, "little", signed=True)
    elif kind is str:
        _put(out, b"s", value.encode("utf-8", "surrogatepass"))
    elif kind in _MANY_TAG:
        items = tuple(value)  # a copy: threads may change the value meanwhile
        _write_all(out, _MANY_TAG[kind], len(items), items, depth)
    elif kind is dict:
        pairs = tuple(value.items())
        _write_all(out, b"d", len(pairs), [each for pair in pairs for each in pair], depth)
    else:
        _write_other(out, kind, value)
    if len(out) > MAX_BYTES:
        text = f"more than {MAX_BYTES} bytes"
        raise CodecError(text)


def _put(out: bytearray, tag: bytes, body: bytes) -> None:
    if len(body) > MAX_BYTES:
        text = f"more than {MAX_BYTES} bytes"
        raise CodecError(text)
    out += _HEAD.pack(tag, len(body))
    out += body


def _write_all(out: _Out, tag: bytes, count: int, items: "Any", depth: int) -> None:
    if depth >= MAX_DEPTH:
        text = f"nested more than {MAX_DEPTH} deep"
        raise CodecError(text)
    out.left -= len(items)
    if out.left < 0:
        text = f"more than {MAX_ITEMS} values"
        raise CodecError(text)
    out += _HEAD.pack(tag, count)
    for item in items:
        _write(out, item, depth + 1)


def _write_other(out: bytearray, kind: type, value: "Any") -> None:
    if value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is float:
        out += b"f" + _FLOAT.pack(value)
    elif kind is complex:
        out += b"c" + _COMPLEX.pack(value.real, value.imag)
    elif kind is bytes:
        _put(out, b"b", value)
    else:
        name = value.type_name if kind is Opaque else kind.__name__
        _put(out, b"o", str(name)[:200].encode("utf-8", "surrogatepass"))


def decode(data: bytes, *, items: int = MAX_ITEMS) -> object:
    """The value of untrusted bytes, with at most ``items`` values inside it.

    Raises:
        CodecError: they are not what ``encode`` makes; nothing else is ever raised.
    """
    if len(data) > MAX_BYTES:
        text = f"more than {MAX_BYTES} bytes"
        raise CodecError(text)
    reader = _Reader(data, items)
    value = reader.read(0)
    if reader.at != len(data):
        text = "bytes after the value"
        raise CodecError(text)
    return value


class _Reader:
    """Reads one value; ``at`` is the next byte."""

    def __init__(self, data: bytes, left: int) -> None:
        self._data = data
        self._left = left
        self._end = len(data)
        self.at = 0

    def _take(self, n: int) -> bytes:
        start = self.at
        self.at += n
        if self.at > self._end:
            text = "cut short"
            raise CodecError(text)
        return self._data[start : self.at]

    def _sized(self) -> bytes:
        return self._take(int.from_bytes(self._take(4), "little"))

    def _count(self) -> int:
        count = int.from_bytes(self._take(4), "little")
        if count > self._end - self.at:  # every item takes at least one byte
            text = "cut short"
            raise CodecError(text)
        return count

    def read(self, depth: int) -> object:
        """The value that begins here, ``depth`` containers deep."""
        tag = self._take(1)
        if tag == b"i":
            return int.from_bytes(self._sized(), "little", signed=True)
        if tag == b"s":
            return _text(self._sized())
        if tag in _MANY:
            return self._many(_MANY[tag], depth)
        if tag == b"d":
            items = self._items(2 * self._count(), depth)
            _check_keys(items[::2])
            return dict(zip(items[::2], items[1::2], strict=True))
        return self._other(tag)

    def _items(self, n: int, depth: int) -> list[object]:
        if depth >= MAX_DEPTH:
            text = f"nested more than {MAX_DEPTH} deep"
            raise CodecError(text)
        self._left -= n
        if self._left < 0:
            text = "more values than allowed"
            raise CodecError(text)
        return [self.read(depth + 1) for _ in range(n)]

    def _many(self, kind: "Any", depth: int) -> object:
        items = self._items(self._count(), depth)
        if kind in (set, frozenset):
            _check_keys(items)
        return items if kind is list else kind(items)

    def _other(self, tag: bytes) -> object:
        if tag == b"N":
            return None
        if tag in (b"T", b"F"):
            return tag == b"T"
        if tag == b"f":
            return _FLOAT.unpack(self._take(8))[0]
        if tag == b"c":
            return complex(*_COMPLEX.unpack(self._take(16)))
        if tag == b"b":
            return self._sized()
        if tag == b"o":
            return Opaque(self._sized().decode("utf-8", "replace"))  # it may be printed
        name = f"no such tag: {tag!r}"
        raise CodecError(name)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise CodecError(str(error)) from None


def _check_keys(keys: list[object]) -> None:
    """Refuse unhashable keys, and keys made to collide."""
    same: dict[int, int] = {}
    for key in keys:
        try:
            number = hash(key)
        except TypeError as error:
            raise CodecError(str(error)) from None
        same[number] = same.get(number, 0) + 1
        if same[number] > MAX_SAME_HASH:
            text = f"more than {MAX_SAME_HASH} keys of the same hash"
            raise CodecError(text)
