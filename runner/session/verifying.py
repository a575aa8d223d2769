"""Reading everything of a run, to say whether it is sound; writes nothing.

    every row          as it was written, and the record its key says
    every shard        SQLite's own check, identity, no key missing, marks reached
    every outcome      of the index's item, JSON, its answer is there
    all together       add up to the stored totals

While the run goes on each shard is seen as it was at one moment: a record that is
written meanwhile is no damage.

Floor: the run.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from runner.api_records import Progress, Verified
from runner.checkpoint.anew import load_due
from runner.checkpoint.entries import Attempt, Outcome, number_of
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.recounting import recount
from runner.checkpoint.rescue import RESCUE
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.checkpoint.walking import Record, Unreadable
from runner.errors import StateError
from runner.itemfile import ItemIndex, read_rejected
from runner.records import AttemptState, OutcomeState
from runner.run_folder import EXPORTS, HEARTBEAT, MANIFEST
from runner.session.findings import Findings
from runner.session.noting import files_of_ours
from runner.supervisor.heartbeat import NOT_NEEDED, check_told, records_told

CHECKING = "checking records"
SALVAGE = "put a backup back, or `runner salvage` keeps what is readable"
_PUT_BACK = "put the newest copy of that file back"
_TOLD_EVERY = 2_000


def verify_run(run_folder: Path, *, on_progress: Progress | None = None) -> Verified:
    """Read everything; RunNotFound or StateDamaged only for the manifest itself."""
    return undisturbed(
        run_folder, lambda look: _Inspection(run_folder, look, on_progress).verified()
    )


class _Inspection:
    def __init__(
        self, run_folder: Path, look: Look, on_progress: Progress | None
    ) -> None:
        self._folder = run_folder
        self._look = look
        self._on_progress = on_progress
        self._findings = Findings()
        self._told = 0
        with self._noting(HEARTBEAT, NOT_NEEDED):
            self._told = records_told(run_folder)  # before the manifest
        self._manifest = Manifest.load(run_folder)
        self._attempts = self._outcomes = self._done = self._total = 0
        self._index: ItemIndex | None = None

    def verified(self) -> Verified:
        """Everything, file by file, then all of it together."""
        self._check_index()
        self._check_small_files()
        with contextlib.ExitStack() as opened:
            shards = self._opened_shards(opened)
            self._total = sum(shard.key_totals()[0] for shard in shards)
            for shard in shards:
                self._check_shard(shard)
        if self._findings.is_empty:
            self._check_together()
        self._look.end(is_damaged=not self._findings.is_empty)
        return Verified(
            run=self._manifest.run,
            attempts=self._attempts,
            outcomes=self._outcomes,
            damage=self._findings.damage(),
            is_half_judged=self._manifest.is_half_judged,
        )

    def _check_index(self) -> None:
        name, manifest = self._manifest.index, self._manifest
        do = f"{_PUT_BACK}, or `runner salvage`"
        with self._noting(name, do):
            self._index = ItemIndex.open(self._folder / name)
            found = (len(self._index), self._index.next_number)
            if found != (manifest.items, manifest.next_number):
                self._findings.note(name, "it is not the index of this run", do)

    def _check_small_files(self) -> None:
        manifest, folder = self._manifest, self._folder
        for name in filter(None, (manifest.asking_anew, manifest.held_back)):
            with self._noting(name):
                load_due(folder, name)
        with self._noting(EXPORTS, "delete it: it only says whose the files are"):
            files_of_ours(folder)
        if manifest.config.on_bad_line == "skip":
            with self._noting(manifest.rejected):
                for _ in read_rejected(folder / manifest.rejected):
                    pass
        if not self._look.is_live:
            with self._noting(MANIFEST):
                manifest.refuse_unlisted_shards(folder)

    def _opened_shards(self, opened: contextlib.ExitStack) -> list[ShardReader]:
        shards: list[ShardReader] = []
        for slot in self._manifest.shards:
            with self._noting(self._name(slot)):
                shard = self._look.open_shard(slot)
                opened.callback(shard.close)
                shard.hold_still()
                shard.key_totals()
                shards.append(shard)
        return shards

    def _check_shard(self, shard: ShardReader) -> None:
        name = self._name(shard.slot)
        with self._noting(name):
            for line in shard.integrity_check()[:1]:
                self._findings.note(name, f"SQLite's own check: {line}", SALVAGE)
        for row in shard.walk():
            self._check_row(name, row)
        with self._noting(name):
            shard.check_keys()
        with self._noting(f"{shard_folder(self._folder, shard.slot).name}/{RESCUE}"):
            shard.rescued()

    def _check_row(self, name: str, row: Record | Unreadable) -> None:
        if isinstance(row, Unreadable):
            what = "records that cannot be read" if row.key is None else row.why
            what = what.replace(f"record {row.key} ", "a record ")
            self._findings.note(name, what, SALVAGE, number=_number(row.key))
            return
        self._attempts += isinstance(row.entry, Attempt)
        self._outcomes += isinstance(row.entry, Outcome)
        if row.entry is not None:
            self._tell()

    def _check_together(self) -> None:
        """What only shows once every record by itself is well."""
        with self._noting("shards"):
            reader = self._look.open_reader(self._manifest)
            reader.hold_still()
            check_told(self._folder, self._told, reader.totals())
            for outcome, result in reader.outcomes():
                self._check_outcome(reader, outcome, result)
            if recount(reader) != reader.totals():
                self._findings.note(
                    "shards", "their records do not add up to their totals", SALVAGE
                )

    def _check_outcome(
        self, reader: RunReader, outcome: Outcome, result: bytes
    ) -> None:
        for what in self._wrong_with(reader, outcome, result):
            self._findings.note("shards", what, SALVAGE, number=outcome.number)

    def _wrong_with(
        self, reader: RunReader, outcome: Outcome, result: bytes
    ) -> Iterator[str]:
        assert self._index is not None
        row = self._index.row_of_number(outcome.number)
        if (
            row is not None
            and outcome.fingerprint != self._index.fingerprint(row).hex()
        ):
            yield "outcomes of other items than those of the index"
        if outcome.state is OutcomeState.REMOVED:
            return
        if not _is_object(result):
            yield "results that are no JSON objects"
        if outcome.answer is not None and not self._is_there(reader, outcome):
            yield "outcomes whose answer is not there"

    def _is_there(self, reader: RunReader, outcome: Outcome) -> bool:
        assert outcome.answer is not None
        slot, attempt = outcome.answer
        shard = reader.shards.get(slot)
        found = shard and shard.attempt(outcome.number, attempt)
        if found and found[0].state is not AttemptState.OPEN:
            return found[0].is_answer and found[0].fingerprint == outcome.fingerprint
        # Gone, or back to its older version: lost in a damage that a salvage has told
        # of, or recorded in another shard within the moment that was looked at.
        if reader.carried():
            return True
        if not self._look.is_live or slot not in self._manifest.shards:
            return False
        fresh = ShardReader(self._folder, slot, live=True)
        with contextlib.closing(fresh):
            found = fresh.attempt(outcome.number, attempt)
        return found is not None and found[0].is_answer

    @contextlib.contextmanager
    def _noting(self, file: str, do: str = SALVAGE) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self._findings.note(file, error.message, do)

    def _name(self, slot: int) -> str:
        return f"{shard_folder(self._folder, slot).name}/{DATABASE}"

    def _tell(self) -> None:
        self._done += 1
        if self._on_progress and not self._done % _TOLD_EVERY:
            self._on_progress(CHECKING, self._done, self._total)


def _number(key: str | None) -> int | None:
    try:
        return number_of(key) if key else None
    except ValueError:
        return None  # an altered key names no item


def _is_object(result: bytes) -> bool:
    try:
        return isinstance(json.loads(result), dict)
    except ValueError:
        return False
