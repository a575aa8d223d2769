"""A new run's folder while it is being filled, and the moment it becomes a run.

Each start builds in a folder of its own and holds its lock, so that nobody clears
away what somebody works in. What may be in a run's way is looked at once more under
the lock of the state folder, so that of many starts at once only one gets it.

Floor: the run.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.durable import not_usable, sync_folder
from runner.session.ground import make_ground

_PREFIX = ".runner-start-"
"""Hidden: no run can have such a name."""
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def building(state_dir: Path) -> Iterator[Path]:
    """A folder to fill; it vanishes unless `moved` has made a run of it.

    Raises StateError where runs cannot live.
    """
    make_ground(state_dir)
    with locked(state_dir):
        _remove_leftovers(state_dir)
        folder = _made_in(state_dir)
        held = _opened(folder)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


@contextlib.contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Nobody else makes a run in `state_dir` meanwhile; waits for its turn."""
    descriptor = _opened(state_dir)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def moved(folder: Path, target: Path) -> None:
    """Make a run of a folder that is complete; OSError if something is there."""
    folder.rename(target)
    sync_folder(target.parent)


def _remove_leftovers(state_dir: Path) -> None:
    """Clear away after starts that were killed: nobody holds what they filled."""
    for folder in state_dir.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(folder, _FLAGS)
        except FileNotFoundError:
            continue  # its start has just failed, and clears away itself
        except OSError as error:
            raise not_usable(folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _made_in(state_dir: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=state_dir))  # mode 0700
    except OSError as error:
        raise not_usable(state_dir, error) from error


def _opened(folder: Path) -> int:
    try:
        return os.open(folder, _FLAGS)
    except OSError as error:
        raise not_usable(folder, error) from error
