"""How does a finished run, or an export, look? The summary as a table.

Floor: faces. Reads a Summary only.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from runner.display.bill import cost_words, requests_words, tokens_words
from runner.display.facts import Fact
from runner.display.painting import fact_table, is_live, print_on
from runner.printable import printable
from runner.summary import SessionSummary, Summary, WrittenFile
from runner.wording import UNKNOWN, count, duration, moment, shortened, usd

_ENDED_COLUMNS = 28
"""So that a row fits 100 columns of a terminal; `runner.log` has it in full."""


def print_summary(summary: Summary, folder: Path, stream: TextIO) -> None:
    """The table after a finished run and an export; one line if it was overtaken."""
    if summary.overtaken:
        print_on(stream, Text(_overtaken_words(summary, folder)))
        return
    views: list[RenderableType] = [fact_table(summary_facts(summary, folder))]
    if len(summary.sessions) > 1:
        # A pipe has no width, and who reads it has no terminal to look it up in.
        most = _ENDED_COLUMNS if is_live(stream) else None
        views += ["", _sessions(summary.sessions, most)]
    print_on(stream, *views)


def _overtaken_words(summary: Summary, folder: Path) -> str:
    return (
        f"kept {_path(folder, summary.processed_file)} and the two files beside it: an"
        " export that began later has written them, with all that was recorded when"
        " this one began"
    )


def summary_facts(summary: Summary, folder: Path) -> list[Fact]:
    """All lines of the table."""
    return [
        _run_fact(summary),
        Fact("items", _items_words(summary)),
        Fact("requests", requests_words(summary.totals)),
        Fact("tokens", tokens_words(summary.totals)),
        Fact("cost", cost_words(summary.totals, printable(summary.price_source))),
        *_bill(summary),
        *_files(summary, folder),
    ]


def _run_fact(summary: Summary) -> Fact:
    words = f"{printable(summary.run)}: {summary.state}"
    if summary.stopped_because:
        words += f" ({printable(summary.stopped_because)})"
    if summary.simulated:
        words += " (simulated answers and prices)"
    all_valid = summary.complete and summary.valid == summary.items
    return Fact("run", words, "good" if all_valid else "careful")


def _items_words(summary: Summary) -> str:
    words = (
        f"{count(summary.items)}: {count(summary.valid)} valid,"
        f" {count(summary.invalid)} invalid, {count(summary.failed)} failed"
    )
    if summary.pending:
        words += f", {count(summary.pending)} pending (in no file yet)"
    if summary.rejected_lines:
        words += f"; {count(summary.rejected_lines, 'line')} left out"
    return words


def _bill(summary: Summary) -> Iterator[Fact]:
    """What of the bill bought nothing, or is not certain."""
    totals = summary.totals
    they = "it" if totals.possibly_billed == 1 else "they"
    without_outcome = "without a known outcome"
    if summary.state.is_at_work:
        without_outcome = f"in flight, or {without_outcome}"
    if totals.invalid_answers:
        spent = usd(summary.invalid_answers_usd)
        yield Fact("", f"of it {spent} for answers judged invalid")
    for number, worst, what in (
        (
            totals.possibly_billed,
            summary.possibly_billed_usd,
            f"failed after {they} had been sent",
        ),
        (summary.unresolved, summary.unresolved_usd, without_outcome),
        (totals.lost, summary.lost_usd, "lost and asked again"),
    ):
        if number:
            requests = count(number, "request")
            bound = usd(worst, is_bound=True)
            more = "more, nobody knows how much" if worst is None else f"{bound} more"
            yield Fact("", f"perhaps {more}: {requests} {what}", "careful")


def _files(summary: Summary, folder: Path) -> Iterator[Fact]:
    for label, file in (
        ("processed", summary.processed_file),
        ("failed", summary.failed_file),
    ):
        yield Fact(label, f"{_path(folder, file)}  {count(file.lines, 'line')}")
    yield Fact("summary", printable(folder / summary.summary_name))


def _path(folder: Path, file: WrittenFile) -> str:
    return printable(folder / file.name)


def _sessions(sessions: tuple[SessionSummary, ...], most: int | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("session", "started", "took", "requests", "a minute", "cost"):
        table.add_column(heading, no_wrap=True)
    table.add_column("ended", overflow="fold")
    for session in sessions:
        table.add_row(*(Text(cell) for cell in _session_row(session, most)))
    return table


def _session_row(session: SessionSummary, most: int | None) -> tuple[str, ...]:
    per_minute = session.requests_per_minute
    ended = printable(_how_it_ended(session))
    return (
        str(session.session),
        moment(session.started_unix_s),
        duration(session.duration_s),
        count(session.totals.sent),
        UNKNOWN if per_minute is None else f"{per_minute:,.0f}",
        usd(session.totals.cost_usd),
        ended if most is None else shortened(ended, most),
    )


def _how_it_ended(session: SessionSummary) -> str:
    if session.ended_unix_s is not None:
        return session.stopped_because or "all done"
    # How long it took is known of one that noted its end, or that is still at work.
    return "its process died" if session.duration_s is None else "at work"
