"""Where is each item, and which number has it?

Owns the index of one items file: fixed-size records in one mapping, either just
built or a saved file. A million items are 52 MB that processes share.
Must not know JSON.

Floor: doors and rules. Knows layout.
"""

import bisect
import mmap
import threading
from array import array
from pathlib import Path
from typing import Self

from runner.itemfile import indexfile
from runner.itemfile.difference import Difference, difference
from runner.itemfile.idtable import IdTable
from runner.itemfile.layout import (
    DIGEST_BYTES,
    FINGERPRINT_AT,
    HEADER_BYTES,
    ID_AT,
    LINE_AT,
    MAX_NUMBER,
    NUMBER,
    NUMBER_AT,
    RECORD,
    RECORD_BYTES,
    end_of,
)
from runner.records import ItemRef

Place = tuple[int, int, int, bytes]
"""Offset, length, line, fingerprint."""
_NOBODY = MAX_NUMBER + 1


class ItemIndex:
    """The items of one file, by row, by number and by id. Never changes."""

    __slots__ = (
        "_count",
        "_lock",
        "_records",
        "_rows",
        "in_number_order",
        "next_number",
    )

    def __init__(
        self, records: mmap.mmap, count: int, next_number: int, *, in_number_order: bool
    ) -> None:
        self._records = records
        self._count = count
        self._rows: array[int] | None = None
        self._lock = threading.Lock()
        self.next_number = next_number
        """The number of the next item the run has never seen."""
        self.in_number_order = in_number_order
        """True when numbers rise with rows, as they do in a run's first file."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a saved index; raises StateDamaged or StateTooNew."""
        records, header = indexfile.load(path)
        return cls(
            records,
            header.count,
            header.next_number,
            in_number_order=header.in_number_order,
        )

    def save(self, path: Path) -> None:
        """Write it beside the old one, then replace that; raises StoreError."""
        header = indexfile.Header(
            count=self._count,
            next_number=self.next_number,
            in_number_order=self.in_number_order,
        )
        indexfile.save(path, self._records, header)

    def __len__(self) -> int:
        return self._count

    def ref(self, row: int) -> ItemRef:
        """The item in that row, from 0; raises IndexError."""
        offset, length, line, number, id_digest, fingerprint = RECORD.unpack_from(
            self._records, HEADER_BYTES + self._checked(row) * RECORD_BYTES
        )
        return ItemRef(
            row=row,
            number=number,
            line=line,
            offset=offset,
            length=length,
            id_digest=id_digest,
            fingerprint=fingerprint,
        )

    def place(self, row: int) -> Place:
        """Where the item in that row stands; cheaper than its ref."""
        offset, length, line, _, _, fingerprint = RECORD.unpack_from(
            self._records, HEADER_BYTES + self._checked(row) * RECORD_BYTES
        )
        return offset, length, line, fingerprint

    def number(self, row: int) -> int:
        """The number of the item in that row; cheaper than its ref."""
        at = NUMBER_AT + self._checked(row) * RECORD_BYTES
        found: int = NUMBER.unpack_from(self._records, at)[0]
        return found

    def fingerprint(self, row: int) -> bytes:
        """The fingerprint of the item in that row; cheaper than its ref."""
        start = FINGERPRINT_AT + self._checked(row) * RECORD_BYTES
        return self._records[start : start + DIGEST_BYTES]

    def line(self, row: int) -> int:
        """The line of the item in that row, from 1; cheaper than its ref."""
        at = LINE_AT + self._checked(row) * RECORD_BYTES
        found: int = NUMBER.unpack_from(self._records, at)[0]
        return found

    def id_digest(self, row: int) -> bytes:
        """The id digest of the item in that row; cheaper than its ref."""
        start = ID_AT + self._checked(row) * RECORD_BYTES
        return self._records[start : start + DIGEST_BYTES]

    def row_of_number(self, number: int) -> int | None:
        """The row of the item with that number, None when the file lacks it."""
        if not 0 <= number < self.next_number:
            return None
        if number < self._count and self.number(number) == number:
            return number  # nothing has ever changed before this row
        if self.in_number_order:
            row = bisect.bisect_left(range(self._count), number, key=self.number)
            found = row < self._count and self.number(row) == number
            return row if found else None
        row = self._rows_by_number()[number]
        return None if row == _NOBODY else row

    def find_id(self, id_digest: bytes) -> int | None:
        """The row of that id, None when there is none.

        Scans the records (about 50 ms for a million items): for one question by
        a person. Many questions are worth `table`.
        """
        at, end = ID_AT - 1, end_of(self._count)
        while (at := self._records.find(id_digest, at + 1, end)) >= 0:
            row, remainder = divmod(at - ID_AT, RECORD_BYTES)
            if not remainder:
                return row
        return None

    def table(self) -> IdTable:
        """A fast lookup by id: 8 bytes an item while it lives."""
        return IdTable.over(self._records, self._count)

    def difference(self, other: "ItemIndex") -> Difference:
        """What `other`, the newer one, changes: a table, no objects per item."""
        return difference(self, other)

    def _checked(self, row: int) -> int:
        if not 0 <= row < self._count:
            raise IndexError(row)
        return row

    def _rows_by_number(self) -> "array[int]":
        # 4 bytes for each number ever given, and only after --accept-changes.
        with self._lock:
            if self._rows is None:
                rows = array("I", [_NOBODY]) * self.next_number
                for row in range(self._count):
                    rows[self.number(row)] = row
                self._rows = rows
            return self._rows
