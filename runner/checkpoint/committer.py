"""One thread, one writing connection, many waiting threads: the group commit.

Whoever has something to write hands it over and waits, or leaves a callback; all
that has gathered while the last commit was syncing goes into the next one. The
first failed commit ends it for good: nothing may be sent that cannot be recorded.

Floor: doors and rules.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.checkpoint.accounting import Delta, add, as_delta, as_totals, delta_of_key
from runner.checkpoint.entries import TOTALS_KEY
from runner.checkpoint.envelope import seal, unseal
from runner.checkpoint.store import open_store
from runner.errors import RunnerError, StateDamaged, StoreClosed, StoreError
from runner.money import count_exactly
from runner.records import Totals

_MOST_WRITES_A_COMMIT = 2_000


@dataclass(frozen=True, slots=True)
class Write:
    """One record, what it changes in the totals, and whom to tell.

    `done` is called in the committer's thread: with None once the record is on
    disk, or with the error that keeps it from being so.
    """

    key: str
    sealed: bytes
    delta: Delta
    done: Callable[[StoreError | None], None]
    is_new: bool | None = None
    """Whether nothing stands under that key yet; None: it has to be looked up."""


class Committer:
    """Writes records of one shard, group by group, each commit synced to disk."""

    def __init__(self, folder: Path) -> None:
        """Open the store; raises StoreError or StateDamaged."""
        self._folder = folder
        self._lock = threading.Condition()
        self._waiting: list[Write] = []
        self._closing = False
        self._failure: StoreError | None = None
        self._totals: Delta = {}
        self._opened = threading.Event()
        self._open_error: RunnerError | None = None
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._open_error:
            raise self._open_error

    @property
    def totals(self) -> Totals:
        """The totals of this shard, as on disk."""
        return as_totals(self._totals)

    @property
    def failure(self) -> StoreError | None:
        """Why nothing can be recorded any more; None while all is well."""
        return self._failure

    def submit(self, write: Write) -> None:
        """Hand over one record; `write.done` hears what became of it."""
        with self._lock:
            if not self._failure and not self._closing:
                self._waiting.append(write)
                self._lock.notify()
                return
        write.done(self._failure or StoreClosed("the checkpoint is closed"))

    def write(
        self, key: str, sealed: bytes, delta: Delta, *, is_new: bool | None = None
    ) -> None:
        """Hand over one record and wait until it is on disk; StoreError if not."""
        # Taken until it has landed: an Event costs sixteen times as much to make.
        under_way = threading.Lock()
        under_way.acquire()
        outcome: list[StoreError | None] = []

        def done(error: StoreError | None) -> None:
            outcome.append(error)
            under_way.release()

        self.submit(Write(key, sealed, delta, done, is_new))
        under_way.acquire()
        if outcome[0] is not None:
            raise outcome[0]

    def close(self) -> None:
        """Commit what waits, then close the store."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        self._thread.join()

    def _run(self) -> None:
        count_exactly()
        try:
            store = open_store(self._folder)
            self._totals = _stored_totals(store)
        except RunnerError as error:
            self._open_error = error
            return
        except Exception as error:  # noqa: BLE001 - else its maker would wait for ever
            self._open_error = StateDamaged(f"{self._folder} is damaged: {error}")
            return
        finally:
            self._opened.set()
        while group := self._next_group():
            self._commit(store, group)
        store.close()

    def _next_group(self) -> list[Write]:
        with self._lock:
            while not self._waiting and not self._closing:
                self._lock.wait()
            group = self._waiting[:_MOST_WRITES_A_COMMIT]
            del self._waiting[:_MOST_WRITES_A_COMMIT]
            return group

    def _commit(self, store: Any, group: list[Write]) -> None:
        error = self._failure or self._try_commit(store, group)
        if error:
            with self._lock:
                self._failure = error
        for write in group:
            write.done(error)

    def _try_commit(self, store: Any, group: list[Write]) -> StoreError | None:
        totals = dict(self._totals)
        for write in group:
            add(totals, write.delta)
        add(totals, {"records": len(group)})
        try:
            with store.transact():
                for write in group:
                    if _is_new(store, write):
                        add(totals, delta_of_key(write.key))
                    store.set(write.key, write.sealed)
                store.set(TOTALS_KEY, _sealed_totals(totals))
        except Exception as cause:  # noqa: BLE001 - a bug must not leave them waiting
            return StoreError(
                f"cannot write the checkpoint in {self._folder}: {words_of(cause)}",
                "make room, or mend the disk, then `runner resume`",
            )
        self._totals = totals
        return None


def words_of(cause: Exception) -> str:
    """What went wrong; diskcache's Timeout, which stands for much, says nothing."""
    root = cause.__cause__ or cause.__context__
    return str(cause) or str(root or "") or type(cause).__name__


def _is_new(store: Any, write: Write) -> bool:
    if write.is_new is None:
        return store.get(write.key) is None
    return write.is_new


def _stored_totals(store: Any) -> Delta:
    sealed = store.get(TOTALS_KEY)
    stored = {} if sealed is None else unseal(TOTALS_KEY, sealed)[0]
    return as_delta(stored)


def _sealed_totals(totals: Delta) -> bytes:
    plain = {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in totals.items()
        if value
    }
    return seal(TOTALS_KEY, plain)
