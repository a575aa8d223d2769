"""diskcache, used as a plain durable store: the one door to it.

Its defaults are dangerous here. It evicts silently at 1 GiB; it pickles
(CVE-2025-69872, no fixed release) and reads files named in rows; it syncs with
NORMAL. So: nothing is evicted, `SealedDisk` takes and gives bytes only, and every
setting that matters is read back at open, because settings live in the database
and another constructor elsewhere could have changed them.

Floor: doors and rules.
"""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diskcache

from runner.durable import open_private
from runner.errors import StateDamaged, StoreError

_NEVER = 2**62
SETTINGS: Mapping[str, int | str] = {
    # All three: `none` alone still culls expired rows.
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": _NEVER,
    # Values never become files: no orphans, no lost file read as a default.
    "disk_min_file_size": _NEVER,
    "statistics": 0,
    "tag_index": 0,
    "sqlite_journal_mode": "wal",
    "sqlite_synchronous": 2,  # FULL: an acknowledged answer survives power loss
    "sqlite_auto_vacuum": 0,
    "sqlite_mmap_size": 0,  # no SIGBUS when the disk fails under a mapping
    "sqlite_journal_size_limit": 64 * 1024 * 1024,
    "sqlite_cell_size_check": 1,
    # Pages of 4 KiB. Records are appended, so a few are in use; the default of 8,192
    # fills up with all the others: two workers took 62 MB more after 30,000 items.
    "sqlite_cache_size": 500,
}
_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "mmap_size": 0}
READ_FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""The second: SQLite's message quotes damaged bytes, and Python cannot read it."""
STORE_FAILURES = (*READ_FAILURES, diskcache.Timeout, OSError)
DATABASE = diskcache.core.DBNAME
_MODE_RAW = diskcache.core.MODE_RAW


# The parameters' names are diskcache's: it passes some of them by keyword.
# ruff: noqa: ARG002
class SealedDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are short ASCII text, values are bytes; nothing is ever unpickled."""

    def put(self, key: object) -> tuple[str, bool]:
        """The key as it stands in the database."""
        if not isinstance(key, str) or not key.isascii():
            raise TypeError(f"checkpoint keys are ASCII text, not {key!r}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """The key back from the database."""
        if not isinstance(key, str) or not raw:
            raise StateDamaged("a record's key was not written by runner")
        return key

    def store(
        self, value: object, read: object, key: object = None
    ) -> tuple[int, int, None, sqlite3.Binary]:
        """The value as it stands in the database: always inside the row."""
        if not isinstance(value, bytes) or read:
            raise TypeError(f"checkpoint values are bytes, not {type(value)}")
        return 0, _MODE_RAW, None, sqlite3.Binary(value)

    def fetch(
        self, mode: object, filename: object, value: object, read: object
    ) -> bytes:
        """The value back; rows that name a file or hold a pickle are refused."""
        if mode != _MODE_RAW or filename is not None or read:
            raise StateDamaged("a record was not written by runner")
        if not isinstance(value, bytes):
            raise StateDamaged("a record does not hold bytes")
        return value

    def filename(self, key: object = None, value: object = None) -> Any:
        """Never: values do not become files."""
        raise TypeError("checkpoint values are never files")

    def remove(self, file_path: object) -> None:
        """Nothing to remove: rows never name a file (diskcache passes None)."""
        if file_path is not None:
            raise StateDamaged("a record names a file")


def open_store(folder: Path) -> diskcache.Cache:
    """Open, or create, the store in `folder`.

    Call it in the thread that will write: the constructor opens a connection for
    its thread, and one writing connection per file keeps clear of SQLite's
    WAL-reset bug (all versions before 3.51.3).
    """
    try:
        # SQLite would create it for everybody; -wal and -shm get the mode it has.
        os.close(open_private(folder / DATABASE))
        store = diskcache.Cache(
            str(folder), timeout=60, disk=SealedDisk, **dict(SETTINGS)
        )
        _read_back(store, folder)
    except STORE_FAILURES as error:
        if (
            isinstance(error, UnicodeDecodeError)
            or type(error) is sqlite3.DatabaseError
        ):
            # Not "cannot" but "is not": malformed, or no database at all.
            raise StateDamaged(
                f"the checkpoint in {folder} is damaged: {error}"
            ) from error
        raise StoreError(f"cannot open the checkpoint in {folder}: {error}") from error
    return store


def _read_back(store: diskcache.Cache, folder: Path) -> None:
    for name in ("eviction_policy", "cull_limit", "size_limit", "disk_min_file_size"):
        if store.reset(name) != SETTINGS[name]:
            raise StateDamaged(f"{folder}: setting {name} is not ours")
    for pragma, wanted in _PRAGMAS.items():
        rows = store._sql(f"PRAGMA {pragma}").fetchall()  # noqa: SLF001 - no public way
        if rows and rows[0][0] != wanted:
            raise StoreError(f"{folder}: {pragma} is {rows[0][0]}, not {wanted}")
