"""What is readable of a damaged run, as a new run; the damaged one is never touched.

Every record that is as it was written, and of an item of this run, is copied; totals
are counted anew. Where records are lost, the money that the old totals knew of is
carried over, and items that may have had an answer are held back: nobody asks them
again, and pays again, without having said so.

Floor: the run.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.api_records import Progress, Salvaged
from runner.checkpoint.accounting import (
    Delta,
    add,
    as_delta,
    as_totals,
    delta_of_attempt,
    delta_of_key,
    delta_of_outcome,
    negated,
)
from runner.checkpoint.anew import HELD_BACK, load_due, save_due
from runner.checkpoint.committer import Committer, Write
from runner.checkpoint.entries import (
    CARRIED_KEY,
    IDENTITY_KEY,
    RECORD_VERSION,
    TOTALS_KEY,
    Attempt,
    Outcome,
)
from runner.checkpoint.envelope import seal
from runner.checkpoint.history import history_of
from runner.checkpoint.locks import RunLock, is_worked_on
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recovering import recovered
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.walking import Unreadable
from runner.config import Output
from runner.durable import write_bytes
from runner.errors import RunLocked, StateDamaged, StoreError
from runner.itemfile import ItemIndex, digest_of, scan
from runner.records import AttemptState, Totals
from runner.run_folder import INDEX, SUPERVISOR_SLOT
from runner.session.building import building, locked, moved
from runner.session.losses import Losses
from runner.session.naming import free_name, output_beside
from runner.supervisor.heartbeat import check_last_sign

SALVAGING = "saving records"
_TOLD_EVERY = 2_000
_MARGIN_ROWS = 10_000
"""Rows are handed out in order; so many more may have been under way."""
_NOT_CARRIED = ("valid", "invalid", "failed", "records", "keys", "keys_check")


def salvage_run(run_folder: Path, *, on_progress: Progress | None = None) -> Salvaged:
    """Make a new run of what is readable, beside the damaged one.

    Raises RunLocked while somebody works on it, StateDamaged where its manifest, or
    both its index and its items, are lost.
    """
    Manifest.load(run_folder)  # a lock file in a folder that is no run helps nobody
    with _quiet(run_folder), building(run_folder.parent) as folder:
        return _salvaged(run_folder, folder, on_progress)


def _salvaged(run_folder: Path, folder: Path, on_progress: Progress | None) -> Salvaged:
    manifest, state_dir = Manifest.load(run_folder), run_folder.parent
    work = _Salvage(run_folder, folder, manifest, on_progress)
    done = work.done()
    with locked(state_dir):
        name = free_name(state_dir, f"{manifest.run}-salvaged")
        output = work.named(name)
        moved(folder, state_dir / name)
    return dataclasses.replace(
        done,
        run=name,
        folder=state_dir / name,
        processed_path=output.processed_path,
    )


@contextlib.contextmanager
def _quiet(run_folder: Path) -> Iterator[None]:
    """Nobody works on the run, or still records for it, until the block's end."""
    with contextlib.ExitStack() as held:
        # A lock that cannot be opened is damaged too: nobody else can take it either.
        try:
            held.callback(RunLock(run_folder, time.time()).release)
        except OSError as error:
            if is_worked_on(run_folder):
                name = run_folder.name
                raise RunLocked(
                    f"run {name} is being worked on", f"runner stop {name}"
                ) from error
        with contextlib.suppress(OSError):
            RunLock.wait_for_orphans(run_folder)
        yield


