"""How do accepted items become an index?

Owns the numbers (an item of the run's previous index keeps its own, others get
the next free ones) and the search for duplicate ids.
Must not know lines or JSON.

Floor: doors and rules. Knows index and identity.
"""

from runner.errors import ItemFileError
from runner.itemfile.identity import made_digest
from runner.itemfile.idtable import IdTable
from runner.itemfile.index import ItemIndex
from runner.itemfile.layout import (
    HEADER_BYTES,
    MAX_NUMBER,
    RECORD,
    RECORD_BYTES,
    anonymous,
)

_REMEMBERED = 4096


class IndexBuilder:
    """Takes items in line order, at most `items` of them."""

    def __init__(self, items: int, known: ItemIndex | None) -> None:
        self._room = items
        self._records = anonymous(items)
        self._table = IdTable(self._records, items)
        self._known = known
        self._known_table = known.table() if known else None
        self._count = 0
        self._next_number = known.next_number if known else 0
        self._last_number = -1
        self._in_number_order = True
        self._copies: dict[bytes, int] = {}
        self.copies = 0
        """Items without an id whose line stood there before: asked all the same."""

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """True when no item more than announced can be taken."""
        return self._count == self._room

    def made_digest(self, fingerprint: bytes) -> bytes:
        """An id digest for an item without an id: the next copy of its bytes.

        Copies are numbered without gaps, so the next free number is found by
        galloping and halving; a few thousand recent ones are remembered.
        """
        copy = self._copies.get(fingerprint)
        if copy is None or self._has_copy(fingerprint, copy):
            copy = self._free_copy(fingerprint, 0 if copy is None else copy)
        if len(self._copies) >= _REMEMBERED:
            self._copies.clear()
        self._copies[fingerprint] = copy + 1
        self.copies += copy > 0
        return made_digest(fingerprint, copy)

    def add(
        self, offset: int, length: int, line: int, id_digest: bytes, fingerprint: bytes
    ) -> int | None:
        """Take one item; returns the row of the item that has this id already."""
        row = self._count
        taken = self._table.add(id_digest, row)
        if taken is not None:
            return taken
        if line > MAX_NUMBER:
            raise _too_many("lines", "one file")
        number = self._number_for(id_digest, fingerprint)
        RECORD.pack_into(
            self._records,
            HEADER_BYTES + row * RECORD_BYTES,
            *(offset, length, line, number, id_digest, fingerprint),
        )
        self._in_number_order &= number > self._last_number
        self._last_number = number
        self._count = row + 1
        return None

    def index(self) -> ItemIndex:
        """The index so far, over the same records."""
        return ItemIndex(
            self._records,
            self._count,
            self._next_number,
            in_number_order=self._in_number_order,
        )

    def _number_for(self, id_digest: bytes, fingerprint: bytes) -> int:
        if self._known is not None and self._known_table is not None:
            row = self._known_table.find(id_digest)
            if row is not None and self._known.fingerprint(row) == fingerprint:
                return self._known.number(row)
        number = self._next_number
        if number > MAX_NUMBER:
            raise _too_many("items", "one run")
        self._next_number = number + 1
        return number

    def _has_copy(self, fingerprint: bytes, copy: int) -> bool:
        return self._table.find(made_digest(fingerprint, copy)) is not None

    def _free_copy(self, fingerprint: bytes, low: int) -> int:
        if not self._has_copy(fingerprint, low):
            return low
        step = 1
        while self._has_copy(fingerprint, low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if self._has_copy(fingerprint, middle):
                low = middle
            else:
                high = middle
        return high


def _too_many(what: str, where: str) -> ItemFileError:
    return ItemFileError(
        f"more than {MAX_NUMBER:,} {what} in {where}", "split the items file"
    )
