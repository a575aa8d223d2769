"""Can runs live here? Looked at before anything is read, for a plan too.

A folder is tried, not asked for: permissions say nothing of read-only disks, of the
kernel's own trees, or of names that are too long. Nothing is left behind.

Floor: the run.
"""

import tempfile
from pathlib import Path

from runner.checkpoint.manifest import check_private
from runner.durable import not_usable
from runner.errors import StoreError
from runner.supervisor.stops import want_of_room


def check_ground(state_dir: Path) -> None:
    """StateError where no folder of that name can be, or none can be made in it."""
    try:
        above = _above(state_dir)
        check_private(state_dir)
        with tempfile.TemporaryDirectory(prefix=".runner-try-", dir=above):
            pass
    except OSError as error:
        raise not_usable(state_dir, error) from error


def check_room(state_dir: Path, min_free_bytes: int | None) -> None:
    """StoreError where a session would stop at once for want of room."""
    if why := want_of_room(_above(state_dir), min_free_bytes):
        raise StoreError(why, "make room, or lower --min-free")


def _above(state_dir: Path) -> Path:
    """The folder itself, or the nearest one above it that is there; OSError."""
    path = state_dir.absolute()
    for each in (path, *path.parents):
        try:
            each.stat()
        except FileNotFoundError:
            continue
        return each
    return path