class _Salvage:
    def __init__(
        self,
        source: Path,
        target: Path,
        manifest: Manifest,
        on_progress: Progress | None,
    ) -> None:
        self._source = source
        self._target = target
        self._on_progress = on_progress
        self._losses = Losses()
        self._done = 0
        self._expected = Totals()
        self._index = _index_of(source, manifest)
        self._index.save(target / INDEX)
        # Not exports.json: the damaged run's files are none of the new one's.
        with contextlib.suppress(FileNotFoundError):
            rejected = (source / manifest.rejected).read_bytes()
            write_bytes(target / manifest.rejected, rejected)
        self._manifest = dataclasses.replace(
            manifest, shards=(), marks={}, index=INDEX, held_back=None, asking_anew=None
        ).with_index_sealed(target)
        self._asking_anew(manifest)
        self._slots = {SUPERVISOR_SLOT, *manifest.shards}
        self._marks = manifest.marks

    def done(self) -> Salvaged:
        """Copy, count, hold back."""
        deltas = {slot: self._copy(slot) for slot in sorted(self._slots)}
        self._check_last_sign()
        self._manifest.save(self._target)
        with contextlib.closing(self._reader()) as reader:
            self._count(reader, deltas)
        with contextlib.closing(self._reader()) as reader:
            held = self._held_back(reader) if self._losses.is_any else {}
            self._manifest = self._manifest.with_marks(reader.totals_by_slot())
        self._losses.write(self._target, self._lines_of(held))
        self._manifest = dataclasses.replace(
            self._manifest,
            held_back=save_due(self._target, held, HELD_BACK) if held else None,
        )
        self._manifest.save(self._target)
        return Salvaged(
            run="",
            folder=self._target,
            processed_path=self._manifest.config.output.processed_path,
            records=self._done,
            lost=self._losses.records,
            may_be_more=self._losses.unknown is None,
            held_back=len(held),
        )

    def _check_last_sign(self) -> None:
        """Whatever the shards say of themselves: the run may have seen more."""
        try:
            check_last_sign(self._source, self._expected)
        except StateDamaged as damage:
            self._losses.note_unknown(damage.message)

    def _check_outcomes(self, found: Totals) -> None:
        """Where the newest version of an outcome is lost, the one before it is found.

        Its key is there, so nothing else shows it.
        """
        known = self._expected
        is_same = (found.valid, found.invalid, found.failed) == (
            known.valid,
            known.invalid,
            known.failed,
        )
        if not (is_same or self._losses.is_any):
            self._losses.note_unknown("outcomes are older than the last ones recorded")

    def named(self, name: str) -> Output:
        """The name it got, and files of its own: where they will be."""
        config = self._manifest.config
        output = output_beside(self._source.parent, config.output, "salvaged")
        config = dataclasses.replace(config, output=output)
        dataclasses.replace(self._manifest, run=name, config=config).save(self._target)
        return output

    def _copy(self, slot: int) -> Delta:
        """Copy one shard; what its old totals knew and its records do not show."""
        self._manifest = self._manifest.with_shard(self._target, slot)
        stored = None
        counted: Delta = {}
        keys: Delta = {}
        with _writing(self._target, slot) as write:
            rows = recovered(self._source, self._manifest.run_id, slot, self._target)
            for row in rows:
                if isinstance(row, Unreadable):
                    self._losses.note(slot, row)
                elif row.key == TOTALS_KEY:
                    stored = Totals.from_json(row.fields)
                elif row.key == CARRIED_KEY:
                    add(counted, as_delta(row.fields["totals"]))
                elif row.entry is None and row.key != IDENTITY_KEY:
                    write(Write(row.key, row.sealed, {}, _ignored))
                elif row.entry is not None and self._belongs(row.entry, slot):
                    add(counted, _stored_delta(row.entry, is_rescued=row.is_rescued))
                    add(keys, delta_of_key(row.key))
                    delta = _delta(row.entry)
                    write(Write(row.key, row.sealed, delta, _ignored, is_new=True))
                    self._tell()
        return self._carried(slot, stored, keys, counted)

    def _carried(
        self, slot: int, stored: Totals | None, keys: Delta, counted: Delta
    ) -> Delta:
        mark = self._marks.get(slot, 0)
        still_open = as_totals(counted).open
        is_less = self._losses.compare(slot, stored, mark, keys, open_=still_open)
        if stored is None or stored.records < mark:
            return {}
        self._expected += stored
        if not is_less:
            return {}
        diff = as_delta(stored.to_json())
        add(diff, negated(counted))
        return _as_lost(diff)

    def _belongs(self, entry: Attempt | Outcome, slot: int) -> bool:
        """Whether it is a record of this run's item; one that left the file is."""
        if isinstance(entry, Attempt) and entry.slot != slot:
            return False
        row = self._index.row_of_number(entry.number)
        if row is None:
            return entry.number < self._index.next_number
        return entry.fingerprint == self._index.fingerprint(row).hex()

    def _count(self, reader: RunReader, deltas: dict[int, Delta]) -> None:
        """Totals of the latest outcomes, and of what is lost."""
        outcomes: Delta = {}
        for outcome, _ in reader.outcomes():
            add(outcomes, delta_of_outcome(outcome))
        self._check_outcomes(as_totals(outcomes))
        for slot, carried in deltas.items():
            delta = dict(carried)
            plain = as_totals(carried).to_json()
            fields = {"v": RECORD_VERSION, "totals": plain}
            if slot == SUPERVISOR_SLOT:
                add(delta, outcomes)
                fields["sessions"] = reader.last_session()
            committer = Committer(shard_folder(self._target, slot))
            with contextlib.closing(committer):
                committer.write(CARRIED_KEY, seal(CARRIED_KEY, fields), delta)

    def _held_back(self, reader: RunReader) -> dict[int, int]:
        """Items without an outcome that may have had one, or an answer."""
        done = set(reader.numbers_done())
        last_row = self._last_suspect_row(reader)
        held: dict[int, int] = {}
        for row in range(len(self._index)):
            number = self._index.number(row)
            is_suspect = row <= last_row or number in self._losses.numbers
            if number in done or not (is_suspect or self._losses.is_reply_lost):
                continue
            history = history_of([a for a, _ in reader.attempts(number)])
            is_held = is_suspect or bool(history.unresolved)
            if is_held and history.unjudged is None:
                held[number] = history.next_attempt - 1
        return held

    def _last_suspect_row(self, reader: RunReader) -> int:
        """Up to where a lost record may belong, if nobody knows whose it was; or -1."""
        if self._losses.unknown is None:
            return len(self._index)
        if not self._losses.unknown:
            return -1
        rows = map(self._index.row_of_number, reader.numbers_attempted())
        last = max((row for row in rows if row is not None), default=-1)
        return last + self._losses.unknown + _MARGIN_ROWS

    def _asking_anew(self, manifest: Manifest) -> None:
        """What a retry had still to ask, where that is readable."""
        try:
            due = load_due(self._source, manifest.asking_anew)
        except StateDamaged as damage:
            self._losses.note_file(manifest.asking_anew, damage.message)
            return
        if due:
            name = save_due(self._target, due)
            self._manifest = dataclasses.replace(self._manifest, asking_anew=name)

    def _lines_of(self, held: Iterable[int]) -> Iterator[tuple[int, int | None]]:
        for number in held:
            row = self._index.row_of_number(number)
            yield number, None if row is None else self._index.line(row)

    def _reader(self) -> RunReader:
        slots = list(self._manifest.shards)
        return RunReader(self._target, self._manifest.run_id, slots, live=False)

    def _tell(self) -> None:
        self._done += 1
        if self._on_progress and not self._done % _TOLD_EVERY:
            self._on_progress(SALVAGING, self._done, self._done)


