"""What a damaged run has lost, as far as anybody knows: counted, and line by line.

Owns `lost.jsonl`. Each line says how many records it stands for, so that they add up
to what is told at the terminal. Must not know how records are read or copied.

Floor: the run.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from runner.checkpoint.accounting import Delta, add, as_totals, delta_of_key
from runner.checkpoint.entries import number_of
from runner.checkpoint.walking import Unreadable
from runner.durable import write_bytes
from runner.records import JsonObject, Totals
from runner.run_folder import LOST


class Losses:
    """The losses of one run, shard by shard."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        """Items that have lost a record."""
        self.is_reply_lost = False
        """A reply may be lost whose attempt looks open."""
        self.unknown: int | None = 0
        """Records whose items nobody knows; None: not even how many."""
        self._lines: list[JsonObject] = []
        self._nameless: dict[int, JsonObject] = {}
        """The line of what nobody has a key of, shard by shard."""
        self._named: dict[int, Delta] = {}
        """What the keys of each shard add up to that are known to be lost."""

    @property
    def is_any(self) -> bool:
        """Whether something is lost."""
        return bool(self.numbers) or self.is_reply_lost or self.unknown != 0

    @property
    def records(self) -> int:
        """Attempts and outcomes that are known to be lost."""
        return sum(line["records"] or 0 for line in self._lines)

    def note(self, slot: int, row: Unreadable) -> None:
        """One record, or more, cannot be read."""
        number = _number(row.key)
        self.is_reply_lost |= row.is_rescued
        if number is not None:
            self.numbers.add(number)
            add(self._named.setdefault(slot, {}), delta_of_key(str(row.key)))
        line = self._add(
            shard=slot,
            item=number,
            key=row.key,
            records=None if row.key is None else int(number is not None),
            why=row.why,
        )
        if row.key is None and not row.is_rescued:
            self._nameless[slot] = line

    def note_unknown(self, why: str) -> None:
        """Nobody knows how many records are lost, nor whose."""
        self.unknown = None
        self._add(records=None, why=why)

    def note_file(self, name: str | None, why: str) -> None:
        """Another file than a shard is lost."""
        self._add(file=name, records=None, why=why)

    def compare(
        self, slot: int, stored: Totals | None, mark: int, found: Delta, *, open_: int
    ) -> bool:
        """Whether records of a shard are lost, and whose, as its keys tell.

        Args:
            slot: Which shard.
            stored: Its totals, as it had them; None where they are lost.
            mark: How many records it was given at least.
            found: What the keys that were found add up to.
            open_: Attempts that were found open.
        """
        if stored is None or stored.records < mark:
            if slot in self._nameless or stored is not None or mark:
                self.unknown = None
            return False
        named = self._named.get(slot, {})
        missing = max(stored.keys - as_totals(found).keys, 0)
        if stored.keys < as_totals(found).keys:
            self.unknown = None  # the newest totals are lost: nobody knows what else
        # Where the newest version of an attempt is lost, the one before it is found.
        is_older = open_ > stored.open
        if is_older:
            self.is_reply_lost = True
            self._add(
                shard=slot,
                item=None,
                key=None,
                records=open_ - stored.open,
                why="only the request is left of what was settled",
            )
        self._spread(slot, missing - as_totals(named).keys)
        if missing and self.unknown is not None:
            # Keys prove themselves by the sum of their checks: an altered one does not.
            add(named, found)
            known = as_totals(named)
            is_known = (known.keys, known.keys_check) == (
                stored.keys,
                stored.keys_check,
            )
            self.unknown += 0 if is_known else missing
        return bool(missing) or is_older

    def write(self, folder: Path, held_back: Iterable[tuple[int, int | None]]) -> None:
        """One line for each loss, and for each item held back: its number and line."""
        held = [{"held_back": number, "line": line} for number, line in held_back]
        text = "".join(json.dumps(line) + "\n" for line in [*self._lines, *held])
        write_bytes(folder / LOST, text.encode("ascii"))

    def _spread(self, slot: int, records: int) -> None:
        """So many more records are lost in this shard than have a line of their own."""
        line = self._nameless.get(slot)
        if line is None and records > 0:
            line = self._add(shard=slot, item=None, key=None, why="nobody knows whose")
        if line is not None:
            line["records"] = max(records, 0)

    def _add(self, **line: object) -> JsonObject:
        self._lines.append(line)
        return line


def _number(key: str | None) -> int | None:
    try:
        return number_of(key) if key and key[:2] in ("a/", "o/") else None
    except ValueError:
        return None  # an altered key names no item
