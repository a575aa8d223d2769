"""A run that this process works on: locked, checked, with everything at hand.

Order: run lock → presence lock (no orphan still records) → read shards → limiter.

Floor: the run.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from runner.checkpoint.anew import is_due, load_due, save_due
from runner.checkpoint.entries import Outcome
from runner.checkpoint.history import History, history_of
from runner.checkpoint.intake import take_in_rescued
from runner.checkpoint.last_commit import decide_last_commit
from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard
from runner.clock import Clock
from runner.config import RunConfig
from runner.itemfile import ItemIndex, ItemReader
from runner.limiter import (
    Limiter,
    begin_session,
    key_cell_path,
)
from runner.records import JsonObject, OutcomeState, Totals
from runner.run_folder import SUPERVISOR_SLOT
from runner.run_status import Stop
from runner.supervisor.backlog import Backlog
from runner.supervisor.concurrency import Concurrency, concurrency_for
from runner.supervisor.heartbeat import check_last_sign
from runner.task import identity_digest
from runner.worker.wants import ceilings_of, place_of


@contextlib.contextmanager
def holding(run_folder: Path, clock: Clock) -> Iterator[Manifest]:
    """Hold the run lock, sure that nobody else sends or records for this run.

    Raises RunLocked, RunNotFound, StateDamaged or StateTooNew.
    """
    Manifest.load(run_folder)  # a lock file in a folder that is no run helps nobody
    lock = RunLock(run_folder, clock.unix_s())
    try:
        lock.wait_for_orphans(run_folder)
        manifest = Manifest.load(run_folder)
        with contextlib.closing(manifest.open_reader(run_folder, live=False)) as reader:
            check_last_sign(run_folder, reader.totals())
        for slot in manifest.shards:
            decide_last_commit(run_folder, slot)
        take_in_rescued(run_folder, manifest.run_id, manifest.shards)
        yield manifest
    finally:
        lock.release()


class OpenRun:
    """What the supervisor needs of a run that it holds the lock of."""

    def __init__(
        self,
        run_folder: Path,
        manifest: Manifest,
        config: RunConfig,
        api_key: str,
        clock: Clock,
        opened: contextlib.ExitStack,
    ) -> None:
        """Open it; what has to be closed goes onto `opened`.

        Raises StateDamaged if a shard is missing, foreign or older than it was.
        """
        self.folder = run_folder
        self.manifest = manifest.with_shard(run_folder, SUPERVISOR_SLOT)
        self.config = config
        """The manifest's, but for where an embedded simulator listens now."""
        self.task_digest = identity_digest(config.task)
        self.api_key = api_key
        self.clock = clock
        self.started_unix_s = clock.unix_s()
        self.index = ItemIndex.open(run_folder / manifest.index)
        self.items = ItemReader(config.items_path, self.index, config.id_field)
        opened.callback(self.items.close)
        self._reader = self._open_reader()
        opened.callback(self._close_reader)
        self.totals_by_slot = self._reader.totals_by_slot()
        self._own = Shard(run_folder, SUPERVISOR_SLOT)
        opened.callback(self._own.close)
        self._asked_anew: dict[int, int] = {}
        self.backlog = self._backlog()
        key_cell = key_cell_path(
            base_url=config.service.base_url,
            api_key=api_key,
            organization=config.service.organization,
            project=config.service.project,
            model=config.task.model,
        )
        self.place = place_of(run_folder, key_cell, SUPERVISOR_SLOT)
        self._open_limiter(opened)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.manifest.run

    def ask_anew(self, states: set[OutcomeState]) -> int:
        """Put items with such an outcome back to do; returns how many.

        So are those that an earlier session was told to ask anew and did not come
        to. All of them are on disk when this returns, until `forget_asked_anew`.
        """
        earlier = load_due(self.folder, self.manifest.asking_anew)
        if not (states or earlier):
            return 0
        due: dict[int, int] = {}
        for outcome, _ in self._reader.outcomes():
            row = self.index.row_of_number(outcome.number)
            is_wanted = outcome.state in states or is_due(outcome, earlier)
            if is_wanted and row is not None:
                due[outcome.number] = outcome.last_attempt
                self._asked_anew[outcome.number] = outcome.generation
                self.backlog.mark_undone(row)
        self._name_asked_anew(save_due(self.folder, due) if due else None)
        return len(due)

    def forget_asked_anew(self) -> None:
        """All that was to be asked anew has been; durable when this returns."""
        self._name_asked_anew(None)

    def decide_concurrency(self) -> Concurrency:
        """Fix workers and threads by what is left to do now."""
        self.concurrency = concurrency_for(self.config.pacing, len(self.backlog))
        return self.concurrency

    def is_finished_by(self, number: int, found: tuple[Outcome, bytes] | None) -> bool:
        """Whether that outcome is the one this session was to reach."""
        return found is not None and found[0].generation > self._asked_anew.get(
            number, -1
        )

    def make_shard(self, slot: int) -> None:
        """Create shard `slot`, list it, and have it read from now on."""
        if slot not in self.manifest.shards:
            self.manifest = self.manifest.with_shard(self.folder, slot)
            self._reader.close()
            self._reader = self._open_reader()

    def decide_last_commit(self, slot: int) -> None:
        """Let no record of that dead worker appear later; StoreError if not possible.

        Our own connection is closed for it: then what it was committing is taken in.
        """
        self._reader.close()
        try:
            decide_last_commit(self.folder, slot)
        finally:
            self._reader = self._open_reader()

    def record(self, outcome: Outcome, result: bytes, replaced: Outcome | None) -> None:
        """Record an outcome that no worker can; StoreError if not possible."""
        self._own.record_now(outcome, result, replaced)

    def own_totals(self) -> Totals:
        """The totals of the supervisor's own shard."""
        return self._own.totals()

    def mark(self, totals: dict[int, Totals]) -> None:
        """Raise the high-water marks in the manifest."""
        self.manifest = self.manifest.with_marks(totals)
        self.manifest.save(self.folder)

    def begin_session(self, totals: Totals) -> None:
        """Note that a session begins."""
        pacing, concurrency = self.config.pacing, self.concurrency
        self._session: JsonObject = {
            "session": self._reader.last_session() + 1,
            "started_unix_s": round(self.started_unix_s, 3),
            "workers": concurrency.workers if concurrency.first is None else None,
            "threads": concurrency.threads if concurrency.first is None else None,
            "rpm": pacing.rpm,
            "tpm": pacing.tpm,
            "totals_before": totals.to_json(),
        }
        self._note_session()

    def end_session(self, totals: Totals, stop: Stop | None) -> None:
        """Note how the session ended."""
        self._session["ended_unix_s"] = round(self.clock.unix_s(), 3)
        self._session["stopped_because"] = stop.message if stop else None
        self._session["totals_after"] = totals.to_json()
        self._note_session()

    def _close_reader(self) -> None:
        self._reader.close()  # the one that is open then

    def _name_asked_anew(self, name: str | None) -> None:
        if name != self.manifest.asking_anew:
            self.manifest = dataclasses.replace(self.manifest, asking_anew=name)
            self.manifest.save(self.folder)

    def _note_session(self) -> None:
        self._own.note(f"s/{self._session['session']:06d}", self._session)

    def _open_reader(self) -> RunReader:
        return self.manifest.open_reader(self.folder, live=True)

    def _backlog(self) -> Backlog:
        backlog = Backlog(len(self.index), self._history_of_row)
        touched = map(self.index.row_of_number, self._reader.numbers_attempted())
        backlog.mark_touched(row for row in touched if row is not None)
        for number in self._reader.numbers_done():
            row = self.index.row_of_number(number)
            if row is None:
                self._note_removed(number)
            else:
                backlog.mark_done(row)
        return backlog

    def _note_removed(self, number: int) -> None:
        """An item that left the file is no longer counted; what it cost is."""
        found = self._reader.outcome(number)
        if found is None or found[0].state is OutcomeState.REMOVED:
            return
        removed = dataclasses.replace(
            found[0],
            state=OutcomeState.REMOVED,
            generation=found[0].generation + 1,
            finished_unix_s=round(self.clock.unix_s(), 3),
        )
        self._own.record_now(removed, found[1], found[0])

    def _history_of_row(self, row: int) -> History:
        number = self.index.number(row)
        attempts = [attempt for attempt, _ in self._reader.attempts(number)]
        found = self._reader.outcome(number)
        return history_of(attempts, replaces=found and found[0])

    def _open_limiter(self, opened: contextlib.ExitStack) -> None:
        ceilings = ceilings_of(self.config.pacing)
        committed = {
            slot: totals.committed_usd for slot, totals in self.totals_by_slot.items()
        }
        begin_session(self.place, ceilings, committed, self.clock)
        self.limiter = Limiter(self.place, ceilings, self.clock)
        opened.callback(self.limiter.close)
