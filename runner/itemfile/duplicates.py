"""Which ids are there twice, and where?

Floor: doors and rules. Knows errors and text.
"""

from pathlib import Path

from runner.errors import ItemFileError
from runner.itemfile.text import id_text, path_text
from runner.records import JsonScalar

_SHOWN = 10


class Duplicates:
    """How many lines repeat an id, and the first ten of them."""

    __slots__ = ("_first", "count")

    def __init__(self) -> None:
        self.count = 0
        self._first: list[tuple[str, int, int]] = []

    def add(self, item_id: JsonScalar | None, line: int, again: int) -> None:
        """Note that the line `again` has the id of `line`."""
        self.count += 1
        if len(self._first) < _SHOWN:
            text = "of an item without one" if item_id is None else id_text(item_id)
            self._first.append((text, line, again))

    def error(self, path: Path) -> ItemFileError:
        """Name the first ten, with both lines."""
        text, line, again = self._first[0]
        message = f"{path_text(path)}:{again}: id {text} is in line {line} already"
        if self.count > 1:
            others = ", ".join(f"{t} ({n} and {a})" for t, n, a in self._first[1:])
            more = ", ..." if self.count > len(self._first) else ""
            message += f" (repeated ids in all: {self.count}; also {others}{more})"
        return ItemFileError(
            message, "make the ids unique, or name another field with --id-field"
        )
