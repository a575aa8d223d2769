"""Reading shards without writing a byte: `status`, export, resume, `show`.

Plain SQLite, read-only, in pages (a long snapshot keeps the WAL from shrinking).
diskcache cannot do this: its constructor writes, so it cannot open a store on a
full disk.

Floor: doors and rules.
"""

import contextlib
import heapq
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.checkpoint.accounting import Delta, add, as_totals, delta_of_end
from runner.checkpoint.entries import (
    IDENTITY_KEY,
    RECORD_VERSION,
    TOTALS_KEY,
    Attempt,
    Outcome,
    outcome_key,
)
from runner.checkpoint.envelope import unseal
from runner.checkpoint.rescue import RESCUE, rescued
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, SealedDisk
from runner.errors import StateDamaged, StateTooNew
from runner.records import AttemptState, JsonObject, Totals

_PAGE_ROWS = 1_000


class ShardReader:
    """One shard, read-only. Use it in the thread that built it."""

    def __init__(self, run_folder: Path, slot: int, *, live: bool) -> None:
        """Open shard `slot`; StateDamaged if it is missing or no store of ours.

        Args:
            run_folder: The run's folder.
            slot: Which shard.
            live: Somebody may write to it while this reader is open.
        """
        self.slot = slot
        self._path = shard_folder(run_folder, slot) / DATABASE
        self._disk = SealedDisk(str(self._path.parent))
        self._connection = self._connect(live=live)

    def identity(self) -> JsonObject:
        """Which run and slot this shard says it belongs to."""
        entry = self._get(IDENTITY_KEY)
        if entry is None:
            raise StateDamaged(f"{self._path} does not say which run it belongs to")
        return entry[0]

    def is_unused(self, run_id: str) -> bool:
        """Whether this shard was created for that run and has recorded nothing."""
        entry = self._get(IDENTITY_KEY)
        is_ours = entry is None or entry[0].get("run_id") == run_id
        return is_ours and self.totals().begun == 0 and not self.sessions()

    def totals(self) -> Totals:
        """The totals: one small read, however many items there are."""
        entry = self._get(TOTALS_KEY)
        waiting: Delta = {}
        for begun, settled, _ in self.rescued():
            add(waiting, delta_of_end(begun, settled))
        stored = Totals.from_json(entry[0]) if entry else Totals()
        return stored + as_totals(waiting)

    def rescued(self) -> list[tuple[Attempt, Attempt, bytes]]:
        """Replies that wait in the rescue file for their attempt, open in the shard.

        Returns: The attempt as begun and as settled, and the bytes received.
        Raises StateDamaged if they do not belong to this shard.
        """
        waiting = []
        for key, fields, body in rescued(self._path.parent):
            entry = self._get(key)
            settled = Attempt.from_json(fields)
            begun = entry and Attempt.from_json(entry[0])
            if not begun or begun.fingerprint != settled.fingerprint:
                raise StateDamaged(
                    f"{self._path.parent / RESCUE} holds an answer to a question that"
                    f" {self._path} does not know",
                    "put the newest copy of the shard's folder back",
                )
            if begun.state is AttemptState.OPEN:
                waiting.append((begun, settled, body))
        return waiting

    def numbers(self, kind: str) -> Iterator[int]:
        """Item numbers that have an outcome (`o`) or attempts (`a`), ascending.

        Reads the index only: 1,000,000 keys in about a second.
        """
        query = (
            "SELECT DISTINCT CAST(substr(key, 3, 10) AS INTEGER) FROM Cache"
            " WHERE key > ? AND key < ? ORDER BY key"
        )
        with self._refusing_damage():
            for (number,) in self._connection.execute(query, (f"{kind}/", f"{kind}0")):
                yield number

    def outcome(self, number: int) -> tuple[Outcome, bytes] | None:
        """Outcome and finished result of one item, if this shard has them."""
        entry = self._get(outcome_key(number))
        return entry and (Outcome.from_json(entry[0]), entry[1])

    def outcomes(self, after: int = -1) -> Iterator[tuple[Outcome, bytes]]:
        """All outcomes of this shard in item order, from after item `after`."""
        last = outcome_key(after) if after >= 0 else "o/"
        for _, fields, body in self._scan(last, "o0"):
            yield Outcome.from_json(fields), body

    def attempts(self, number: int) -> list[tuple[Attempt, bytes]]:
        """All attempts of one item in this shard, with the bytes received."""
        return list(self._attempts(f"a/{number:010d}/", f"a/{number:010d}0"))

    def attempt(self, number: int, attempt: int) -> tuple[Attempt, bytes] | None:
        """One attempt, with the bytes received."""
        found = self.attempts(number)
        return next((entry for entry in found if entry[0].attempt == attempt), None)

    def all_attempts(self) -> Iterator[tuple[Attempt, bytes]]:
        """Every attempt of this shard, in item order."""
        yield from self._attempts("a/", "a0")

    def sessions(self) -> list[JsonObject]:
        """The sessions noted in this shard (shard 0), oldest first."""
        return [fields for _, fields, _ in self._scan("s/", "s0")]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _attempts(self, after: str, before: str) -> Iterator[tuple[Attempt, bytes]]:
        """Attempts as they stand; one whose reply was rescued counts as settled."""
        waiting = {
            (settled.number, settled.attempt): (settled, body)
            for _, settled, body in self.rescued()
        }
        for _, fields, body in self._scan(after, before):
            stored = Attempt.from_json(fields)
            yield waiting.get((stored.number, stored.attempt), (stored, body))

    def _connect(self, *, live: bool) -> sqlite3.Connection:
        # A missing or zero-length database would open as an empty, healthy one,
        # and everything would be paid for again.
        if not self._path.is_file() or self._path.stat().st_size == 0:
            raise StateDamaged(f"{self._path} is missing or empty")
        wal = self._path.with_name(f"{self._path.name}-wal")
        # `immutable` needs no file of its own, so it works on a full disk and on
        # read-only media; but it never sees what is written after it was opened.
        is_still = not live and not wal.exists()
        mode = "immutable=1" if is_still else "mode=ro"
        with self._refusing_damage():
            return sqlite3.connect(
                f"{self._path.resolve().as_uri()}?{mode}", uri=True, timeout=10
            )

    def _get(self, key: str) -> tuple[JsonObject, bytes] | None:
        query = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1"
        with self._refusing_damage():
            row = self._connection.execute(query, (key,)).fetchone()
        return row and self._opened(key, row)

    def _scan(self, after: str, before: str) -> Iterator[tuple[str, JsonObject, bytes]]:
        query = (
            "SELECT key, mode, filename, value FROM Cache"
            " WHERE key > ? AND key < ? AND raw = 1 ORDER BY key LIMIT ?"
        )
        while True:
            with self._refusing_damage():
                page = self._connection.execute(
                    query, (after, before, _PAGE_ROWS)
                ).fetchall()
            for key, *row in page:
                yield key, *self._opened(key, row)
            if len(page) < _PAGE_ROWS:
                return
            after = page[-1][0]

    def _opened(self, key: str, row: Any) -> tuple[JsonObject, bytes]:
        mode, filename, value = row
        try:
            return unseal(key, self._disk.fetch(mode, filename, value, read=False))
        except StateDamaged as damage:
            raise StateDamaged(f"{self._path}: {damage}") from None

    @contextlib.contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StateDamaged(f"{self._path} cannot be read: {error}") from error


