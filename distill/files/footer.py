"""What the footer of a Parquet file says that reading it takes.

It is in Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md);
the fields are those of parquet.thrift (github.com/apache/parquet-format).
"""

import struct
from pathlib import Path
from typing import Any

from distill.files.lines import most_unpacked, too_dense

TAIL = 8  # bytes: the footer's length and a mark
VALUE = 8  # bytes of one number; a text takes twice that
DEEPEST = 16  # parquet.thrift nests to about eight
# Types of the compact protocol.
_TRUE, _BYTE, _DOUBLE, _BINARY, _LISTS, _STRUCT = 1, 3, 7, 8, (9, 10), 12
# FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data, and of ColumnMetaData num_values
# and total_uncompressed_size.
ROW_GROUPS, COLUMNS, META_DATA, NUM_VALUES, UNCOMPRESSED = 4, 1, 3, 5, 6


def refuse_bomb(path: Path) -> None:
    """Raises if reading the file would take more than any honest file of its size takes.

    Raises:
        UserError: its pages or values expand to an absurd size.
    """
    if unpacked_bytes(path) > most_unpacked(path):
        raise too_dense(path)


def unpacked_bytes(path: Path) -> int:
    """Bytes of all its pages when decompressed, or of its values if they are more.

    A text that is in a dictionary counts once, however often a row has it. 0 if it has no footer
    that can be read, which is for the reader of the file to say.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        tail = file.read()
        length = int.from_bytes(tail[:4], "little")
        if len(tail) < TAIL or length > size - TAIL:
            return 0
        file.seek(size - TAIL - length)
        footer = file.read(length)
    try:
        groups = _Thrift(footer).struct()[ROW_GROUPS]
        chunks = [chunk[META_DATA] for group in groups for chunk in group[COLUMNS]]
        return sum(max(one[UNCOMPRESSED], VALUE * one[NUM_VALUES]) for one in chunks)
    except (KeyError, TypeError, ValueError, IndexError, struct.error):
        return 0


class _Thrift:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, deep: int = 0) -> dict[int, Any]:
        """The fields by their numbers."""
        if deep > DEEPEST:
            raise ValueError
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            found[number] = kind == _TRUE if kind <= _TRUE + 1 else self._value(kind, deep)
        return found

    def _value(self, kind: int, deep: int) -> Any:
        if kind in _LISTS:
            return self._list(deep)
        if kind == _STRUCT:
            return self.struct(deep + 1)
        if kind in (_BINARY, _DOUBLE):
            length = self._natural() if kind == _BINARY else 8
            self.at += length
            return None  # nobody needs them
        return self._byte() if kind <= _BYTE else self._integer()

    def _list(self, deep: int) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._natural()
        return [self._value(head & 15, deep + 1) for _ in range(length)]

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _natural(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        value = self._natural()
        return value >> 1 ^ -(value & 1)
