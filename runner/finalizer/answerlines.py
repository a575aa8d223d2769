"""How does an answer look by itself, without its item?

The finished result, behind the id and the line of its item: for whoever joins them
with a table of his own, or has the items no more.
Must not know files.

Floor: the run. Knows itemfile, records.
"""

from runner.checkpoint.entries import Outcome
from runner.finalizer.itemlines import ascii_json, rejection
from runner.itemfile import ItemIndex, RejectedLine


class AnswerLines:
    """Ids with their results: `--format answers`."""

    def __init__(self, index: ItemIndex, *, items_name: str) -> None:
        self._index = index
        self._items_name = items_name

    def answered(self, row: int, outcome: Outcome, result: bytes) -> bytes:
        """The result, which has at least one key, told whose it is."""
        whose = ascii_json(outcome.item_id), self._index.line(row)
        return b'{"id":%b,"line":%d,%b\n' % (*whose, result.removeprefix(b"{"))

    failed = answered

    def rejected(self, rejected: RejectedLine) -> bytes:
        """A line that could not be read has no id."""
        result = rejection(rejected, self._items_name)
        return ascii_json({"id": None, "line": rejected.line, **result}) + b"\n"
