"""Where a reply goes when its shard cannot take it: blocks set aside beforehand.

A full disk, or an I/O error, fails the commit of answers that were paid for. Each
such record is appended to the slot's rescue file, whose blocks were allocated before
anything was sent; the next session takes it into the shard before it reads anything.

    frame   head 16: magic 4 | bytes of key u32 | bytes of record u32 | zeros 4
            key | record, sealed (its checksum covers the key) | zeros up to 16

What a head announces is synced before the head is written. So a frame cut off by a
crash has no head, and was never acknowledged; a frame that has one and does not
match it is damage, and is refused.

Floor: doors and rules.
"""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from runner.checkpoint.envelope import unseal
from runner.durable import open_private, sync_folder
from runner.errors import StateDamaged, StoreError
from runner.records import JsonObject

RESCUE = "rescue.bin"
BYTES_A_THREAD = 256 * 1024
"""Set aside for each reply in flight: a long chat answer is 20 KB, 8 vectors 250."""
_MAGIC = b"RNRQ"
_HEAD = struct.Struct("<4sII4x")  # 16 bytes, aligned: never across two sectors
_END = bytes(_HEAD.size)


class RescueFile:
    """The writing side, in the process that has the shard open; one thread a time."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Set aside so many bytes beside a shard, after what is in the file already.

        Raises StoreError if the disk has no room for them, StateDamaged if what is
        there cannot be read.
        """
        self._path = folder / RESCUE
        self._end = sum(_frame_bytes(key, record) for key, record in _frames(folder))
        self._failure: OSError | None = None
        try:
            self._descriptor = open_private(self._path)
            self._begin(size_bytes)
        except OSError as error:
            raise self._no_room(size_bytes, error) from error

    def set_aside(self, size_bytes: int) -> None:
        """Set aside so many bytes in all, if that is more; StoreError without room."""
        try:
            self._allocate(size_bytes)
        except OSError as error:
            raise self._no_room(size_bytes, error) from error

    def keep(self, key: str, record: bytes) -> None:
        """Put one sealed record on disk; StoreError if that is not possible either."""
        name = key.encode("ascii")
        padding = bytes(-(len(name) + len(record)) % _HEAD.size)
        # With an empty head behind it: an earlier, cut off frame may be there.
        content = name + record + padding + _END
        try:
            if self._failure:
                raise self._failure
            self._write(content, self._end + _HEAD.size)
            self._announce(_HEAD.pack(_MAGIC, len(name), len(record)))
        except OSError as error:
            raise StoreError(
                f"{key} came back, but neither its shard nor {self._path} can"
                f" take it: {error.strerror}",
                "make room, or mend the disk, then `runner resume`",
            ) from error
        self._end += len(content)

    def close(self) -> None:
        """Give the room back, unless something was put there."""
        os.close(self._descriptor)
        if not self._end:
            self._path.unlink(missing_ok=True)

    def _begin(self, size_bytes: int) -> None:
        try:
            os.ftruncate(self._descriptor, self._end)
            self._allocate(size_bytes)
            sync_folder(self._path.parent)
        except OSError:
            self.close()
            raise

    def _allocate(self, size_bytes: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, self._end + size_bytes)
        else:  # macOS
            self._write(bytes(size_bytes), self._end)
        os.fsync(self._descriptor)

    def _no_room(self, size_bytes: int, error: OSError) -> StoreError:
        return StoreError(
            f"cannot set {size_bytes} bytes of the disk aside in {self._path}:"
            f" {error.strerror}",
            "make room, then `runner resume`",
        )

    def _announce(self, head: bytes) -> None:
        """Write the head; when that fails nobody knows whether it is on disk."""
        try:
            self._write(head, self._end)
        except OSError as error:
            self._failure = error
            raise

    def _write(self, content: bytes, offset: int) -> None:
        left = memoryview(content)
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            left, offset = left[written:], offset + written
        os.fsync(self._descriptor)


def rescued(folder: Path) -> Iterator[tuple[str, JsonObject, bytes]]:
    """Key, fields and body of every record in the rescue file beside a shard.

    Raises StateDamaged; a file that is not there holds none.
    """
    for key, record in _frames(folder):
        try:
            fields, body = unseal(key, record)
        except StateDamaged as damage:
            raise _damaged(folder, damage.message) from damage
        yield key, fields, body


def discard(folder: Path) -> None:
    """Remove the rescue file: all that was in it stands in the shard. OSError."""
    try:
        (folder / RESCUE).unlink()
    except FileNotFoundError:
        return
    sync_folder(folder)


def _frames(folder: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with (folder / RESCUE).open("rb") as file:
            while (head := file.read(_HEAD.size)) not in (b"", _END):
                if len(head) < _HEAD.size or head[: len(_MAGIC)] != _MAGIC:
                    raise _damaged(folder, "a record has no proper head")
                _, key_bytes, record_bytes = _HEAD.unpack(head)
                frame = file.read(key_bytes + record_bytes)
                file.read(-(key_bytes + record_bytes) % _HEAD.size)
                yield frame[:key_bytes].decode("ascii", "replace"), frame[key_bytes:]
    except FileNotFoundError:
        return
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from error


def _frame_bytes(key: str, record: bytes) -> int:
    content = len(key) + len(record)
    return _HEAD.size + content + -content % _HEAD.size


def _damaged(folder: Path, why: str) -> StateDamaged:
    return StateDamaged(
        f"{folder / RESCUE} holds answers that were paid for, and is damaged: {why}",
        "put back a copy, or move it away: what was in it is asked, and paid for,"
        " again",
    )
