"""Reading one shard without writing a byte.

Plain SQLite, read-only, in pages (a long snapshot keeps the WAL from shrinking).
diskcache cannot do this: its constructor writes, so it cannot open a store on a
full disk.

Floor: doors and rules.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.checkpoint.accounting import Delta, add, as_totals, delta_of_end
from runner.checkpoint.entries import (
    CARRIED_KEY,
    IDENTITY_KEY,
    KEY_CHECK_SQL,
    TOTALS_KEY,
    Attempt,
    Outcome,
    outcome_key,
)
from runner.checkpoint.envelope import unseal
from runner.checkpoint.rescue import RESCUE, rescued
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, READ_FAILURES, SealedDisk
from runner.checkpoint.walking import Record, Unreadable, walk
from runner.errors import StateDamaged
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
        wal = self._path.with_name(f"{DATABASE}-wal")
        self.is_still = not (live or wal.exists())
        """It is read without locks: pages written meanwhile tear it in two."""
        self._disk = SealedDisk(str(self._path.parent))
        self._connection = self._connect()

    def identity(self) -> JsonObject:
        """Which run and slot this shard says it belongs to."""
        entry = self._get(IDENTITY_KEY)
        if entry is None:
            raise StateDamaged(f"{self._path} does not say which run it belongs to")
        return entry[0]

    def is_unused(self, run_id: str) -> bool:
        """Whether this shard was created for that run and has recorded nothing."""
        with self._refusing_damage():
            tables = self._connection.execute("SELECT name FROM sqlite_master")
            if ("Cache",) not in tables.fetchall():
                return True  # killed while it was being created
        entry = self._get(IDENTITY_KEY)
        if entry is None:
            return self.key_totals() == (0, 0) and self._get(TOTALS_KEY) is None
        is_ours = entry[0].get("run_id") == run_id
        return is_ours and self.totals().begun == 0 and not self.sessions()

    def totals(self) -> Totals:
        """The totals: one small read, however many items there are."""
        waiting: Delta = {}
        for begun, settled, _ in self.rescued():
            add(waiting, delta_of_end(begun, settled))
        return self.stored_totals() + as_totals(waiting)

    def stored_totals(self) -> Totals:
        """The totals without what waits in the rescue file."""
        entry = self._get(TOTALS_KEY)
        if entry is None:
            raise StateDamaged(f"{self._path} has lost its totals")
        return Totals.from_json(entry[0])

    def key_totals(self) -> tuple[int, int]:
        """How many attempts and outcomes stand here, and the check over their keys."""
        with self._refusing_damage():
            kinds = [
                self._connection.execute(KEY_CHECK_SQL, (f"{kind}/", f"{kind}0"))
                for kind in ("a", "o")
            ]
            (many, check), (more, another) = (kind.fetchone() for kind in kinds)
        return many + more, check + another

    def check_keys(self) -> None:
        """StateDamaged unless each record that was ever written is still found.

        Reads the index only: 2,000,000 keys in under a second. SQLite itself does
        not notice when a key in it is altered, and the item would be asked again.
        """
        is_held = self._connection.in_transaction
        if not is_held:
            self.hold_still()  # a writer may be at work
        totals, found = self.stored_totals(), self.key_totals()
        if not is_held:
            self._connection.rollback()
        if found != (totals.keys, totals.keys_check):
            raise StateDamaged(
                f"{self._path} holds {found[0]:,} records, not the {totals.keys:,}"
                " that were written"
            )

    def hold_still(self) -> None:
        """See this shard as it is now, whatever is written from now on.

        Meanwhile its -wal file only grows.
        """
        with self._refusing_damage():
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT rowid FROM Cache LIMIT 1").fetchone()

    def integrity_check(self) -> list[str]:
        """What SQLite finds wrong with the file and its indexes; empty: nothing."""
        with self._refusing_damage():
            rows = self._connection.execute("PRAGMA integrity_check(10)")
            found = rows.fetchall()
        lines = [str(line) for (text,) in found for line in str(text).splitlines()]
        return [] if lines == ["ok"] else lines

    def walk(self) -> Iterator[Record | Unreadable]:
        """Every row, readable or not."""
        return walk(self._connection)

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the whole database, as this reader sees it; sqlite3.Error."""
        self._connection.backup(target)

    def highest_number(self) -> int:
        """The highest item number that has an attempt or an outcome; -1: none."""
        query = "SELECT max(key) FROM Cache WHERE key > ? AND key < ? AND raw = 1"
        with self._refusing_damage():
            found = [
                self._connection.execute(query, (f"{kind}/", f"{kind}0")).fetchone()[0]
                for kind in ("a", "o")
            ]
        digits = [str(key)[2:12] for key in found if key is not None]
        if not all(each.isdecimal() for each in digits):
            raise StateDamaged(f"{self._path} holds a key that is none of ours")
        return max(map(int, digits), default=-1)

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
            " WHERE key > ? AND key < ? AND raw = 1 ORDER BY key"
        )
        with self._refusing_damage():
            for (number,) in self._connection.execute(query, (f"{kind}/", f"{kind}0")):
                yield number

    def outcome(self, number: int) -> tuple[Outcome, bytes] | None:
        """Outcome and finished result of one item, if this shard has them."""
        entry = self._get(outcome_key(number))
        return entry and (Outcome.from_json(entry[0]), entry[1])

    def outcomes(self) -> Iterator[tuple[Outcome, bytes]]:
        """All outcomes of this shard in item order."""
        for _, fields, body in self._scan("o/", "o0"):
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

    def carried(self) -> JsonObject | None:
        """Totals of records that a salvage knew of, but could not read.

        None: this shard is none that a salvage has written.
        """
        entry = self._get(CARRIED_KEY)
        return entry[0]["totals"] if entry else None

    def last_carried_session(self) -> int:
        """Number of the latest session that a salvage has brought along (shard 0)."""
        entry = self._get(CARRIED_KEY)
        number: int = entry[0].get("sessions", 0) if entry else 0
        return number

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

    def _connect(self) -> sqlite3.Connection:
        # A missing or zero-length database would open as an empty, healthy one,
        # and everything would be paid for again.
        if not self._path.is_file() or self._path.stat().st_size == 0:
            raise StateDamaged(f"{self._path} is missing or empty")
        # `mode=ro` makes a -wal and a -shm file where there are none, and fails where
        # it cannot: on a full disk, on read-only media. `immutable` does without, and
        # without locks: that nobody writes meanwhile is for `undisturbed` to see.
        mode = "immutable=1" if self.is_still else "mode=ro"
        with self._refusing_damage():
            return sqlite3.connect(
                f"{self._path.resolve().as_uri()}?{mode}", uri=True, timeout=10
            )

    def _get(self, key: str) -> tuple[JsonObject, bytes] | None:
        query = "SELECT key, mode, filename, value FROM Cache WHERE key = ? AND raw = 1"
        with self._refusing_damage():
            row = self._connection.execute(query, (key,)).fetchone()
        return row and self._opened(*row)

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
            for row in page:
                key = row[0]
                fields, body = self._opened(*row)
                if key <= after:
                    raise StateDamaged(f"{self._path}: its keys are out of order")
                after = key
                yield key, fields, body
            if len(page) < _PAGE_ROWS:
                return

    def _opened(
        self, key: str, mode: Any, filename: Any, value: Any
    ) -> tuple[JsonObject, bytes]:
        try:
            return unseal(key, self._disk.fetch(mode, filename, value, read=False))
        except StateDamaged as damage:
            raise StateDamaged(f"{self._path}: {damage.message}") from None

    @contextlib.contextmanager
    def _refusing_damage(self) -> Iterator[None]:
        try:
            yield
        except READ_FAILURES as error:
            message = f"{self._path} cannot be read: {error}"
            raise StateDamaged(message) from error
