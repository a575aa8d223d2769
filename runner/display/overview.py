"""Which runs are there, and how does each stand? A line a run.

Floor: faces. Knows facts and painting.
"""

from collections.abc import Iterable
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
    """A table; below it, of each run that cannot be read, why."""
    table = Table.grid(padding=(0, 2))
    table.add_row(*map(Text, _HEADINGS))
    unreadable = []
    for name, each in seen:
        if isinstance(each, RunnerError):
            # Not a cell: paths in a column of a few characters are not to be read.
            why = f"{printable(name)}  unreadable: {printable(each)}"
            unreadable.append(Text(why, overflow="fold"))
        else:
            table.add_row(*map(Text, _row(name, each)))
    tables = [table] if table.row_count > 1 else []
    if tables or unreadable:
        print_on(stream, *tables, *unreadable)


def _row(name: str, status: RunStatus) -> tuple[str, ...]:
    return (
        printable(name),
        str(status.state),
        f"{count(status.items - status.left)} of {count(status.items)}",
        status_cost_words(status),
        moment(status.heartbeat_unix_s) if status.heartbeat_unix_s else "",
    )
