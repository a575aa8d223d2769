"""Can runs live here? Looked at before anything is read, for a plan too.

A folder is tried, not asked for: permissions say nothing of read-only disks, of the
kernel's own trees, or of names that are too long. Nothing is left behind.

Floor: the run.
"""

import errno
import os
import stat
import tempfile
from pathlib import Path

from runner.durable import not_usable, read_only
from runner.errors import StateError, StoreError
from runner.supervisor.stops import want_of_room

_OTHER_FOLDER = "use --state-dir"


def check_ground(state_dir: Path) -> None:
    """StateError where no folder of that name can be, or none can be made in it."""
    try:
        above = _above(state_dir)
        _refuse_where_not_ours(state_dir)
        with tempfile.TemporaryDirectory(prefix=".runner-try-", dir=above):
            pass
    except OSError as error:
        raise not_usable(state_dir, error) from error


def make_ground(state_dir: Path) -> None:
    """Create it for this user only; StateError where runs cannot live in it."""
    existed = state_dir.exists()
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_created(state_dir, error) from error
    _refuse_foreign(state_dir)
    if not existed:
        # Whatever the umask; a folder of the user's stays as it is.
        state_dir.chmod(0o700)


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


def _refuse_where_not_ours(folder: Path) -> None:
    """StateError where `make_ground` would raise it; creates nothing."""
    if folder.exists() or folder.is_symlink():
        _refuse_foreign(folder)
        return
    above = next(f for f in folder.absolute().parents if f.exists())
    if not above.is_dir():
        raise _not_a_directory(above)
    if not os.access(above, os.W_OK | os.X_OK):
        raise _not_writable(above)


def _refuse_foreign(folder: Path) -> None:
    try:
        found = folder.lstat()
    except OSError as error:
        raise _not_created(folder, error) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _not_a_directory(folder)
    if found.st_uid != os.geteuid():
        raise StateError(f"{folder} belongs to another user", _OTHER_FOLDER)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_writable(folder)


def _not_a_directory(path: Path) -> StateError:
    return StateError(f"{path} is not a plain directory", _OTHER_FOLDER)


def _not_writable(folder: Path) -> StateError:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return read_only(folder)
    return StateError(f"{folder} cannot be written to", _OTHER_FOLDER)


def _not_created(folder: Path, error: OSError) -> StateError:
    if error.errno == errno.EROFS:
        return read_only(folder)
    return StateError(f"cannot create {folder}: {error.strerror}", _OTHER_FOLDER)
