"""What does somebody at the terminal see while a run works?

A bar that is full only when every item has its outcome, rates against their
limits, dollars, what it waits for. Repainted in place, removed at the end.

Floor: faces. Knows facts, painting and wording.
"""

from typing import TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.clock import Clock, SystemClock
from runner.display.doing import Doing
from runner.display.facts import (
    Fact,
    anew_words,
    estimate_facts,
    kinds_words,
    left_facts,
    slowest_words,
    speed_words,
    state_fact,
    status_cost_words,
    waiting_words,
)
from runner.display.painting import console_on, fact_table
from runner.printable import printable
from runner.run_status import RunState, RunStatus
from runner.wording import count, percent

_BAR_COLUMNS = 30
_NAME_COLUMNS = 20
_LEAST_S = 0.1
"""Between two paints of a preparation, which reports far more often."""


class LivePainter:
    """Repaints a few lines in place."""

    def __init__(self, stream: TextIO, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._painted_s: float | None = None
        self._live = Live(
            console=console_on(stream),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def paint(self, status: RunStatus) -> None:
        """Show the run as it is now."""
        self._show(live_view(status))

    def prepare(self, doing: Doing) -> None:
        """Show how far reading or writing is."""
        now_s = self._clock.monotonic_s()
        if self._painted_s is None or now_s - self._painted_s >= _LEAST_S:
            self._painted_s = now_s
            self._show(_bar_line(doing.what, doing.done, doing.total, ""))

    def say(self, text: str) -> None:
        """Print a text that stays, above the lines."""
        self._live.console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Take the lines away and give the cursor back."""
        self._live.stop()

    def _show(self, view: RenderableType) -> None:
        if not self._live.is_started:
            self._live.start()
        self._live.update(view, refresh=True)


def live_view(status: RunStatus) -> RenderableType:
    """The lines that are repainted."""
    done = status.items - status.left
    of_all = f"{count(done)} of {count(status.items)}"
    bar = _bar_line(printable(status.run), done, status.items, of_all)
    return Group(bar, fact_table(_live_facts(status)))


def _live_facts(status: RunStatus) -> list[Fact]:
    at_work = ", ".join([*anew_words(status), f"{count(status.in_flight)} in flight"])
    facts = [
        Fact("items", f"{kinds_words(status)}; {at_work}"),
        Fact("cost", status_cost_words(status)),
        *estimate_facts(status),
    ]
    if status.state.is_at_work:
        speed = speed_words(status)
        facts += [*([Fact("speed", speed)] if speed else []), *left_facts(status)]
    if status.state is RunState.STOPPED:
        facts.append(Fact("state", "stopped", "careful"))
    elif status.state is not RunState.RUNNING:
        facts.append(state_fact(status))
    waiting, slowest = waiting_words(status), slowest_words(status)
    if waiting and status.state is RunState.RUNNING:
        facts.append(Fact("waiting", waiting, "careful"))
    if slowest:
        facts.append(Fact("slowest", slowest))
    return facts


def _bar_line(what: str, done: int, total: int, of_all: str) -> Table:
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=max(1, total),
        completed=done,
        width=_BAR_COLUMNS,
        complete_style="cyan",
        finished_style="green",
    )
    line.add_row(_short(what), bar, Text(percent(min(done, total), total)), of_all)
    return line


def _short(name: str) -> Text:
    text = Text(name)
    text.truncate(_NAME_COLUMNS, overflow="ellipsis")
    return text
