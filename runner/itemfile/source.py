"""Can this file be read, and what are its bytes?

Owns the descriptor, the encodings refused before the first line, the digest of
the whole file. Opening never blocks: a FIFO is refused, not waited for.
Must not know what a line holds.

Floor: doors and rules. Knows errors and text.
"""

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.errors import ItemFileError, RunChanged
from runner.itemfile.text import path_text

BLOCK_BYTES = 1 << 20
BOM = b"\xef\xbb\xbf"
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_NULS = {
    "000x": "UTF-32BE",
    "x000": "UTF-32LE",
    "0x0x": "UTF-16BE",
    "x0x0": "UTF-16LE",
}
_SMALLEST_LINE_BYTES = 3
"""`{}` and its line end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """Which bytes a whole file held."""

    size: int
    """Bytes."""
    sha256: str
    """64 hexadecimal digits."""


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def digest_of(path: Path) -> FileDigest:
    """Digest a run's whole file without keeping it; as `open_known_items` raises."""
    with open_known_items(path) as file:
        source = HashedSource(file, path)
        block = memoryview(bytearray(BLOCK_BYTES))
        while source.readinto(block):
            pass
        return source.digest()


def open_items(path: Path) -> io.FileIO:
    """Open a regular file for reading; raises ItemFileError saying why not."""
    try:
        # O_NONBLOCK: open(2) of a FIFO without a writer would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ItemFileError(
            f"{path_text(path)}: no such file", "check the path of the items file"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)
    except ItemFileError:
        os.close(descriptor)
        raise
    return io.FileIO(descriptor, "rb")


def open_known_items(path: Path) -> io.FileIO:
    """Open the items file of a run that is there already.

    Raises RunChanged where the file is gone, ItemFileError for all else.
    """
    try:
        return open_items(path)
    except ItemFileError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise RunChanged(
            f"{path_text(path)}: no such file, and the run needs its items",
            "put it back as it was, or say where it is by now, and where answers go:"
            " runner resume RUN --items F --out F (for the answers alone it is not"
            " needed: runner export RUN --format answers)",
        ) from error


def line_bound(file: io.FileIO, path: Path) -> int:
    """No more lines than this can hold an item; leaves the file at its start.

    A million empty lines are no million items: what an object needs at least
    bounds the count too.
    """
    block = bytearray(BLOCK_BYTES)
    newlines = size = 0
    try:
        while count := file.readinto(block):
            newlines += block.count(b"\n", 0, count)
            size += count
        file.seek(0)
    except OSError as error:
        raise _unreadable(path, error) from error
    return min(newlines + 1, size // _SMALLEST_LINE_BYTES + 1)


def refuse_other_encodings(start: bytes, path: Path) -> None:
    """Raise ItemFileError when the first bytes are not those of UTF-8 text.

    Without a BOM, UTF-16 and UTF-32 show by where NULs stand among the first
    four bytes (RFC 4627, section 3).
    """
    encoding = _encoding_of(start)
    if encoding:
        raise ItemFileError(
            f"{path_text(path)} looks like {encoding}",
            f"convert it with: iconv -f {encoding} -t UTF-8 OLD > NEW",
        )
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            raise ItemFileError(
                f"{path_text(path)} is packed ({name})", "unpack it first"
            )


class HashedSource(io.RawIOBase):
    """A file that digests what is read from it.

    Below a buffered reader the digest costs one call a block, not one a line.
    """

    def __init__(self, file: io.FileIO, path: Path) -> None:
        super().__init__()
        self._file = file
        self._path = path
        self._sha256: _Digest = hashlib.sha256()
        self._before = os.fstat(file.fileno())
        self._read = 0

    @property
    def size(self) -> int:
        """Bytes the file had when reading began."""
        return self._before.st_size

    def readable(self) -> bool:
        """True: reading is all it can do."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a reader hands over a memoryview
        """Fill the buffer, digest it; raises ItemFileError on an I/O error."""
        try:
            count = self._file.readinto(buffer)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        self._sha256.update(buffer[:count])
        self._read += count
        return count

    def digest(self) -> FileDigest:
        """The digest of all that was read, which must be the whole file.

        Raises ItemFileError when the file was changed meanwhile.
        """
        after = os.fstat(self._file.fileno())
        is_touched = self._before.st_mtime_ns != after.st_mtime_ns
        if is_touched or after.st_size != self._read:
            raise changed_while_read(self._path)
        return FileDigest(size=self._read, sha256=self._sha256.hexdigest())


_NOT_KEPT = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def changed_while_read(path: Path) -> ItemFileError:
    """Say that somebody writes to the file at this moment."""
    return ItemFileError(
        f"{path_text(path)} changed while it was being read",
        "start again when nothing writes to it any more",
    )


def _refuse_irregular(path: Path, mode: int) -> None:
    # A redirected /dev/stdin is a file, but there is none at its name tomorrow.
    if stat.S_ISREG(mode) and not os.fspath(path).startswith(_NOT_KEPT):
        return
    if stat.S_ISDIR(mode):
        raise ItemFileError(
            f"{path_text(path)} is a directory", "name the JSONL file inside it"
        )
    raise ItemFileError(
        f"{path_text(path)} is a pipe or a device, not a file",
        "write the items to a file: a resume has to read them again",
    )


def _unreadable(path: Path, error: OSError) -> ItemFileError:
    why = error.strerror or type(error).__name__
    return ItemFileError(
        f"{path_text(path)} cannot be read ({why})",
        "check the file, its permissions and its disk",
    )


def _encoding_of(start: bytes) -> str | None:
    if start.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    return _NULS.get("".join("0" if byte == 0 else "x" for byte in start[:4]))
