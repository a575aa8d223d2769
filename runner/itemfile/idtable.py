"""Which row has this id?

An open-addressing table of row numbers over the records, 8 bytes an item. The
digests are uniform already, so their first bytes are the hash.
Must not know what an id is.

Floor: doors and rules. Knows layout.
"""

import mmap
import struct
from array import array

from runner.itemfile.layout import DIGEST_BYTES, ID_AT, RECORD_BYTES

_HASH = struct.Struct("<Q")
_SLOTS_PER_ITEM = 2


class IdTable:
    """Rows by id digest. The records may grow up to `items` while it is used."""

    __slots__ = ("_records", "_rows", "_size")

    def __init__(self, records: mmap.mmap, items: int) -> None:
        self._records = records
        self._size = _SLOTS_PER_ITEM * items + 1
        self._rows = array("I", bytes(4)) * self._size
        """Row + 1; 0: free."""

    @classmethod
    def over(cls, records: mmap.mmap, items: int) -> "IdTable":
        """A table of all rows there are; their ids are known to differ."""
        table = cls(records, items)
        rows, size = table._rows, table._size
        unpack = _HASH.unpack_from
        for row in range(items):
            slot = unpack(records, ID_AT + row * RECORD_BYTES)[0] % size
            while rows[slot]:
                slot = (slot + 1) % size
            rows[slot] = row + 1
        return table

    def find(self, digest: bytes) -> int | None:
        """The row of that id, None when there is none."""
        return self._probe(digest)[1]

    def add(self, digest: bytes, row: int) -> int | None:
        """Note the id of `row`; the row that has this id already, if one does."""
        slot, found = self._probe(digest)
        if found is None:
            self._rows[slot] = row + 1
        return found

    def _probe(self, digest: bytes) -> tuple[int, int | None]:
        rows, records, size = self._rows, self._records, self._size
        slot = _HASH.unpack_from(digest)[0] % size
        while taken := rows[slot]:
            start = ID_AT + (taken - 1) * RECORD_BYTES
            if records[start : start + DIGEST_BYTES] == digest:
                return slot, taken - 1
            slot = (slot + 1) % size
        return slot, None
