"""A disk that loses what was not committed, and a store on it.

The production readers ask their own SQL of it; diskcache and the file are replaced.
A commit takes time; a process killed meanwhile has or has not made it.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nights.world import World
from runner.checkpoint.store import DATABASE
from runner.errors import StateDamaged

_TABLE = (
    "CREATE TABLE Cache (key TEXT PRIMARY KEY, raw INTEGER, mode INTEGER,"
    " filename TEXT, value BLOB)"
)
_USUAL_S, _SLOW_S = 0.004, 1.6
_SLOW_SHARE = 0.01


@dataclass
class Shard:
    """One database, and its keys once more: each request asks for some of them."""

    database: sqlite3.Connection
    keys: set[str] = field(default_factory=set)


@dataclass
class Disk:
    """All shards of a night."""

    world: World
    draw: random.Random
    is_full: Callable[[], bool] = lambda: False
    slow_share: float = _SLOW_SHARE
    """Of the commits: what makes a permit stale."""
    commits: int = 0
    _inodes: list[Shard] = field(default_factory=list)
    _found: dict[Path, Shard] = field(default_factory=dict)

    def store(self, folder: Path) -> "Store":
        """What `open_store` gives."""
        shard = self._shard(folder)
        if shard is None:
            shard = Shard(sqlite3.connect(":memory:", isolation_level=None))
            shard.database.execute(_TABLE)
            # A file that others look for, and that may be renamed with its folder.
            (folder / DATABASE).write_text(str(len(self._inodes)))
            self._inodes.append(shard)
        return Store(self, shard)

    def connection(self, folder: Path) -> "Reading":
        """What a reader's connection is."""
        shard = self._shard(folder)
        if shard is None:
            raise StateDamaged(f"{folder / DATABASE} is missing or empty")
        return Reading(shard.database)

    def has(self, folder: Path, key: str) -> bool:
        """Whether that record would survive a power loss now."""
        shard = self._shard(folder)
        return shard is not None and key in shard.keys

    def _shard(self, folder: Path) -> Shard | None:
        if folder in self._found:
            return self._found[folder]
        path = folder / DATABASE
        content = path.read_text() if path.exists() else ""
        if not content:
            return None
        shard = self._inodes[int(content)]
        if folder.name.startswith("shard-"):
            self._found[folder] = shard  # it is never renamed again
        return shard


@dataclass
class Reading:
    """A reader's own connection; closing it leaves the shard open to others.

    It holds no snapshot: nobody commits before this thread waits for something.
    """

    shard: sqlite3.Connection
    in_transaction: bool = False

    def execute(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Read."""
        if query == "BEGIN":
            self.in_transaction = True
            return self.shard.cursor()
        return self.shard.execute(query, values)

    def rollback(self) -> None:
        """What was read was read."""
        self.in_transaction = False

    def close(self) -> None:
        """Nothing to do."""


@dataclass
class Store:
    """The few methods of diskcache.Cache that a committer uses."""

    disk: Disk
    shard: Shard
    pending: dict[str, bytes] = field(default_factory=dict)

    @contextmanager
    def transact(self) -> Iterator[None]:
        """All of it or nothing, after a while."""
        self.pending = {}
        yield
        draw = self.disk.draw
        is_early = draw.random() < 0.5
        if is_early:
            self._apply()
        slow = draw.random() < self.disk.slow_share
        self.disk.world.sleep(draw.uniform(0, _SLOW_S if slow else _USUAL_S))
        if not is_early:
            self._apply()

    def set(self, key: str, value: bytes) -> None:
        """Within a transaction."""
        self.pending[key] = value

    def get(self, key: str) -> bytes | None:
        """As committed."""
        found = self.shard.database.execute(
            "SELECT value FROM Cache WHERE key = ?", (key,)
        )
        row: tuple[bytes] | None = found.fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Nothing is buffered."""

    def _apply(self) -> None:
        if self.disk.is_full():
            raise sqlite3.OperationalError("database or disk is full")
        self.disk.commits += 1
        # One transaction in effect: nobody else takes a step meanwhile.
        self.shard.database.executemany(
            "INSERT OR REPLACE INTO Cache VALUES (?, 1, 1, NULL, ?)",
            list(self.pending.items()),
        )
        self.shard.keys.update(self.pending)
