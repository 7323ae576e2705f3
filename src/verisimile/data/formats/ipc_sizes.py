"""What an Arrow file or stream declares, read from its messages before anything is decoded."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc

_MAGIC = b"ARROW1\0\0"  # a file is a stream between two of these
_DICTIONARY, _RECORDS = 2, 3
# Places of the fields in the tables Message, DictionaryBatch and RecordBatch of the format.
_KIND, _CONTENT, _DATA, _LENGTH, _BUFFERS, _COMPRESSION = 1, 2, 1, 0, 2, 3


class Declared(NamedTuple):
    """Rows, and bytes of all columns in memory; what is not compressed stays in the file."""

    rows: int
    unpacked: int


def declared(mapped: Any) -> Declared:  # noqa: ANN401  (a file of Arrow)
    """Return what the messages of a file or stream say of their sizes.

    pyarrow tells the rows of a batch only after it has unpacked all of its columns, and a
    packed buffer of some bytes may declare any size.
    """
    mapped.seek(0)
    mapped.seek(len(_MAGIC) if mapped.read(len(_MAGIC)) == _MAGIC else 0)
    rows = unpacked = 0
    for message in pa.ipc.MessageReader.open_stream(mapped):
        head = message.metadata.to_pybytes()
        root = _offset(head, 0)
        kind = head[_field(head, root, _KIND)]
        if kind not in (_DICTIONARY, _RECORDS):
            continue
        batch = _table(head, root, _CONTENT)
        if kind == _DICTIONARY:
            batch = _table(head, batch, _DATA)
        else:
            length = _field(head, batch, _LENGTH)
            rows += _long(head, length) if length else 0
        if _field(head, batch, _COMPRESSION):
            unpacked += sum(
                _long(message.body.slice(start, 8).to_pybytes(), 0)
                for start, size in _buffers(head, batch)
                if size
            )
    return Declared(rows, unpacked)


def _buffers(head: bytes, batch: int) -> list[tuple[int, int]]:
    """Return start and size of all buffers in the body of a batch."""
    if not _field(head, batch, _BUFFERS):
        return []
    start = _table(head, batch, _BUFFERS)
    (count,) = struct.unpack_from("<I", head, start)
    return list(struct.iter_unpack("<qq", head[start + 4 : start + 4 + 16 * count]))


def _table(head: bytes, table: int, place: int) -> int:
    """Return where the table or vector begins to which a field points."""
    return _offset(head, _field(head, table, place))


def _offset(head: bytes, place: int) -> int:
    (offset,) = struct.unpack_from("<I", head, place)
    return place + int(offset)


def _field(head: bytes, table: int, place: int) -> int:
    """Return where a field of a table lies; 0 if it is absent, which stands for its default."""
    (back,) = struct.unpack_from("<i", head, table)
    (size,) = struct.unpack_from("<H", head, table - back)
    if 4 + 2 * place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", head, table - back + 4 + 2 * place)
    return table + int(offset) if offset else 0


def _long(data: bytes, place: int) -> int:
    (number,) = struct.unpack_from("<q", data, place)
    # −1 marks a buffer of a packed batch that is stored as it is.
    return max(int(number), 0)
