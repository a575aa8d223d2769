"""What is readable of a damaged run, as a new run; the damaged one is never touched.

Every record that is as it was written, and of an item of this run, is copied; totals
are counted anew. Where records are lost, the money that the old totals knew of is
carried over, and items that may have had an answer are held back: nobody asks them
again, and pays again, without having said so.

Floor: the run.
"""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Iterator
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
    number_of,
)
from runner.checkpoint.envelope import seal
from runner.checkpoint.history import history_of
from runner.checkpoint.locks import is_worked_on
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recovering import recovered
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.walking import Unreadable
from runner.errors import RunLocked, StateDamaged, StoreError
from runner.itemfile import ItemIndex, digest_of, scan
from runner.records import Totals
from runner.run_folder import EXPORTS, INDEX, SUPERVISOR_SLOT
from runner.session.building import building, locked, moved
from runner.session.naming import free_name
from runner.supervisor.heartbeat import check_last_sign

SALVAGING = "saving records"
LOST = "lost.jsonl"
_TOLD_EVERY = 2_000
_MARGIN_ROWS = 10_000
"""Rows are handed out in order; so many more may have been under way."""
_NOT_CARRIED = ("valid", "invalid", "failed", "records", "keys", "keys_check")


def salvage_run(run_folder: Path, *, on_progress: Progress | None = None) -> Salvaged:
    """Make a new run of what is readable, beside the damaged one.

    Raises RunLocked while somebody works on it, StateDamaged where its manifest, or
    both its index and its items, are lost.
    """
    if is_worked_on(run_folder):
        raise RunLocked(
            f"run {run_folder.name} is being worked on",
            f"runner stop {run_folder.name}",
        )
    manifest = Manifest.load(run_folder)
    state_dir = run_folder.parent
    with building(state_dir) as folder:
        work = _Salvage(run_folder, folder, manifest, on_progress)
        done = work.done()
        with locked(state_dir):
            name = free_name(state_dir, f"{manifest.run}-salvaged")
            work.named(name)
            moved(folder, state_dir / name)
    return dataclasses.replace(done, run=name, folder=state_dir / name)


