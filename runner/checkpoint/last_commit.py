"""Deciding what a killed writer's last commit came to, once and for every reader.

A process killed inside a commit can leave it whole in the -wal file, but not yet in
the index of that file (-shm), which all connections share. Nobody sees the commit
while any connection is open; it appears when the last one has closed and the next
recovers the file from its bytes (https://www.sqlite.org/walformat.html, "Recovery").
An item given to another worker in between would be paid for twice.

Floor: doors and rules.
"""

import contextlib
import sqlite3
from pathlib import Path

from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, READ_FAILURES
from runner.errors import StoreError

_PATIENCE_S = 60.0


def decide_last_commit(run_folder: Path, slot: int) -> None:
    """Make what is seen of shard `slot` from now on what it holds for good.

    One small write does it: where no connection was open it comes after the recovery,
    which takes the commit in; else it overwrites those bytes, and breaks the chain of
    checksums to whatever followed. Neither loses an acknowledged record: a commit that
    was acknowledged is in the index.

    Only for a shard whose writer is known to be dead. StoreError if it takes nothing.
    """
    path = shard_folder(run_folder, slot) / DATABASE
    try:
        # Not `rwc`: a shard that is missing must not appear as an empty one.
        database = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw",
            uri=True,
            timeout=_PATIENCE_S,
            isolation_level=None,
        )
        with contextlib.closing(database):
            _write_something(database)
    except READ_FAILURES as error:
        raise StoreError(
            f"the checkpoint in {path.parent} takes nothing: {error}"
        ) from error


def _write_something(database: sqlite3.Connection) -> None:
    """Count up a number in the file's header that is the application's own."""
    database.execute("PRAGMA synchronous = FULL")
    database.execute("BEGIN IMMEDIATE")
    (count,) = database.execute("PRAGMA user_version").fetchone()
    database.execute(f"PRAGMA user_version = {(count + 1) % 2**31}")
    database.execute("COMMIT")
