"""Rows of a database whose tree is broken: read page by page, as SQLite stores them.

Every leaf page of a table says by itself what stands in it, whatever became of the
pages above it. What is read here proves itself: records carry a checksum over their
key. The format: "Database File Format", sections 1.6 and 2.1, of SQLite.

Floor: doors and rules. Pure.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_LEAF = 0x0D
_HEADER_BYTES = 100
"""Before page 1 only."""
_COLUMNS = 12
"""Of the table Cache: rowid, key, raw, ..., mode, filename, value."""
_KEY, _RAW, _MODE, _FILE, _VALUE = 1, 2, 9, 10, 11
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
"""Bytes of a number, by its serial type."""
_MOST_BYTES = 1 << 30
_USUAL_PAGE = 4096
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
_PAGE_SIZE_AT = slice(16, 18)
_BAD = (IndexError, ValueError, struct.error)

Row = tuple[object, object, object, object, object]
"""Key, raw, mode, filename, value."""


class Pages(Protocol):
    """Numbered pages, from 1, some perhaps in several versions."""

    @property
    def page_bytes(self) -> int:
        """How long each is."""
        ...

    @property
    def size_bytes(self) -> int:
        """No row is longer."""
        ...

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        """Number and content of each, older versions first."""
        ...

    def page(self, number: int) -> memoryview:
        """The last version of one; empty if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class DatabasePages:
    """The pages of a database file."""

    content: memoryview
    page_bytes: int

    @property
    def size_bytes(self) -> int:
        """The file's size."""
        return len(self.content)

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        numbers = range(1, len(self.content) // self.page_bytes + 1)
        return ((number, self.page(number)) for number in numbers)

    def page(self, number: int) -> memoryview:
        """What is there of this page."""
        end = number * self.page_bytes
        return self.content[max(end - self.page_bytes, 0) : end]


def page_sizes(database: memoryview, *told: int) -> frozenset[int]:
    """How long pages may be: as the header and others tell, or as usual."""
    size = int.from_bytes(database[_PAGE_SIZE_AT], "big")
    size = max(_PAGE_SIZES) if size == 1 else size
    return _PAGE_SIZES & {size, _USUAL_PAGE, *told}


def rows_in(pages: Pages) -> Iterator[Row]:
    """Every row of that table that stands in a leaf, deleted ones perhaps too."""
    for number, page in pages:
        start = _HEADER_BYTES if number == 1 else 0
        if page[start] != _LEAF:
            continue
        (cells,) = struct.unpack_from(">H", page, start + 3)
        for cell in range(min(cells, pages.page_bytes // 2)):
            try:
                yield _row(pages, page, start + 8 + 2 * cell)
            except _BAD:
                continue  # not a row of ours, or not one any more: it is lost


def _row(pages: Pages, page: memoryview, pointer: int) -> Row:
    (at,) = struct.unpack_from(">H", page, pointer)
    size, at = _varint(page, at)
    _, at = _varint(page, at)
    payload = _payload(pages, page, at, size)
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


def _payload(pages: Pages, page: memoryview, at: int, size: int) -> memoryview:
    """The bytes of a row, the chain of pages that take what is too long included."""
    page_bytes = pages.page_bytes
    if size > min(pages.size_bytes, _MOST_BYTES):
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
        more = pages.page(following) if following else page[:0]
        if len(more) <= 4:  # noqa: PLR2004 - the number of the page after it
            raise ValueError("cut off")
        (following,) = struct.unpack_from(">I", more)
        found += more[4 : 4 + size - len(found)]
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
