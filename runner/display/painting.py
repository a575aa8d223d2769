"""How do labelled lines become a table on this terminal, or plain text in a pipe?

Owns the rich console: no markup, no emoji codes, no highlighting, because item ids
and error messages are somebody else's text.

Floor: faces. Knows facts and outlet.
"""

import os
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from runner.display.facts import Fact, facts_of
from runner.run_status import RunStatus

_TONES = {"good": "green", "careful": "yellow", "bad": "bold red", "": ""}
_LABEL_COLUMNS = 9
"""So that a table does not jump when a longer label comes or goes."""
_PIPE_COLUMNS = 10_000
"""A pipe has no width: nothing is wrapped there."""


def console_on(stream: TextIO) -> Console:
    """A console on `stream`; colours only on a terminal (and not with NO_COLOR)."""
    is_terminal = is_live(stream)
    return Console(
        file=stream,
        force_terminal=is_terminal,
        width=None if is_terminal else _PIPE_COLUMNS,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def is_live(stream: TextIO) -> bool:
    """Whether somebody looks at a terminal that can be painted on."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "")


def print_status(status: RunStatus, stream: TextIO) -> None:
    """The table of `runner status`."""
    print_facts(facts_of(status), stream)


def print_facts(facts: Iterable[Fact], stream: TextIO) -> None:
    """Labels in one column, what they mean in the next."""
    print_on(stream, fact_table(facts))


def print_on(stream: TextIO, *views: RenderableType) -> None:
    """Print tables one below the other; a pipe gets no spaces at line ends."""
    console = console_on(stream)
    if is_live(stream):
        console.print(*views, sep="\n")
        return
    with console.capture() as captured:
        console.print(*views, sep="\n")
    lines = captured.get().rstrip("\n").split("\n")
    stream.write("".join(f"{line.rstrip()}\n" for line in lines))
    stream.flush()


def fact_table(facts: Iterable[Fact]) -> Table:
    """The lines as a grid: long texts wrap beside their label."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=_LABEL_COLUMNS)
    table.add_column(overflow="fold")
    for fact in facts:
        table.add_row(Text(fact.label), Text(fact.text, style=_TONES[fact.tone]))
    return table