@contextlib.contextmanager
def _writing(run_folder: Path, slot: int) -> "Iterator[_Writer]":
    """A shard to write to; all of it is on disk at the block's end, or StoreError."""
    committer = Committer(shard_folder(run_folder, slot))
    with contextlib.closing(committer):
        writer = _Writer(committer)
        yield writer
        writer.wait()


class _Writer:
    """Hands records over, a bounded number at a time."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._room = threading.Semaphore(1_000)

    def __call__(self, write: Write) -> None:
        """Hand over one record; StoreError where an earlier one failed."""
        self._room.acquire()
        if self._committer.failure:
            raise self._committer.failure
        self._committer.submit(dataclasses.replace(write, done=self._heard))

    def wait(self) -> None:
        """All is on disk."""
        for _ in range(1_000):
            self._room.acquire()
        if self._committer.failure:
            raise self._committer.failure

    def _heard(self, _error: StoreError | None) -> None:
        self._room.release()  # the committer remembers its failure


def _ignored(_error: StoreError | None) -> None:
    """Replaced by the writer."""


def _delta(entry: Attempt | Outcome) -> Delta:
    return delta_of_attempt(entry) if isinstance(entry, Attempt) else {}


def _stored_delta(entry: Attempt | Outcome, *, is_rescued: bool) -> Delta:
    """What it added to the old totals: they know nothing of replies kept aside."""
    if is_rescued and isinstance(entry, Attempt):
        return _delta(dataclasses.replace(entry, state=AttemptState.OPEN))
    return _delta(entry)


def _as_lost(diff: Delta) -> Delta:
    """What the lost records added; open ones among them stay counted as lost."""
    kept = {n: v for n, v in diff.items() if n not in _NOT_CARRIED and v > 0}
    for name in ("", "_usd", "_unpriced"):
        value = kept.pop(f"open{name}", 0)
        if value:
            add(kept, {f"lost{name}": value})
    return kept


def _index_of(source: Path, manifest: Manifest) -> ItemIndex:
    """The run's index; made again from the items where they never changed."""
    try:
        manifest.check_index(source)
        return ItemIndex.open(source / manifest.index)
    except StateDamaged:
        config = manifest.config
        is_first = manifest.index == INDEX
        if not is_first or digest_of(config.items_path).sha256 != manifest.items_sha256:
            raise
        return scan(
            config.items_path,
            id_field=config.id_field,
            result_key=config.output.result_key,
            on_bad_line=config.on_bad_line,
        ).index
