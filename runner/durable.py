"""How a small file is replaced so that a crash leaves the old one or the new one.

Temp file in the same folder, fsync, rename, fsync of the folder.

Floor: words. Knows errors.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from runner.errors import StateError, StoreError
from runner.processes import is_alive
from runner.records import JsonObject

_TEMP = ".tmp"
_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_CHECKSUM = "checksum"
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_MOST_PID_DIGITS = 7  # 2**22 is the highest pid of Linux, 99,999 that of macOS


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Open a temp file that takes the place of `path` when the block succeeds.

    Raises OSError, leaving `path` as it was and no temp file behind.
    """
    # Others may write to an output's folder: neither a file nor a link that they
    # put there is ever opened, and they cannot guess the name.
    name = f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}{_TEMP}"
    temp = path.with_name(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temp, flags, mode)
    try:
        with os.fdopen(descriptor, "wb", 1 << 20) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: JsonObject) -> None:
    """Replace `path` with `value` as ASCII JSON, durably."""
    write_bytes(path, json.dumps(value, indent=1).encode("ascii") + b"\n")


def with_checksum(value: JsonObject) -> JsonObject:
    """The same with a checksum over it, for `is_unaltered`."""
    return {**value, _CHECKSUM: _checksum_of(value)}


def is_unaltered(stored: JsonObject) -> bool:
    """Whether this is, value by value, what `with_checksum` gave."""
    return bool(stored.get(_CHECKSUM) == _checksum_of(without_checksum(stored)))


def without_checksum(stored: JsonObject) -> JsonObject:
    """What `with_checksum` was given."""
    return {name: each for name, each in stored.items() if name != _CHECKSUM}


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with these bytes, durably."""
    with replacing(path) as stream:
        stream.write(content)


@contextlib.contextmanager
def blaming_the_disk(folder: Path) -> Iterator[None]:
    """Have a full or failing disk below `folder` told as that: StoreError.

    One that is only read is StateError. Any other OSError goes through as it is: it
    says something about us.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EROFS:
            raise read_only(error.filename or folder) from error
        if error.errno not in _OF_THE_DISK:
            raise
        raise StoreError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            "make room, or mend the disk, then do it again",
        ) from error


def read_only(path: object) -> StateError:
    """What to say where a disk takes nothing: it is not full, and nobody else's."""
    return StateError(
        f"{path} cannot be written: {os.strerror(errno.EROFS)}",
        "mount its disk for writing, or use another --state-dir",
    )


def not_usable(folder: Path, error: OSError) -> StateError:
    """What to say of a folder in which no run can live."""
    if error.errno == errno.EROFS:
        return read_only(folder)
    return StateError(
        f"{folder} cannot be used ({error.strerror or error})", "use --state-dir"
    )


def remove_leftovers(path: Path) -> None:
    """Remove temp files of `path` whose process was killed; they may be large.

    Raises OSError.
    """
    for temp in path.parent.iterdir():
        pid = _writer_of(temp.name, path.name)
        if pid is not None and not is_alive(pid):
            temp.unlink(missing_ok=True)


def open_private(path: Path) -> int:
    """Open a file to read and write, created for this user only, whatever the umask.

    Returns its descriptor, for the caller to close. Raises OSError, also where a
    link stands in its place.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_CREAT, _PRIVATE_FILE)
    os.fchmod(descriptor, _PRIVATE_FILE)  # a umask may have taken more away
    return descriptor


def make_private_folder(folder: Path) -> None:
    """Create a folder for this user only, whatever the umask; one there stays as is."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_PRIVATE_FOLDER)
        folder.chmod(_PRIVATE_FOLDER)


def sync_folder(folder: Path) -> None:
    """Make renames and creations in `folder` survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum_of(value: JsonObject) -> str:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
    return hashlib.blake2b(plain, digest_size=16).hexdigest()


def _writer_of(name: str, target: str) -> int | None:
    """The process id in a temp file's name; None when it is none of `target`."""
    start = f".{target}."
    if not (name.startswith(start) and name.endswith(_TEMP)):
        return None
    pid = name[len(start) : -len(_TEMP)].partition("-")[0]
    is_pid = pid.isascii() and pid.isdigit() and len(pid) <= _MOST_PID_DIGITS
    return int(pid) if is_pid and int(pid) else None
