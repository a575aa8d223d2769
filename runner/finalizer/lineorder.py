"""Which outcome belongs to which row, in line order?

Owns the merge of two ordered scans (a look-up only for items that left the
order), and the check that an answer goes to the item it was given for.
Must not know files or formats.

Floor: the run. Knows checkpoint and itemfile.
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
    for row, outcome, result in _merged(index, reader):
        if outcome.state is OutcomeState.REMOVED:
            continue
        _check(index, row, outcome, result)
        yield row, outcome, result


def _merged(index: ItemIndex, reader: RunReader) -> Iterator[Entry]:
    strays = None if index.in_number_order else _strays(index)
    scan = reader.outcomes()
    entry = next(scan, None)
    for row in range(len(index)):
        number = index.number(row)
        if strays and strays[row]:
            found = reader.outcome(number)
        else:
            while entry and entry[0].number < number:
                entry = next(scan, None)
            found = entry if entry and entry[0].number == number else None
        if found:
            yield row, *found


def _strays(index: ItemIndex) -> bytearray:
    """1 for rows that a scan in number order would reach too late: look them up.

    An edited items file has few (edited items have the highest numbers, and stand
    anywhere), a shuffled one nearly nothing else.
    """
    strays = bytearray(len(index))
    lowest_below = index.next_number
    for row in reversed(range(len(index))):
        number = index.number(row)
        if number < lowest_below:
            lowest_below = number
        else:
            strays[row] = 1
    return strays


def _check(index: ItemIndex, row: int, outcome: Outcome, result: bytes) -> None:
    if outcome.fingerprint != index.fingerprint(row).hex():
        raise StateDamaged(
            f"the answer stored for item {outcome.number} was given for another item"
            f" than the one in line {index.line(row)}"
        )
    if not result:
        raise StateDamaged(
            f"the outcome of item {outcome.number} (line {index.line(row)}) is empty"
        )
