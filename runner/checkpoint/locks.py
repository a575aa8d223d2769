"""Who may work on a run, or replace its files: three locks.

The run lock is held by the supervisor for as long as it lives. Every worker holds
the presence lock, shared, before its first send; a starter must get it exclusively
for a moment, so that orphans of a dead supervisor have recorded everything before
anything is read. `flock`, never `lockf`: the latter is dropped when any descriptor
of that file is closed anywhere in the process (tried). Forked children let go of both.
Exports take turns by a lock of the run's folder itself, which needs no room on a disk
that is full, or only read.

Floor: doors and rules.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from runner import forks
from runner.errors import OutputError, RunLocked
from runner.processes import boot_id, process_start

RUN_LOCK = "run.lock"
_PRESENCE_LOCK = "presence.lock"
_LOOKS, _LOOK_S = 5, 0.02
_TURN_S = 60.0
"""A turn takes a few syncs; one this long is of a process that somebody stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Which process holds a run: enough to tell it from a later one of that pid."""

    pid: int
    process_start: str
    boot: str
    host: str
    started_unix_s: float

    def is_alive(self) -> bool:
        """Whether exactly that process still runs (on this machine, this boot)."""
        return self.boot == boot_id() and process_start(self.pid) == self.process_start


class RunLock:
    """The exclusive right to work on a run, until `release` or death."""

    def __init__(self, run_folder: Path, started_unix_s: float) -> None:
        """Take it at once; RunLocked, naming the holder, if that is not possible."""
        self._descriptor = _open(run_folder / RUN_LOCK)
        if not _lock_past_onlookers(self._descriptor, run_folder):
            os.close(self._descriptor)
            name = run_folder.name
            raise RunLocked(
                _held_by(run_folder), f"runner status {name}, or runner stop {name}"
            )
        try:
            self._write_owner(started_unix_s)
        except OSError:
            os.close(self._descriptor)  # or this process could never try again
            raise
        forks.close_in_children(self, self._close)

    @staticmethod
    def wait_for_orphans(run_folder: Path) -> None:
        """RunLocked while workers of a dead supervisor are still recording."""
        descriptor = _open(run_folder / _PRESENCE_LOCK)
        try:
            if not _try_lock(descriptor, fcntl.LOCK_EX):
                raise RunLocked(
                    f"workers of a dead session of {run_folder.name} are still"
                    " recording the answers in flight",
                    "try again in a moment",
                )
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the run free."""
        try:
            os.ftruncate(self._descriptor, 0)  # nobody holds it
        finally:
            forks.closed(self)
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)

    def _write_owner(self, started_unix_s: float) -> None:
        owner = Owner(
            pid=os.getpid(),
            process_start=process_start(os.getpid()) or "",
            boot=boot_id(),
            host=socket.gethostname(),
            started_unix_s=started_unix_s,
        )
        stored = json.dumps(asdict(owner)).encode("ascii")
        os.pwrite(self._descriptor, stored, 0)
        os.ftruncate(self._descriptor, len(stored))


class Presence:
    """A worker's sign that it may still be sending or recording."""

    def __init__(self, run_folder: Path) -> None:
        """Take the shared lock; RunLocked if a starter is reading just now."""
        self._descriptor = _open(run_folder / _PRESENCE_LOCK)
        if not _try_lock(self._descriptor, fcntl.LOCK_SH):
            os.close(self._descriptor)
            raise RunLocked(f"another session of {run_folder.name} is starting")
        forks.close_in_children(self, self._close)

    def release(self) -> None:
        """Everything of this worker is on disk."""
        forks.closed(self)
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)


@contextlib.contextmanager
def export_turn(run_folder: Path) -> Iterator[None]:
    """No other export of this run replaces files, or notes them, meanwhile.

    Waits for its turn; OutputError where that does not come within a minute.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(run_folder, flags)
    try:
        _wait_for_turn(descriptor, run_folder)
        yield
    finally:
        # Not left to close: a child that was forked meanwhile has a copy.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def owner_of(run_folder: Path) -> Owner | None:
    """Who holds, or last held, the run."""
    try:
        return Owner(**json.loads((run_folder / RUN_LOCK).read_bytes()))
    except (OSError, ValueError, TypeError):
        # Not there yet, seen between truncate and write, or no lock file at all.
        return None


def is_worked_on(run_folder: Path) -> bool:
    """Whether a session of this run lives.

    The lock has the last word: a process of another container on this machine has no
    number here.
    """
    owner = owner_of(run_folder)
    return owner is not None and (owner.is_alive() or _is_held(run_folder))


def refuse_out_of_reach(run_folder: Path) -> None:
    """RunLocked if a session lives whose process has no number here."""
    if is_worked_on(run_folder):
        raise RunLocked(
            f"{_held_by(run_folder)}, which no signal reaches from here",
            f"runner stop {run_folder.name}, in the container where it was started",
        )


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock_past_onlookers(descriptor: int, run_folder: Path) -> bool:
    """Take the run lock; who only looks whether it is held has it for a moment."""
    for _ in range(_LOOKS):
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return True
        owner = owner_of(run_folder)
        if owner and owner.is_alive():
            return False
        time.sleep(_LOOK_S)
    return False


def _is_held(run_folder: Path) -> bool:
    try:
        descriptor = os.open(run_folder / RUN_LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # not there, or not for us to open
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_turn(descriptor: int, run_folder: Path) -> None:
    given_up_s = time.monotonic() + _TURN_S
    # Where there are no such locks no session can work: all exports are alike.
    with contextlib.suppress(OSError):
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= given_up_s:
                raise OutputError(
                    f"another export of run {run_folder.name} is replacing files, and"
                    " does not come to its end",
                    "end that process, then do this again",
                )
            time.sleep(_LOOK_S)


def _held_by(run_folder: Path) -> str:
    owner = owner_of(run_folder)
    by = f" (process {owner.pid} on {owner.host})" if owner else ""
    return f"run {run_folder.name} is being worked on{by}"
