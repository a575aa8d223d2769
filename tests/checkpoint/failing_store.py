"""A shard whose database takes nothing any more, as on a full or a broken disk."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.checkpoint import committer
from runner.checkpoint.store import open_store

FULL = "database or disk is full"
BROKEN = "disk I/O error"


class FailingStore:
    """The real store until `message` is set; then every commit fails with it."""

    message: str | None = None

    def __init__(self, folder: Path) -> None:
        self._store = open_store(folder)

    @contextlib.contextmanager
    def transact(self) -> Iterator[None]:
        """All of it, or the error and nothing."""
        with self._store.transact():
            yield
            if self.message:
                raise sqlite3.OperationalError(self.message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def fail_with(patch: pytest.MonkeyPatch, message: str) -> None:
    """From now on no shard that was opened under `failing` takes anything."""
    patch.setattr(FailingStore, "message", message)


@contextlib.contextmanager
def failing(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shards opened inside can be made to fail."""
    with patch.context() as inner:
        inner.setattr(committer, "open_store", FailingStore)
        yield
