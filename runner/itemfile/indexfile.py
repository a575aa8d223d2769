"""How does an index survive on disk, and how is damage noticed?

Header, then records. Two digests: one over the records, one over the header
that holds it, so that a flipped bit anywhere is refused.
Must not know what a record means.

Floor: doors and rules. Knows durable, errors.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from runner.durable import replacing
from runner.errors import StateDamaged, StateTooNew, StoreError
from runner.itemfile.layout import DIGEST_BYTES, HEADER_BYTES, end_of
from runner.itemfile.text import path_text

VERSION = 1
_MAGIC = b"runitems"
_FIELDS = struct.Struct("<8sIIQQ16s")
"""Magic, version, 1 when in number order, count, next number, records' digest."""
_SEALED_BYTES = HEADER_BYTES - DIGEST_BYTES
"""The seal, over what precedes it, ends the header in every version to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an index file says of itself."""

    count: int
    next_number: int
    in_number_order: bool


def save(path: Path, records: mmap.mmap, header: Header) -> None:
    """Replace the file at `path`; raises StoreError when the disk refuses."""
    try:
        with memoryview(records) as view, replacing(path) as stream:
            body = view[HEADER_BYTES : end_of(header.count)]
            stream.write(_packed(header, body))
            stream.write(body)
            body.release()
    except OSError as error:
        raise StoreError(
            f"{path_text(path)} cannot be written ({error.strerror or error})",
            "free some space, or check the folder's permissions",
        ) from error


def load(path: Path) -> tuple[mmap.mmap, Header]:
    """Map the file and check it; raises StateDamaged or StateTooNew."""
    records = _mapped(path)
    with memoryview(records) as view:
        magic, version, ordered, count, next_number, digest = _unsealed(path, view)
        if magic != _MAGIC:
            raise _damaged(path, "it is no item index")
        if version > VERSION:
            raise StateTooNew(
                f"{path_text(path)} was written by a newer version of runner",
                "go on with the version that wrote it, or a later one",
            )
        if len(view) != end_of(count):
            raise _damaged(path, "its size is wrong")
        with view[HEADER_BYTES:] as body:
            if _digest(body) != digest:
                raise _damaged(path, "its checksum is wrong")
    header = Header(count=count, next_number=next_number, in_number_order=bool(ordered))
    return records, header


def _packed(header: Header, body: memoryview) -> bytes:
    fields = _FIELDS.pack(
        _MAGIC,
        VERSION,
        header.in_number_order,
        header.count,
        header.next_number,
        _digest(body),
    )
    return fields + _digest(memoryview(fields))


def _digest(data: memoryview) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def _mapped(path: Path) -> mmap.mmap:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _damaged(path, error.strerror or type(error).__name__) from error
    try:
        if os.fstat(descriptor).st_size < HEADER_BYTES:
            raise _damaged(path, "it is cut off")
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise _damaged(path, error.strerror or type(error).__name__) from error
    finally:
        os.close(descriptor)


def _unsealed(path: Path, view: memoryview) -> tuple[bytes, int, int, int, int, bytes]:
    with view[:_SEALED_BYTES] as sealed, view[_SEALED_BYTES:HEADER_BYTES] as seal:
        if _digest(sealed) != seal:
            raise _damaged(path, "its header is not one of an item index")
        fields: tuple[bytes, int, int, int, int, bytes] = _FIELDS.unpack(sealed)
        return fields


def _damaged(path: Path, why: str) -> StateDamaged:
    return StateDamaged(f"{path_text(path)} is missing or damaged: {why}")
