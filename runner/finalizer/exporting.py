"""How do recorded outcomes become the three files?

One pass in line order; memory does not grow with the items. The summary comes
last and names the digests of the other two, so that a set of files from two
exports gives itself away. Sends nothing, records nothing.

Floor: the run. Knows checkpoint, itemfile, summary.
"""

import collections
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.config import Format, Output
from runner.finalizer.formats import Lines, lines_in
from runner.finalizer.linefile import LineFile
from runner.finalizer.lineorder import outcomes_in_line_order
from runner.finalizer.sessions import session_summaries
from runner.finalizer.targets import full_paths
from runner.itemfile import ItemIndex, RejectedLine, read_rejected
from runner.records import JsonObject, OutcomeState
from runner.run_status import RunState
from runner.summary import Summary, WrittenFile

_TOLD_EVERY_ROWS = 4_096


def export(  # noqa: PLR0913 - what there is, where it goes, and what only the caller knows
    *,
    run_folder: Path,
    manifest: Manifest,
    index: ItemIndex,
    reader: RunReader,
    output: Output,
    in_format: Format = Format.JSONL,
    state: RunState,
    stopped_because: str | None,
    price_source: str,
    now_unix_s: float,
    on_ready: Callable[[dict[str, JsonObject]], bool] = lambda _: True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write processed, failed and summary; the same state gives the same bytes.

    Each target is the old file or the complete new one, whatever happens. Pending
    items are in neither. The result's key is the run's own: that no item has it
    was checked when the run began.

    Args:
        run_folder: The run's folder, for its rejected lines.
        manifest: The run.
        index: Its items.
        reader: What is recorded.
        output: Where the three files go; `check_targets` comes before.
        in_format: How a line looks.
        state: What the run is doing: at work, open attempts are also in flight.
        stopped_because: Why it stopped early.
        price_source: Where its prices are from.
        now_unix_s: How long a session at work has lasted; of no effect otherwise.
        on_ready: Called when all three are on disk beside their targets, none of which
            is replaced yet, with what each will be, by full path. Returns whether they
            are to be: where not, the summary is `overtaken`.
        on_progress: Called with rows done and rows in all.

    Raises:
        OutputError: A target cannot be written.
        StateDamaged: What is recorded does not belong to the items, or is altered.
        RunChanged: The items file, where the format needs it, is not what it was.
        ItemFileError: It cannot be read.
    """
    run = _Run(run_folder, manifest, index, reader)
    making = lines_in(in_format, manifest, index, reader)
    beside = _beside(output, manifest.config.items_path)
    with contextlib.suppress(_Overtaken), making as lines, beside as files:
        written = _write(lines, run, files, _Progress(on_progress, len(index)))
        # Totals after the outcomes: a run at work may cost more than what is in the
        # files, never less.
        totals = reader.totals()
        summary = Summary(
            run=manifest.run,
            state=state,
            stopped_because=stopped_because,
            format=in_format,
            items=len(index),
            valid=written.states[OutcomeState.VALID],
            invalid=written.states[OutcomeState.INVALID],
            failed=written.states[OutcomeState.FAILED],
            rejected_lines=written.rejected_lines,
            totals=totals,
            sessions=session_summaries(
                reader.sessions(), totals, now_unix_s if state.is_at_work else None
            ),
            models=tuple(filter(None, (manifest.config.task.model,))),
            price_source=price_source,
            simulated=manifest.config.service.simulated,
            processed_file=written.processed,
            failed_file=written.failed,
            summary_name=output.summary_path.name,
        )
        files.summary.write(_json_of(summary))
        if not on_ready(dict(zip(full_paths(output), files.synced(), strict=True))):
            summary = replace(summary, overtaken=True)
            raise _Overtaken
    return summary


class _Overtaken(Exception):
    """The targets stay as they are."""


def _json_of(summary: Summary) -> bytes:
    return json.dumps(summary.to_json(), indent=1).encode("ascii") + b"\n"


@dataclass(frozen=True, slots=True)
class _Run:
    folder: Path
    manifest: Manifest
    index: ItemIndex
    reader: RunReader


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    processed: WrittenFile
    failed: WrittenFile
    states: collections.Counter[OutcomeState]
    rejected_lines: int


class _Progress:
    def __init__(self, tell: Callable[[int, int], None] | None, rows: int) -> None:
        self._tell = tell
        self._rows = rows
        self.due: float = 0 if tell else float("inf")

    def tell(self, done: int) -> None:
        if self._tell:
            self._tell(done, self._rows)
            self.due = done + _TOLD_EVERY_ROWS

    def end(self) -> None:
        self.tell(self._rows)


def _write(lines: Lines, run: _Run, files: "_Files", progress: _Progress) -> _Written:
    states: collections.Counter[OutcomeState] = collections.Counter()
    processed, failed = files.processed, files.failed
    rejected = _Rejected(_rejected_lines(run), lines, failed)
    for row, outcome, result in outcomes_in_line_order(run.index, run.reader):
        if outcome.state is OutcomeState.FAILED:
            rejected.write_before(run.index.line(row))
            failed.write(lines.failed(row, outcome, result))
        else:
            processed.write(lines.answered(row, outcome, result))
        states[outcome.state] += 1
        if row >= progress.due:
            progress.tell(row)
    rejected.write_rest()
    progress.end()
    return _Written(
        processed=processed.written(),
        failed=failed.written(),
        states=states,
        rejected_lines=rejected.count,
    )


class _Rejected:
    """Rejected lines take their place among the failed items, by line."""

    def __init__(
        self, found: Iterator[RejectedLine], lines: Lines, failed: LineFile
    ) -> None:
        self._found = found
        self._lines = lines
        self._failed = failed
        self._next = next(found, None)
        self.count = 0

    def write_before(self, line: int) -> None:
        while self._next is not None and self._next.line < line:
            self._write(self._next)

    def write_rest(self) -> None:
        while self._next is not None:
            self._write(self._next)

    def _write(self, rejected: RejectedLine) -> None:
        self._failed.write(self._lines.rejected(rejected))
        self.count += 1
        self._next = next(self._found, None)


def _rejected_lines(run: _Run) -> Iterator[RejectedLine]:
    """Nothing when bad lines stop a run; otherwise the file has to be there."""
    if run.manifest.config.on_bad_line != "skip":
        return iter(())
    return read_rejected(run.folder / run.manifest.rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    processed: LineFile
    failed: LineFile
    summary: LineFile

    def synced(self) -> tuple[JsonObject, ...]:
        """What each of them is from now on, all on disk."""
        return self.processed.synced(), self.failed.synced(), self.summary.synced()


@contextlib.contextmanager
def _beside(output: Output, like: Path) -> Iterator[_Files]:
    """The three files, which replace their targets together at the block's end."""
    # Left from right to left: the summary, which names the others, comes last.
    with (
        LineFile(output.summary_path, like=like) as summary,
        LineFile(output.failed_path, like=like) as failed,
        LineFile(output.processed_path, like=like) as processed,
    ):
        yield _Files(processed=processed, failed=failed, summary=summary)
