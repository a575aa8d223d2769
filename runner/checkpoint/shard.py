"""One worker slot's part of the checkpoint: begin, settle, record.

    begin   "about to spend" is on disk before the send
    settle  what came back is on disk before anything looks at it
    record  what became of the item

Killed between begin and settle, an attempt stays open: it may have been billed,
and a resume says so. Killed between settle and record, the stored reply is judged
again, not bought again. When the database cannot take a settle, the record goes
into the slot's rescue file: it is kept, and nothing more is begun.

Floor: doors and rules.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from runner.checkpoint.accounting import (
    Delta,
    add,
    as_totals,
    delta_of_attempt,
    delta_of_end,
    delta_of_outcome,
    negated,
)
from runner.checkpoint.committer import Committer, Write
from runner.checkpoint.entries import (
    IDENTITY_KEY,
    RECORD_VERSION,
    Attempt,
    Outcome,
    attempt_key,
    outcome_key,
)
from runner.checkpoint.envelope import seal
from runner.checkpoint.rescue import RescueFile
from runner.checkpoint.store import DATABASE
from runner.durable import make_private_folder, sync_folder
from runner.errors import StoreError
from runner.records import JsonObject, Totals
from runner.run_folder import SHARDS


class Shard:
    """The writing side of one shard; one process at a time has it open."""

    def __init__(self, run_folder: Path, slot: int, *, rescue_bytes: int = 0) -> None:
        """Open shard `slot`; raises StoreError or StateDamaged.

        Args:
            run_folder: The run's folder.
            slot: Which shard.
            rescue_bytes: Disk space to set aside for replies that the database
                cannot take; 0: nothing is in flight here.
        """
        self.slot = slot
        folder = shard_folder(run_folder, slot)
        with contextlib.ExitStack() as opened:
            self._rescue: RescueFile | None = None
            if rescue_bytes:
                self._rescue = RescueFile(folder, rescue_bytes)
                opened.callback(self._rescue.close)
            self._committer = Committer(folder)
            opened.pop_all()
        self._lock = threading.Lock()
        self._rescued: Delta = {}
        self._is_closed = False

    @property
    def failure(self) -> StoreError | None:
        """Why nothing can be recorded any more; None while all is well."""
        return self._committer.failure

    def totals(self) -> Totals:
        """What is on disk, rescued records included."""
        with self._lock:
            return self._committer.totals + as_totals(self._rescued)

    def begin(self, attempt: Attempt) -> None:
        """Put "about to spend" on disk; StoreError if that is not possible."""
        key = attempt_key(attempt.number, attempt.attempt)
        sealed = seal(key, attempt.to_json())
        delta = delta_of_attempt(attempt)
        self._committer.write(key, sealed, delta, is_new=True)

    def settle(self, begun: Attempt, settled: Attempt, body: bytes) -> None:
        """Put what came back on disk, as received.

        Raises StoreError when the database did not take it. The run has to stop
        then, also where the record was rescued and nothing is lost.
        """
        key = attempt_key(begun.number, begun.attempt)
        delta = delta_of_end(begun, settled)
        sealed = seal(key, settled.to_json(), body)
        try:
            self._committer.write(key, sealed, delta, is_new=False)
        except StoreError:
            self._keep(key, sealed, delta)
            raise

    def record(
        self,
        outcome: Outcome,
        result: bytes,
        replaced: Outcome | None,
        done: Callable[[StoreError | None], None],
    ) -> None:
        """Hand over an outcome; `done` hears when it is on disk.

        Args:
            outcome: What became of the item.
            result: The finished result object as ASCII JSON, exported verbatim.
            replaced: The outcome of an earlier generation, whose counts go.
            done: Called in the committer's thread, with None or the error.
        """
        key = outcome_key(outcome.number)
        sealed = seal(key, outcome.to_json(), result)
        delta = _delta_of_change(outcome, replaced)
        is_new = None if replaced else True
        self._committer.submit(Write(key, sealed, delta, done, is_new))

    def record_now(
        self, outcome: Outcome, result: bytes, replaced: Outcome | None
    ) -> None:
        """Record an outcome and wait for the disk; StoreError if not possible."""
        key = outcome_key(outcome.number)
        sealed = seal(key, outcome.to_json(), result)
        self._committer.write(key, sealed, _delta_of_change(outcome, replaced))

    def note(self, key: str, fields: JsonObject) -> None:
        """Put a fact beside the records (sessions); waits for the disk."""
        self._committer.write(key, seal(key, fields), {})

    def set_aside(self, rescue_bytes: int) -> None:
        """Set more of the disk aside: more will be in flight. StoreError."""
        with self._lock:
            if self._rescue and not self._is_closed:
                self._rescue.set_aside(rescue_bytes)

    def close(self) -> None:
        """Commit what waits and close."""
        self._committer.close()
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            if self._rescue and not was_closed:
                self._rescue.close()

    def _keep(self, key: str, sealed: bytes, delta: Delta) -> None:
        """Rescue a record; StoreError if that fails too. Not once we are closed."""
        with self._lock:
            if self._rescue is None or self._is_closed:
                return
            self._rescue.keep(key, sealed)
            add(self._rescued, delta)


def shard_folder(run_folder: Path, slot: int) -> Path:
    """Where shard `slot` of a run is."""
    return run_folder / f"{SHARDS}{slot:02d}"


def create_shard(run_folder: Path, run_id: str, slot: int) -> None:
    """Create an empty shard that knows its run; list it in the manifest next.

    It appears complete or not at all, also when the power goes: half a database is
    damage, and would be refused. Only for who holds the run lock.
    """
    folder = shard_folder(run_folder, slot)
    if (folder / DATABASE).exists():
        return  # made by a start that was killed before it could list it
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_private_folder(unfinished)
    identity = {"v": RECORD_VERSION, "run_id": run_id, "slot": slot}
    committer = Committer(unfinished)
    try:
        committer.write(IDENTITY_KEY, seal(IDENTITY_KEY, identity), {})
    finally:
        committer.close()
    sync_folder(unfinished)  # what SQLite made and removed there
    unfinished.rename(folder)
    sync_folder(run_folder)


def _delta_of_change(outcome: Outcome, replaced: Outcome | None) -> Delta:
    delta = delta_of_outcome(outcome)
    if replaced:
        add(delta, negated(delta_of_outcome(replaced)))
    return delta
