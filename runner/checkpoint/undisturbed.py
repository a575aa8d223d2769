"""Looking at a run that nobody holds still: what if a session begins meanwhile?

A run that nobody works on is read without locks (`ShardReader`), and checked for what
cannot be while nobody does. Neither holds once a session has begun: pages are
replaced beneath the reader, and a manifest is older than the shards beside it. What
was read then proves nothing, least of all damage; it is read again.

Floor: doors and rules.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from runner.checkpoint.locks import RUN_LOCK, is_worked_on
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, READ_FAILURES
from runner.errors import StateDamaged
from runner.run_folder import MANIFEST

_T = TypeVar("_T")
_Traces = dict[Path, tuple[int, int, int] | None]
_LOOKS = 2
"""Then it is read as if somebody were at work: sessions come and go."""


class Disturbed(Exception):
    """Somebody began to work on the run while it was read."""


class Look:
    """One look at a run, from what it is found to be: at work, or idle."""

    def __init__(
        self, run_folder: Path, opened: contextlib.ExitStack, *, is_last: bool
    ) -> None:
        """Begin to look: before anything is read, the manifest above all.

        Args:
            run_folder: The run's folder.
            opened: Closes what this look has opened.
            is_last: There is no further one.
        """
        self._folder = run_folder
        self._opened = opened
        self._shards: list[ShardReader] = []
        self._is_over = False
        self._before = _traces(run_folder)  # first: a session that begins now shows
        self.is_worked_on = is_worked_on(run_folder)
        self.is_live = self.is_worked_on or is_last
        """Somebody may write while it is read."""

    def open_reader(self, manifest: Manifest) -> RunReader:
        """Everything that is recorded, as `Manifest.open_reader` does."""
        reader = manifest.open_reader(self._folder, live=self.is_live)
        self._opened.callback(reader.close)
        self._shards += reader.shards.values()
        return reader

    def open_shard(self, slot: int) -> ShardReader:
        """One shard alone, whatever its run is; StateDamaged."""
        shard = ShardReader(self._folder, slot, live=self.is_live)
        self._opened.callback(shard.close)
        self._shards.append(shard)
        return shard

    def is_past(self) -> bool:
        """Whether an idle run is, or was, worked on since the look began."""
        if self.is_live:
            return False
        return is_worked_on(self._folder) or _traces(self._folder) != self._before

    def end(self, *, is_damaged: bool = False) -> None:
        """All is read; Disturbed if it cannot be relied on.

        Called by `undisturbed`; by whoever then changes something, before that.

        Args:
            is_damaged: What was found says that the run is damaged.
        """
        if self._is_over:
            return
        if (is_damaged and self.is_past()) or any(map(self._is_torn, self._shards)):
            raise Disturbed
        self._is_over = True

    def _is_torn(self, shard: ShardReader) -> bool:
        """Whether its pages may be of two times: it was read without locks."""
        path = shard_folder(self._folder, shard.slot) / DATABASE
        return shard.is_still and _trace(path) != self._before.get(path)


def undisturbed(run_folder: Path, read: Callable[[Look], _T]) -> _T:
    """What `read` makes of a run, from a look that no session came into.

    Args:
        run_folder: The run's folder.
        read: Reads all it needs, the manifest too, and opens shards through the look.
            Called again where that is needed: it must change nothing before
            `Look.end`.
    """
    for _ in range(_LOOKS):
        with contextlib.suppress(Disturbed):
            return _looked(run_folder, read, is_last=False)
    return _looked(run_folder, read, is_last=True)


def _looked(run_folder: Path, read: Callable[[Look], _T], *, is_last: bool) -> _T:
    with contextlib.ExitStack() as opened:
        look = Look(run_folder, opened, is_last=is_last)
        try:
            found = read(look)
        except (StateDamaged, *READ_FAILURES) as error:
            if look.is_past():
                raise Disturbed from error
            raise
        look.end()
        return found


def _traces(run_folder: Path) -> _Traces:
    """What every session leaves a mark on: lock, manifest, shards."""
    paths = [run_folder / RUN_LOCK, run_folder / MANIFEST]
    for name in (DATABASE, f"{DATABASE}-wal"):
        paths += run_folder.glob(f"shard-*/{name}")
    return {path: _trace(path) for path in paths}


def _trace(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # not there, or not for us
    return found.st_ino, found.st_size, found.st_mtime_ns
