"""Which items are still to be asked, and in what order they are handed out.

One byte an item: done, untouched, or touched before (then its history is read from
the checkpoint at the moment it is handed out, never kept).

Floor: the run.
"""

import collections
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runner.checkpoint.history import History

_UNTOUCHED, _TOUCHED, _DONE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Assignment:
    """An item to work on, and what is known of it."""

    row: int
    history: History | None
    """None: never tried."""


class Backlog:
    """Items without an outcome, handed out in file order."""

    def __init__(self, rows: int, history_of_row: Callable[[int], History]) -> None:
        """Every row is to do; `history_of_row` reads a touched item's past."""
        self._state = bytearray(rows)
        self._history_of_row = history_of_row
        self._cursor = 0
        self._returned: collections.deque[int] = collections.deque()
        self._left = rows
        self._out: set[int] = set()
        self._aside: set[int] = set()
        self._anew: set[int] = set()

    def __len__(self) -> int:
        """Items neither done nor handed out."""
        return self._left

    @property
    def out(self) -> int:
        """Items handed out and not heard of since, or set aside."""
        return len(self._out) + len(self._aside)

    @property
    def anew(self) -> int:
        """Of all that are not done, those that have an outcome all the same."""
        return len(self._anew)

    def mark_touched(self, rows: Iterable[int]) -> None:
        """These have attempts on disk."""
        for row in rows:
            if self._state[row] == _UNTOUCHED:
                self._state[row] = _TOUCHED

    def mark_done(self, row: int) -> None:
        """This one has an outcome on disk."""
        if self._state[row] == _DONE:
            return
        self._state[row] = _DONE
        self._anew.discard(row)
        if row in self._out or row in self._aside:
            self._out.discard(row)
            self._aside.discard(row)
        else:
            self._left -= 1

    def mark_undone(self, row: int) -> None:
        """This one has an outcome, and is asked anew all the same."""
        if self._state[row] == _DONE:
            self._state[row] = _TOUCHED
            self._anew.add(row)
            self._left += 1

    def take(self, most: int) -> list[Assignment]:
        """Hand out up to `most` items, those given back first."""
        taken: list[Assignment] = []
        while len(taken) < most and (row := self._next()) is not None:
            self._out.add(row)
            self._left -= 1
            touched = self._state[row] == _TOUCHED
            taken.append(Assignment(row, self.history(row) if touched else None))
        return taken

    def history(self, row: int) -> History:
        """What is on disk of this item."""
        return self._history_of_row(row)

    def give_back(self, row: int) -> None:
        """Handed out, but not done; its worker may have touched it."""
        if row in self._out:
            self._out.discard(row)
            self._state[row] = _TOUCHED
            self._returned.append(row)
            self._left += 1

    def set_aside(self, row: int) -> None:
        """Handed out before; from now on only `take_aside` hands it out."""
        self._out.discard(row)
        self._state[row] = _TOUCHED
        self._aside.add(row)

    def take_aside(self, row: int) -> Assignment:
        """Hand out an item that was set aside."""
        self._aside.discard(row)
        self._out.add(row)
        return Assignment(row, self.history(row))

    def _next(self) -> int | None:
        while self._returned:
            row = self._returned.popleft()
            if self._state[row] != _DONE:
                return row
        while self._cursor < len(self._state):
            row = self._cursor
            self._cursor += 1
            if self._state[row] != _DONE and row not in self._out:
                return row
        return None
