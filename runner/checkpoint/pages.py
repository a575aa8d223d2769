"""Rows of a database whose tree is broken: read page by page, as SQLite stores them.

Every leaf page of a table says by itself what stands in it, whatever became of the
pages above it. What is read here proves itself: records carry a checksum over their
key. The format: "Database File Format", sections 1.6 and 2.1, of SQLite.

Floor: doors and rules. Pure.
"""

import struct
from collections.abc import Iterator

_LEAF = 0x0D
_HEADER_BYTES = 100
"""Before page 1 only."""
_COLUMNS = 12
"""Of the table Cache: rowid, key, raw, ..., mode, filename, value."""
_KEY, _RAW, _MODE, _FILE, _VALUE = 1, 2, 9, 10, 11
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
"""Bytes of a number, by its serial type."""
_MOST_BYTES = 1 << 30
_BAD = (IndexError, ValueError, struct.error)

Row = tuple[object, object, object, object, object]
"""Key, raw, mode, filename, value."""


def rows_in(content: memoryview, page_bytes: int) -> Iterator[Row]:
    """Every row of that table that stands in a leaf, deleted ones perhaps too."""
    for number in range(len(content) // page_bytes):
        page = content[number * page_bytes : (number + 1) * page_bytes]
        start = 0 if number else _HEADER_BYTES
        if page[start] != _LEAF:
            continue
        (cells,) = struct.unpack_from(">H", page, start + 3)
        for cell in range(min(cells, page_bytes // 2)):
            try:
                yield _row(content, page, start + 8 + 2 * cell, page_bytes)
            except _BAD:
                continue  # not a row of ours, or not one any more: it is lost


def _row(content: memoryview, page: memoryview, pointer: int, page_bytes: int) -> Row:
    (at,) = struct.unpack_from(">H", page, pointer)
    size, at = _varint(page, at)
    _, at = _varint(page, at)
    payload = _payload(content, page, at, size, page_bytes)
    head, at = _varint(payload, 0)
    values: list[object] = []
    body = head
    while at < head:
        kind, at = _varint(payload, at)
        value, body = _value(payload, body, kind)
        values.append(value)
    if len(values) != _COLUMNS:
        raise ValueError("another table")
    key, raw, mode, name, value = (
        values[each] for each in (_KEY, _RAW, _MODE, _FILE, _VALUE)
    )
    return key, raw, mode, name, value


def _payload(
    content: memoryview, page: memoryview, at: int, size: int, page_bytes: int
) -> memoryview:
    """The bytes of a row, the chain of pages that take what is too long included."""
    if size > min(len(content), _MOST_BYTES):
        raise ValueError("longer than the file")
    most = page_bytes - 35
    if size <= most:
        return page[at : at + size]
    least = (page_bytes - 12) * 32 // 255 - 23
    here = least + (size - least) % (page_bytes - 4)
    here = here if here <= most else least
    found = bytearray(page[at : at + here])
    (following,) = struct.unpack_from(">I", page, at + here)
    while len(found) < size:
        if not following:
            raise ValueError("cut off")
        start = (following - 1) * page_bytes
        (following,) = struct.unpack_from(">I", content, start)
        left = size - len(found)
        found += content[start + 4 : start + min(page_bytes, 4 + left)]
    return memoryview(bytes(found))


def _value(payload: memoryview, at: int, kind: int) -> tuple[object, int]:
    if kind == 0:
        return None, at
    if kind in _SIZES:
        end = at + _SIZES[kind]
        number = int.from_bytes(payload[at:end], "big", signed=True)
        return (kind - 8 if kind in (8, 9) else number), end
    end = at + (kind - 12) // 2
    if kind < 12 or end > len(payload):  # noqa: PLR2004 - 10 and 11 are reserved
        raise ValueError("no such value")
    stored = bytes(payload[at:end])
    return (stored.decode("ascii") if kind % 2 else stored), end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the highest bit: another byte follows
            return value, at
    return value << 8 | data[at], at + 1
