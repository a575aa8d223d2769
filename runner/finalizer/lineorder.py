"""Which outcome belongs to which row, in line order?

Owns the merge of two ordered scans, and the check that an answer goes to the
item it was given for. Must not know files or formats.
Floor: room (finalizer); knows checkpoint and itemfile.
"""

from collections.abc import Iterator

from runner.checkpoint.entries import Outcome
from runner.checkpoint.reading import RunReader
from runner.errors import StateDamaged
from runner.itemfile import ItemIndex
from runner.records import OutcomeState

Entry = tuple[int, Outcome, bytes]
"""Row, outcome and finished result."""


def outcomes_in_line_order(index: ItemIndex, reader: RunReader) -> Iterator[Entry]:
    """Every row that has an outcome; outcomes of removed items are left out.

    Raises StateDamaged when an outcome was recorded for an item with other bytes,
    or has no result.
    """
    merge = _merged if index.in_number_order else _looked_up
    for row, outcome, result in merge(index, reader):
        if outcome.state is OutcomeState.REMOVED:
            continue
        _check(index, row, outcome, result)
        yield row, outcome, result


def _merged(index: ItemIndex, reader: RunReader) -> Iterator[Entry]:
    row, rows = 0, len(index)
    number_of = index.number
    for outcome, result in reader.outcomes():
        while row < rows and number_of(row) < outcome.number:
            row += 1
        if row == rows:
            return
        if number_of(row) == outcome.number:
            yield row, outcome, result


def _looked_up(index: ItemIndex, reader: RunReader) -> Iterator[Entry]:
    """Row by row: a changed items file may have its items in any order."""
    for row in range(len(index)):
        found = reader.outcome(index.number(row))
        if found:
            yield row, *found


def _check(index: ItemIndex, row: int, outcome: Outcome, result: bytes) -> None:
    if outcome.fingerprint != index.fingerprint(row).hex():
        raise StateDamaged(
            f"the answer stored for item {outcome.number} was given for another item"
            f" than the one in line {index.line(row)}",
            "put the newest copy of the run's folder back",
        )
    if not result:
        raise StateDamaged(
            f"the outcome of item {outcome.number} (line {index.line(row)}) is empty",
            "put the newest copy of the run's folder back",
        )
