"""Which runs are there, and how does each stand? A line a run.

Floor: faces. Knows facts and painting.
"""

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.table import Table
from rich.text import Text

from runner.display.facts import status_cost_words
from runner.display.painting import print_on
from runner.errors import RunnerError
from runner.printable import printable
from runner.run_status import RunStatus
from runner.wording import count, moment

_HEADINGS = "run", "state", "done", "cost", "last sign of life"


def print_overview(
    seen: Iterable[tuple[str, RunStatus | RunnerError]], stream: TextIO
) -> None:
    """A table; of a run that cannot be read, why."""
    rows = [_row(name, each) for name, each in seen]
    if not rows:
        return
    table = Table.grid(padding=(0, 2))
    for row in (_HEADINGS, *rows):
        table.add_row(*(Text(cell) for cell in row))
    print_on(stream, table)


def _row(name: str, seen: RunStatus | RunnerError) -> Sequence[str]:
    if isinstance(seen, RunnerError):
        return printable(name), "unreadable", printable(seen)
    return (
        printable(name),
        str(seen.state),
        f"{count(seen.items - seen.left)} of {count(seen.items)}",
        status_cost_words(seen),
        moment(seen.heartbeat_unix_s) if seen.heartbeat_unix_s else "",
    )
