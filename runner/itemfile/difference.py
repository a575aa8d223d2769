"""What changed between two versions of an items file?

Floor: doors and rules. Knows nobody: an index is what looks like one.
"""

from dataclasses import dataclass
from typing import Protocol

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How many items two indexes share, and how many they don't."""

    unchanged: int
    changed: int
    """Same id, other bytes: for a run these are new items."""
    new: int
    removed: int
    reordered: bool
    """True when items both have stand in another order."""
    first_lines: tuple[int, ...]
    """Lines in the newer file of the first ten changed or new items."""

    @property
    def is_none(self) -> bool:
        """True when the same items stand in the same order."""
        return not (self.changed or self.new or self.removed or self.reordered)


class Indexed(Protocol):
    """As much of an ItemIndex as telling two apart takes."""

    def __len__(self) -> int: ...

    def line(self, row: int) -> int:
        """Line in the file, from 1."""
        ...

    def id_digest(self, row: int) -> bytes:
        """16 bytes over the id."""
        ...

    def fingerprint(self, row: int) -> bytes:
        """16 bytes over the item."""
        ...

    def table(self) -> "Lookup":
        """A fast lookup by id."""
        ...


class Lookup(Protocol):
    """Rows by id digest."""

    def find(self, digest: bytes) -> int | None:
        """The row of that id, None when there is none."""
        ...


def difference(older: Indexed, newer: Indexed) -> Difference:
    """Compare item by item."""
    table = older.table()
    unchanged = changed = new = 0
    reordered, last_row = False, -1
    lines: list[int] = []
    for row in range(len(newer)):
        old_row = table.find(newer.id_digest(row))
        if old_row is not None:
            reordered |= old_row < last_row
            last_row = old_row
            if older.fingerprint(old_row) == newer.fingerprint(row):
                unchanged += 1
                continue
            changed += 1
        else:
            new += 1
        if len(lines) < _SHOWN:
            lines.append(newer.line(row))
    return Difference(
        unchanged=unchanged,
        changed=changed,
        new=new,
        removed=len(older) - unchanged - changed,
        reordered=reordered,
        first_lines=tuple(lines),
    )