class RunReader:
    """All shards of a run, merged."""

    def __init__(
        self, run_folder: Path, run_id: str, slots: list[int], *, live: bool
    ) -> None:
        """Open every listed shard; StateDamaged if one is missing or foreign.

        Args:
            run_folder: The run's folder.
            run_id: Which run the shards must say they belong to.
            slots: The shards that the manifest lists.
            live: Somebody may write to them while this reader is open.
        """
        self._shards = {
            slot: ShardReader(run_folder, slot, live=live) for slot in slots
        }
        for slot, shard in self._shards.items():
            identity = shard.identity()
            _check_version(shard_folder(run_folder, slot), identity.get("v"))
            if (identity.get("run_id"), identity.get("slot")) != (run_id, slot):
                raise StateDamaged(
                    f"{shard_folder(run_folder, slot)} belongs to another run"
                )

    def totals_by_slot(self) -> dict[int, Totals]:
        """The stored totals of each shard."""
        return {slot: shard.totals() for slot, shard in self._shards.items()}

    def totals(self) -> Totals:
        """The stored totals of the run."""
        return sum(self.totals_by_slot().values(), Totals())

    def numbers_done(self) -> Iterator[int]:
        """Numbers of all items with an outcome; some may come twice."""
        for shard in self._shards.values():
            yield from shard.numbers("o")

    def numbers_attempted(self) -> Iterator[int]:
        """Numbers of all items with attempts; some may come twice."""
        for shard in self._shards.values():
            yield from shard.numbers("a")

    def outcome(self, number: int) -> tuple[Outcome, bytes] | None:
        """The latest outcome of one item, with its finished result."""
        found = [shard.outcome(number) for shard in self._shards.values()]
        return max(filter(None, found), key=_generation, default=None)

    def outcomes(self) -> Iterator[tuple[Outcome, bytes]]:
        """The latest outcome of every item, in item order: a merge of scans."""
        merged = heapq.merge(
            *(shard.outcomes() for shard in self._shards.values()),
            key=lambda entry: (entry[0].number, entry[0].generation),
        )
        latest: tuple[Outcome, bytes] | None = None
        for entry in merged:
            if latest and latest[0].number != entry[0].number:
                yield latest
            latest = entry
        if latest:
            yield latest

    def attempts(self, number: int) -> list[tuple[Attempt, bytes]]:
        """All attempts of one item, oldest first, with the bytes received."""
        found = [
            entry for shard in self._shards.values() for entry in shard.attempts(number)
        ]
        return sorted(found, key=lambda entry: entry[0].attempt)

    def all_attempts(self) -> Iterator[tuple[Attempt, bytes]]:
        """Every attempt of the run, shard by shard, with the bytes received."""
        for shard in self._shards.values():
            yield from shard.all_attempts()

    def attempt(self, slot: int, number: int, attempt: int) -> tuple[Attempt, bytes]:
        """One attempt; StateDamaged if it is not where a record says it is."""
        entry = self._shards[slot].attempt(number, attempt)
        if entry is None:
            raise StateDamaged(f"attempt {attempt} of item {number} is missing")
        return entry

    def unresolved(self) -> Iterator[Attempt]:
        """Open attempts that nothing has asked again, in no order."""
        superseded: set[tuple[int, int]] = set()
        still_open: list[Attempt] = []
        for shard in self._shards.values():
            for attempt, _ in shard.all_attempts():
                if attempt.state is AttemptState.NOT_SENT:
                    continue
                superseded.update(
                    (attempt.number, s.attempt) for s in attempt.supersedes
                )
                if attempt.state is AttemptState.OPEN:
                    still_open.append(attempt)
        return (a for a in still_open if (a.number, a.attempt) not in superseded)

    def sessions(self) -> list[JsonObject]:
        """Every session of the run, oldest first."""
        return self._shards[0].sessions() if 0 in self._shards else []

    def close(self) -> None:
        """Close all shards."""
        for shard in self._shards.values():
            shard.close()


def _check_version(folder: Path, version: object) -> None:
    if version == RECORD_VERSION:
        return
    if isinstance(version, int) and version > RECORD_VERSION:
        raise StateTooNew(
            f"{folder} was written by a newer version of runner", "update runner"
        )
    raise StateDamaged(
        f"{folder} was written by a version of runner that was never released",
        "go on with that version, or begin a new run",
    )


def _generation(entry: tuple[Outcome, bytes]) -> int:
    return entry[0].generation