class _Loss:
    """What is known of the records that one shard has lost."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.lines: list[dict[str, object]] = []
        self.named: dict[int, Delta] = {}
        """What the keys of each shard add up to that are known to be lost."""
        self.has_rescued = False
        """A reply may be lost whose attempt looks open."""
        self.unknown: int | None = 0
        """Records whose items nobody knows; None: not even how many."""

    def note(self, slot: int, row: Unreadable) -> None:
        """One record, or more, cannot be read."""
        number = _number(row.key)
        self.has_rescued |= row.is_rescued
        if number is not None:
            self.numbers.add(number)
            add(self.named.setdefault(slot, {}), delta_of_key(str(row.key)))
        self.lines.append(
            {"shard": slot, "item": number, "key": row.key, "why": row.why}
        )

    @property
    def is_any(self) -> bool:
        """Whether something is lost."""
        return bool(self.numbers) or self.has_rescued or self.unknown != 0


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
        self._loss = _Loss()
        self._done = self._lost = 0
        self._expected = Totals()
        self._index = _index_of(source, manifest)
        self._index.save(target / INDEX)
        for name in (manifest.rejected, EXPORTS):
            with contextlib.suppress(FileNotFoundError):
                (target / name).write_bytes((source / name).read_bytes())
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
            held = self._held_back(reader) if self._loss.is_any else {}
            self._manifest = self._manifest.with_marks(reader.totals_by_slot())
        self._write_lost(held)
        self._manifest = dataclasses.replace(
            self._manifest,
            held_back=save_due(self._target, held, HELD_BACK) if held else None,
        )
        self._manifest.save(self._target)
        return Salvaged(
            run="",
            folder=self._target,
            records=self._done,
            lost=self._lost,
            held_back=len(held),
        )

    def _check_last_sign(self) -> None:
        """Whatever the shards say of themselves: the run may have seen more."""
        try:
            check_last_sign(self._source, self._expected)
        except StateDamaged as damage:
            self._loss.unknown = None
            self._loss.lines.append({"why": damage.message})

    def named(self, name: str) -> None:
        """The name it got."""
        dataclasses.replace(self._manifest, run=name).save(self._target)

    def _copy(self, slot: int) -> Delta:
        """Copy one shard; what its old totals knew and its records do not show."""
        self._manifest = self._manifest.with_shard(self._target, slot)
        found = check = 0
        stored, unreadable = None, False
        counted: Delta = {}
        with _writing(self._target, slot) as write:
            rows = recovered(self._source, self._manifest.run_id, slot, self._target)
            for row in rows:
                if isinstance(row, Unreadable):
                    unreadable = True
                    self._loss.note(slot, row)
                elif row.key == TOTALS_KEY:
                    stored = Totals.from_json(row.fields)
                elif row.key == CARRIED_KEY:
                    add(counted, as_delta(row.fields["totals"]))
                elif row.entry is None and row.key != IDENTITY_KEY:
                    write(Write(row.key, row.sealed, {}, _ignored))
                elif row.entry is not None and self._belongs(row.entry, slot):
                    delta = _delta(row.entry)
                    add(counted, delta)
                    write(Write(row.key, row.sealed, delta, _ignored, is_new=True))
                    found += 1
                    key = delta_of_key(row.key)
                    check += int(key["keys_check"])
                    self._tell()
        return self._carried(slot, stored, found, check, counted, unreadable=unreadable)

    def _carried(
        self,
        slot: int,
        stored: Totals | None,
        found: int,
        check: int,
        counted: Delta,
        *,
        unreadable: bool,
    ) -> Delta:
        if stored is None or stored.records < self._marks.get(slot, 0):
            if unreadable or stored is not None or self._marks.get(slot, 0):
                self._loss.unknown = None
            return {}
        self._expected += stored
        missing = stored.keys - found
        self._lost += missing
        if missing <= 0:
            return {}
        if self._loss.unknown is not None:
            # Keys prove themselves by the sum of their checks: an altered one does not.
            named = self._loss.named.get(slot, {})
            add(named, {"keys": found, "keys_check": check})
            is_known = as_totals(named).keys == stored.keys
            is_known &= as_totals(named).keys_check == stored.keys_check
            self._loss.unknown += 0 if is_known else missing
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
        for slot, carried in deltas.items():
            delta = dict(carried)
            if slot == SUPERVISOR_SLOT:
                add(delta, outcomes)
            plain = as_totals(carried).to_json()
            fields = {"v": RECORD_VERSION, "totals": plain}
            committer = Committer(shard_folder(self._target, slot))
            with contextlib.closing(committer):
                committer.write(CARRIED_KEY, seal(CARRIED_KEY, fields), delta)

    def _held_back(self, reader: RunReader) -> dict[int, int]:
        """Items without an outcome that may have had one, or an answer."""
        done = set(reader.numbers_done())
        rows = map(self._index.row_of_number, reader.numbers_attempted())
        last = max((row for row in rows if row is not None), default=-1)
        if self._loss.unknown is None:
            last = len(self._index)
        elif self._loss.unknown:
            last += self._loss.unknown + _MARGIN_ROWS
        else:
            last = -1
        held: dict[int, int] = {}
        for row in range(len(self._index)):
            number = self._index.number(row)
            is_suspect = row <= last or number in self._loss.numbers
            if number in done or not (is_suspect or self._loss.has_rescued):
                continue
            history = history_of([a for a, _ in reader.attempts(number)])
            if not is_suspect and not (self._loss.has_rescued and history.unresolved):
                continue
            if history.unjudged is None:
                held[number] = history.next_attempt - 1
        return held

    def _asking_anew(self, manifest: Manifest) -> None:
        """What a retry had still to ask, where that is readable."""
        try:
            due = load_due(self._source, manifest.asking_anew)
        except StateDamaged as damage:
            self._loss.lines.append(
                {"file": manifest.asking_anew, "why": damage.message}
            )
            return
        if due:
            name = save_due(self._target, due)
            self._manifest = dataclasses.replace(self._manifest, asking_anew=name)

    def _write_lost(self, held: dict[int, int]) -> None:
        """One line for each loss that is known, and for each item held back."""
        lines = list(self._loss.lines)
        for number in held:
            row = self._index.row_of_number(number)
            line = None if row is None else self._index.line(row)
            lines.append({"held_back": number, "line": line})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (self._target / LOST).write_text(text, encoding="ascii")

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


def _number(key: str | None) -> int | None:
    try:
        return number_of(key) if key and key[:2] in ("a/", "o/") else None
    except ValueError:
        return None  # an altered key names no item
