"""Every row of a shard, and what of it cannot be read: for `verify` and `salvage`.

Goes by row number, not by key: so a damaged key index hides nothing, and a damaged
page costs its own rows only.

Floor: doors and rules.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runner.checkpoint.entries import Attempt, Outcome, attempt_key, outcome_key
from runner.checkpoint.envelope import unseal
from runner.checkpoint.store import READ_FAILURES, SealedDisk
from runner.errors import StateDamaged
from runner.records import JsonObject

_ROWS_A_READ = 1_000
_COLUMNS = "key, raw, mode, filename, value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record that is as it was written."""

    key: str
    sealed: bytes
    fields: JsonObject
    body: bytes
    entry: Attempt | Outcome | None
    """None: a fact beside the records (totals, identity, sessions)."""
    is_rescued: bool = False
    """The reply to an attempt that is open in the shard, from beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """One record, or some rows, that cannot be read, or are not as written."""

    key: str | None
    """None: nobody knows."""
    why: str
    is_rescued: bool = False
    """It may be the reply to an attempt that looks open."""


def walk(connection: sqlite3.Connection) -> Iterator[Record | Unreadable]:
    """Every row, in the order of writing. Nothing is executed or unpickled."""
    try:
        (last,) = connection.execute("SELECT max(rowid) FROM Cache").fetchone()
    except READ_FAILURES as error:
        yield Unreadable(key=None, why=str(error))
        return
    for low in range(1, (last or 0) + 1, _ROWS_A_READ):
        for row in _rows(connection, low, min(low + _ROWS_A_READ - 1, last)):
            yield row if isinstance(row, Unreadable) else opened(*row)


def opened(
    key: Any, raw: Any, mode: Any, filename: Any, value: Any
) -> Record | Unreadable:
    """What stands in one row."""
    try:
        sealed = _DISK.fetch(mode, filename, value, read=False)
        if not raw:
            return Unreadable(key=_text(key), why="its key is none of ours")
        fields, body = unseal(key, sealed)
        entry = _entry(key, fields)
    except (StateDamaged, ValueError, TypeError, KeyError) as error:
        why = error.message if isinstance(error, StateDamaged) else repr(error)
        return Unreadable(key=_text(key), why=why)
    return Record(key=key, sealed=sealed, fields=fields, body=body, entry=entry)


def _rows(
    connection: sqlite3.Connection, low: int, high: int
) -> Iterator[tuple[Any, ...] | Unreadable]:
    """Rows of these numbers; a range that cannot be read is halved."""
    query = f"SELECT {_COLUMNS} FROM Cache WHERE rowid BETWEEN ? AND ?"  # noqa: S608 - columns of ours
    try:
        found = connection.execute(query, (low, high)).fetchall()
    except READ_FAILURES as error:
        if low == high:
            yield Unreadable(key=_key_of(connection, low), why=str(error))
            return
        middle = (low + high) // 2
        yield from _rows(connection, low, middle)
        yield from _rows(connection, middle + 1, high)
        return
    yield from found


def _key_of(connection: sqlite3.Connection, row: int) -> str | None:
    """The key of a row that cannot be read, as far as the key index tells."""
    query = "SELECT key FROM Cache INDEXED BY Cache_key_raw WHERE +rowid = ?"
    try:
        found = connection.execute(query, (row,)).fetchone()
    except READ_FAILURES:
        return None  # the index is damaged too: nobody knows
    return _text(found[0]) if found else None


def _entry(key: str, fields: JsonObject) -> Attempt | Outcome | None:
    """The record; ValueError if it is not the one its key says."""
    if key.startswith("a/"):
        attempt = Attempt.from_json(fields)
        own: tuple[str, Attempt | Outcome] = (
            attempt_key(attempt.number, attempt.attempt),
            attempt,
        )
    elif key.startswith("o/"):
        outcome = Outcome.from_json(fields)
        own = (outcome_key(outcome.number), outcome)
    else:
        return None
    if own[0] != key:
        raise ValueError(f"it is the record of {own[0]}")
    return own[1]


def _text(key: Any) -> str | None:
    return key if isinstance(key, str) and key.isascii() else None


_DISK = SealedDisk("")
