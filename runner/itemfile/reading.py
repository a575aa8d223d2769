"""What does this item hold?

Reads one item back by its row and makes sure that it is still the item the
index knows. One reader a process, shared by its threads.
Must not know how the index was made.

Floor: doors and rules. Knows errors.
"""

import os
from pathlib import Path
from typing import Self

from runner.errors import ItemFileError, RunChanged
from runner.itemfile.diagnosis import BadLine
from runner.itemfile.identity import fingerprint_of, made_id, own_id
from runner.itemfile.index import ItemIndex, Place
from runner.itemfile.parsing import parse
from runner.itemfile.source import open_known_items
from runner.itemfile.text import path_text
from runner.records import Item

_AHEAD_BYTES = 1 << 16
"""Whoever asks for one item asks for those behind it next. A read is a system call, and
gives the interpreter lock away. An export of a million items has 1.7 s of system time
with it, 2.9 without."""


class ItemReader:
    """Items by row; safe to use from many threads at once."""

    def __init__(self, path: Path, index: ItemIndex, id_field: str | None) -> None:
        """Open the file; raises RunChanged where it is gone, else ItemFileError."""
        self._path = path
        self._index = index
        self._id_field = id_field
        self._file = open_known_items(path)
        self._ahead = 0, b""
        """Where in the file, and what stood there. Replaced as one: threads need no
        lock. What has changed since it was read is still the item that was given."""

    def read(self, row: int) -> Item:
        """The item in that row, from 0; raises RunChanged where it is another now."""
        ref = self._index.ref(row)
        raw = self._bytes((ref.offset, ref.length, ref.line, ref.fingerprint))
        try:
            fields = parse(raw)
            item_id = own_id(fields, self._id_field)
        except BadLine as bad:  # a caller with other rules than the scan had
            where = f"{path_text(self._path)}:{ref.line}"
            raise ItemFileError(f"{where}: {bad.what}", bad.hint) from bad
        if item_id is None:
            item_id = made_id(ref.id_digest)
        return Item(ref=ref, item_id=item_id, fields=fields, raw=raw)

    def raw(self, row: int) -> bytes:
        """The bytes of that row, checked; raises RunChanged where they are others."""
        return self._bytes(self._index.place(row))

    def is_unchanged(self, row: int) -> bool:
        """Whether that row is still as the index knows it; ItemFileError if unread."""
        place = self._index.place(row)
        return fingerprint_of(self._read(place)) == place[-1]

    def close(self) -> None:
        """Give the descriptor back. No thread may be reading any more."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, place: Place) -> bytes:
        offset, length, line, _ = place
        start, block = self._ahead
        at = offset - start
        if not 0 <= at <= len(block) - length:
            at, block = 0, self._read_ahead(offset, length, line)
        return block[at : at + length]

    def _read_ahead(self, offset: int, length: int, line: int) -> bytes:
        try:
            # pread has no file position that threads could fight over.
            block = os.pread(self._file.fileno(), max(length, _AHEAD_BYTES), offset)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ItemFileError(
                f"{path_text(self._path)}:{line}: cannot be read ({why})",
                "check the disk, then resume",
            ) from error
        self._ahead = offset, block
        return block

    def _bytes(self, place: Place) -> bytes:
        raw = self._read(place)
        _, _, line, fingerprint = place
        if fingerprint_of(raw) != fingerprint:
            raise RunChanged(
                f"{path_text(self._path)}:{line}: the items file has changed since"
                " the run began",
                "put it back as it was, or `runner resume --accept-changes` (for the"
                " answers alone: `runner export --format answers`)",
            )
        return raw
