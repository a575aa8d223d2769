"""A few thousand bytes that several processes change, one at a time, and survive.

A mapped file under `flock`: the kernel frees the lock of a killed holder at once.
The state is kept twice; a change goes into the older copy in one slice store, so
a holder killed half-way leaves the newer copy as it was. Never waits: `try_lock`
says no, and whoever asked decides how to wait.

Floor: doors and rules. Files and bytes. Knows neither limits nor clocks.
"""

import hashlib
import mmap
import os
import stat
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StateDamaged, StoreError, UsageError
from runner.limiter.flock import size_of, try_flock, unflock
from runner.processes import boot_id, is_alive

_MAGIC = b"runner-cell-1\n\0\0"
_HEADER = struct.Struct("<16sq")
"""Magic, process id of the holder; 0 while nobody holds it."""
_HOLDER = struct.Struct("<q")
_HOLDER_AT = 16
_NOBODY = _HOLDER.pack(0)
_COPY = struct.Struct("<QII16s")
"""Sequence number, length of the payload, CRC-32 of all else, boot."""
_FIRST_AT = 4096
_PEEKS = 8
_PRIVATE = 0o600
_CLOSED = -1


@dataclass(frozen=True, slots=True)
class Stored:
    """What a cell holds."""

    payload: bytes | None
    """b"": new, nothing has ever been stored; None: unreadable."""
    is_this_boot: bool = True
    """False: monotonic moments in it mean nothing now."""

    @property
    def is_usable(self) -> bool:
        """Whether there is something, and it means what it says."""
        return bool(self.payload) and self.is_this_boot


