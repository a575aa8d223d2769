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
from runner.itemfile.index import ItemIndex
from runner.itemfile.parsing import parse
from runner.itemfile.source import open_known_items
from runner.itemfile.text import path_text
from runner.records import Item, ItemRef

_AHEAD_BYTES = 1 << 16
"""Whoever asks for one item asks for those behind it next. A read is a system call,
and gives the interpreter lock away: an eighth of an export's time."""


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
        raw = self._bytes(ref)
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
        return self._bytes(self._index.ref(row))

    def is_unchanged(self, row: int) -> bool:
        """Whether that row is still as the index knows it; ItemFileError if unread."""
        ref = self._index.ref(row)
        return fingerprint_of(self._read(ref)) == ref.fingerprint

    def close(self) -> None:
        """Give the descriptor back. No thread may be reading any more."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, ref: ItemRef) -> bytes:
        start, block = self._ahead
        at = ref.offset - start
        if not 0 <= at <= len(block) - ref.length:
            at, block = 0, self._read_ahead(ref)
        return block[at : at + ref.length]

    def _read_ahead(self, ref: ItemRef) -> bytes:
        wanted = max(ref.length, _AHEAD_BYTES)
        try:
            # pread has no file position that threads could fight over.
            block = os.pread(self._file.fileno(), wanted, ref.offset)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ItemFileError(
                f"{path_text(self._path)}:{ref.line}: cannot be read ({why})",
                "check the disk, then resume",
            ) from error
        self._ahead = ref.offset, block
        return block

    def _bytes(self, ref: ItemRef) -> bytes:
        raw = self._read(ref)
        if fingerprint_of(raw) != ref.fingerprint:
            raise RunChanged(
                f"{path_text(self._path)}:{ref.line}: the items file has changed since"
                " the run began",
                "put it back as it was, or `runner resume --accept-changes`",
            )
        return raw
