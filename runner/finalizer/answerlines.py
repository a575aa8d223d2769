"""How does an answer look by itself, without its item?

The finished result, behind the id and the line of its item: for whoever joins them
with a table of his own, or has the items no more.
Must not know files.

Floor: the run. Knows itemfile, records.
"""

import json

from runner.checkpoint.entries import Outcome
from runner.finalizer.itemlines import rejection
from runner.itemfile import ItemIndex, RejectedLine
from runner.records import JsonScalar


class AnswerLines:
    """Ids with their results: `--format answers`."""

    def __init__(self, index: ItemIndex, *, items_name: str) -> None:
        self._index = index
        self._items_name = items_name

    def answered(self, row: int, outcome: Outcome, result: bytes) -> bytes:
        """The result, told whose it is."""
        return _told(outcome.item_id, self._index.line(row), result)

    failed = answered

    def rejected(self, rejected: RejectedLine) -> bytes:
        """A line that could not be read has no id."""
        return _told(None, rejected.line, rejection(rejected, self._items_name))


def _told(item_id: JsonScalar | None, line: int, result: bytes) -> bytes:
    """`id` and `line` stand first; a result has at least one key."""
    return b'{"id":%b,"line":%d,%b\n' % (
        json.dumps(item_id).encode("ascii"),
        line,
        result.removeprefix(b"{"),
    )