class Cell:
    """One file of two copies, opened or created with mode 0600.

    Raises:
        UsageError: its folder or the file cannot be made or opened.
    """

    def __init__(self, path: Path, capacity_bytes: int) -> None:
        self.path = path
        self._name = os.fspath(path)
        self._copy_bytes = _COPY.size + capacity_bytes
        self._size = _FIRST_AT + 2 * self._copy_bytes
        self._boot = _digest(boot_id())
        # flock does not exclude threads that share a descriptor.
        self._mutex = threading.Lock()
        self._map: mmap.mmap | None = None
        self._was_whole = False
        self._sequence = 0
        self._known = b""  # head of the newest copy when we last loaded or stored
        self._fd = _open(path)

    def try_lock(self) -> bool:
        """Take the cell for this thread, or say at once that somebody has it.

        Nobody gets a closed one.
        """
        self._mutex.acquire()
        if self._fd == _CLOSED:
            self._mutex.release()
            return False
        try:
            is_ours = try_flock(self._fd)
        except OSError as error:
            self._mutex.release()
            raise _unusable(self.path, error) from error
        if not is_ours:
            self._mutex.release()
            return False
        try:
            self._mapped()[_HOLDER_AT : _HOLDER_AT + 8] = _HOLDER.pack(os.getpid())
        except BaseException:
            self.unlock()
            raise
        return True

    def unlock(self) -> None:
        """Let the next one in."""
        # Who finds a number there reads of this holder, never of an earlier one.
        if self._map is not None and size_of(self._fd) == self._size:
            self._map[_HOLDER_AT : _HOLDER_AT + 8] = _NOBODY
        unflock(self._fd)
        self._mutex.release()

    def load(self) -> Stored:
        """Return the newest copy that is whole. Only while locked."""
        mapped = self._locked()
        self._sequence, stored = self._newest(mapped)
        self._known = self._head(mapped) if self._sequence else b""
        return stored

    def is_as_known(self) -> bool:
        """Whether the newest copy is the one we loaded or stored last.

        Then it need not be loaded, checked and taken apart once more. Only while
        locked.
        """
        return self._head(self._locked()) == self._known

    def edition(self) -> bytes:
        """What the newest copy begins with: another one after each change."""
        mapped = self._map_if_whole()
        return b"" if mapped is None else self._head(mapped)

    def store(self, payload: bytes) -> None:
        """Replace the older copy. Only while locked, after `load` or `is_as_known`."""
        self._sequence += 1
        self._known = self._write(self._mapped(), self._sequence, payload)

    def peek(self) -> Stored:
        """Return the newest whole copy without the lock: never waits.

        A writer touches the older copy only, so the newest is whole; it can be
        overtaken twice while it is read, then it is read again.
        """
        mapped = self._map_if_whole()
        if mapped is None:
            return Stored(b"")
        for _ in range(_PEEKS):
            sequence, stored = self._newest(mapped)
            if sequence:
                return stored
        return Stored(None)

    def holder_pid(self) -> int | None:
        """Process that has the lock now; None: nobody, or it is not known.

        A `flock` does not tell whose it is. Each holder writes its number when it
        gets the lock and wipes it out before it lets go; one that was killed leaves
        its own, so the number of no living process names nobody.
        """
        mapped = self._map_if_whole()
        if mapped is None:
            return None
        pid = int(_HOLDER.unpack_from(mapped, _HOLDER_AT)[0])
        return pid if pid and is_alive(pid) else None

    def is_in_place(self) -> bool:
        """Whether the file is still the one at its path, at its full size.

        Who goes on with a deleted one is alone with it: worth a look now and then.
        """
        try:
            there = os.lstat(self._name)
        except FileNotFoundError:
            return False
        ours = os.fstat(self._fd)
        same = (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        is_whole = ours.st_size == self._size
        return same and (is_whole or (not self._was_whole and ours.st_size == 0))

    def reopen(self) -> None:
        """Open what is at the path now, or make it."""
        with self._mutex:
            fd, self._fd, self._map = self._fd, _open(self.path), None
            # The old mapping is left to its last reader: closing it under a
            # concurrent `peek` would raise there.
            os.close(fd)

    def close(self) -> None:
        """Let go of the file.

        Its number goes to the next file that is opened here, the run's database
        perhaps: a thread that comes late, from a call that took long to give up, must
        not find it.
        """
        with self._mutex:
            if self._map is not None:
                self._map.close()
                self._map = None
            fd, self._fd = self._fd, _CLOSED
            os.close(fd)

    def _mapped(self) -> mmap.mmap:
        """The file, whole. Only while locked.

        Touching a mapped page beyond the end of its file kills the process
        (SIGBUS), so its size is asked for before each use.
        """
        size = size_of(self._fd)
        if size != self._size:
            # An empty file where ours was is not a new one: what had been granted
            # is forgotten, not ungranted.
            self._create(is_new=size == 0 and not self._was_whole)
        if self._map is None:
            self._map = mmap.mmap(self._fd, self._size)
        if not self._was_whole and self._map[: len(_MAGIC)] != _MAGIC:
            self._create(is_new=False)
        self._was_whole = True
        return self._map

    def _locked(self) -> mmap.mmap:
        """The file as it was found whole when it was locked, a moment ago."""
        assert self._map is not None, "lock it first"
        return self._map

    def _create(self, *, is_new: bool) -> None:
        """Write the whole file, so that its blocks exist.

        A hole in a mapped file is filled on touch, which kills the process when
        the disk is full; a write raises instead.
        """
        image = bytearray(self._size)
        _HEADER.pack_into(image, 0, _MAGIC, os.getpid())
        if is_new:
            image[_FIRST_AT : _FIRST_AT + _COPY.size] = self._copy(1, b"")
        try:
            os.ftruncate(self._fd, self._size)
            written = os.pwrite(self._fd, image, 0)
        except OSError as error:
            raise _unwritable(self.path, error.strerror) from error
        if written != self._size:
            raise _unwritable(self.path, "not in full")

    def _map_if_whole(self) -> mmap.mmap | None:
        if size_of(self._fd) != self._size:
            return None
        if self._map is not None:
            return self._map
        with self._mutex:
            if self._map is None and self._fd != _CLOSED:
                self._map = mmap.mmap(self._fd, self._size)
            return self._map

    def _newest(self, mapped: mmap.mmap) -> tuple[int, Stored]:
        """Sequence number (0: none) and content of the newest whole copy.

        A copy cut short fails its checksum, whatever its number says.
        """
        for start in self._newest_first(mapped):
            sequence, length, crc, boot = _COPY.unpack_from(mapped, start)
            if length <= self._copy_bytes - _COPY.size:
                payload = mapped[start + _COPY.size : start + _COPY.size + length]
                if crc == _crc(sequence, boot, payload):
                    return sequence, Stored(payload, boot == self._boot)
        return 0, Stored(None)

    def _newest_first(self, mapped: mmap.mmap) -> tuple[int, int]:
        first, second = _FIRST_AT, _FIRST_AT + self._copy_bytes
        older = (
            _COPY.unpack_from(mapped, first)[0] < _COPY.unpack_from(mapped, second)[0]
        )
        return (second, first) if older else (first, second)

    def _head(self, mapped: mmap.mmap) -> bytes:
        """What the copy with the highest number begins with: no other one does."""
        newest = self._newest_first(mapped)[0]
        return mapped[newest : newest + _COPY.size]

    def _write(self, mapped: mmap.mmap, sequence: int, payload: bytes) -> bytes:
        """Write a whole copy; what it begins with."""
        if len(payload) > self._copy_bytes - _COPY.size:
            raise StateDamaged(f"{self.path}: {len(payload)} bytes do not fit")
        start = _FIRST_AT if sequence % 2 else _FIRST_AT + self._copy_bytes
        whole = self._copy(sequence, payload)
        mapped[start : start + len(whole)] = whole
        return whole[: _COPY.size]

    def _copy(self, sequence: int, payload: bytes) -> bytes:
        crc = _crc(sequence, self._boot, payload)
        return _COPY.pack(sequence, len(payload), crc, self._boot) + payload


def _crc(sequence: int, boot: bytes, payload: bytes) -> int:
    # zlib keeps the interpreter lock below 5 kB (zlibmodule.c), and whoever holds
    # the cell should: see `flock`.
    return zlib.crc32(payload, zlib.crc32(boot, sequence & 0xFFFFFFFF))


def _digest(boot: str) -> bytes:
    """16 bytes for a boot; where all look alike, `mend()` bounds what is read."""
    return hashlib.blake2b(boot.encode(), digest_size=16).digest()


def _open(path: Path) -> int:
    try:
        _make_private(path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(path, flags, _PRIVATE)
    except OSError as error:
        raise _unusable(path, error) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise UsageError(f"{path}: not a plain file", "move it away")
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != _PRIVATE:
        os.fchmod(fd, _PRIVATE)
    return fd


def _make_private(folder: Path) -> None:
    """Make missing folders, each 0700: `mkdir(parents=True)` opens the upper ones."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _unusable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: limits cannot be shared there ({error.strerror})",
        "name another folder in XDG_STATE_HOME, or another --state-dir",
    )


def _unwritable(path: Path, why: str | None) -> StoreError:
    return StoreError(
        f"{path}: cannot be written ({why})", "free some space, then resume"
    )
