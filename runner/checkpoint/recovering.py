"""All that can be read of a damaged shard, each record once.

The database and its -wal are copied first: the damaged ones are never touched.

Floor: doors and rules.
"""

import contextlib
import json
import mmap
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.checkpoint.entries import IDENTITY_KEY, Attempt
from runner.checkpoint.envelope import seal
from runner.checkpoint.pages import rows_in
from runner.checkpoint.rescue import RESCUE, rescued
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, READ_FAILURES
from runner.checkpoint.walking import Record, Unreadable, opened, walk
from runner.errors import StateDamaged
from runner.records import AttemptState

_PAGE_SIZE_AT = slice(16, 18)
_LARGEST_PAGE = 65_536


def recovered(
    run_folder: Path, run_id: str, slot: int, work_folder: Path
) -> Iterator[Record | Unreadable]:
    """Every record of a shard that is as written, and what is known of the others.

    Args:
        run_folder: The damaged run's folder; only read.
        run_id: Records of another run are none of ours.
        slot: Which shard.
        work_folder: Where there is room for a copy of it.
    """
    folder = shard_folder(run_folder, slot)
    kept, problem = _kept_aside(folder)
    if problem:
        yield problem
    if not (folder / DATABASE).is_file():
        yield Unreadable(key=None, why=f"{DATABASE} is missing")
        yield from kept.values()
        return
    with tempfile.TemporaryDirectory(dir=work_folder) as temp:
        for name in (DATABASE, f"{DATABASE}-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(folder / name, Path(temp) / name)
        for row in _records(Path(temp) / DATABASE, run_id, slot):
            yield _settled(row, kept) if isinstance(row, Record) else row
            if row.key is not None and isinstance(row, Record):
                kept.pop(row.key, None)
    yield from kept.values()  # their attempts are lost, but they are not


def _records(path: Path, run_id: str, slot: int) -> Iterator[Record | Unreadable]:
    seen: set[str] = set()
    lost: dict[str | None, Unreadable] = {}
    if _belongs_elsewhere(path, run_id, slot):
        yield Unreadable(key=None, why="it belongs to another run or slot")
        return
    for row in _walked(path):
        if isinstance(row, Unreadable):
            lost[row.key] = row
        elif row.key not in seen:
            seen.add(row.key)
            yield row
    if not lost:
        return
    for row in _scanned(path):
        if row.key not in seen:
            seen.add(row.key)
            yield row
    yield from (each for key, each in lost.items() if key not in seen)


def _walked(path: Path) -> Iterator[Record | Unreadable]:
    try:
        connection = sqlite3.connect(path)
    except READ_FAILURES as error:
        yield Unreadable(key=None, why=str(error))
        return
    with contextlib.closing(connection):
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except READ_FAILURES as error:
            yield Unreadable(key=None, why=str(error))
            return
        yield from walk(connection)


def _scanned(path: Path) -> Iterator[Record]:
    """Records found page by page; of several versions the last one standing."""
    found: dict[str, Record] = {}
    with path.open("rb") as file:
        if path.stat().st_size < _LARGEST_PAGE // 128:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            size = int.from_bytes(mapped[_PAGE_SIZE_AT], "big")
            for page_bytes in {_LARGEST_PAGE if size == 1 else size, 4096} - {0}:
                with memoryview(mapped) as view:
                    for row in rows_in(view, page_bytes):
                        record = opened(*row)
                        if isinstance(record, Record) and _is_later(record, found):
                            found[record.key] = record
    yield from found.values()


def _is_later(record: Record, found: dict[str, Record]) -> bool:
    """A page that is no longer in use may hold an older version."""
    before = found.get(record.key)
    if before is None:
        return True
    if isinstance(record.entry, Attempt):
        return record.entry.state is not AttemptState.OPEN
    return json.dumps(record.fields) > json.dumps(before.fields)


def _belongs_elsewhere(path: Path, run_id: str, slot: int) -> bool:
    """Whether it says so itself; one that says nothing is looked at item by item."""
    rows = (row for row in _walked(path) if isinstance(row, Record))
    identity = next((row for row in rows if row.key == IDENTITY_KEY), None)
    if identity is None:
        return False
    return (identity.fields.get("run_id"), identity.fields.get("slot")) != (
        run_id,
        slot,
    )


def _kept_aside(folder: Path) -> tuple[dict[str, Record], Unreadable | None]:
    """Replies in the rescue file, up to where it is damaged."""
    kept: dict[str, Record] = {}
    try:
        for key, fields, body in rescued(folder):
            kept[key] = Record(
                key=key,
                sealed=seal(key, fields, body),
                fields=fields,
                body=body,
                entry=Attempt.from_json(fields),
            )
    except (StateDamaged, ValueError, KeyError, TypeError) as error:
        why = f"{RESCUE}: {error!r}"
        return kept, Unreadable(key=None, why=why, is_rescued=True)
    return kept, None


def _settled(row: Record, kept: dict[str, Record]) -> Record:
    """The record, or the reply that waits for it."""
    is_open = isinstance(row.entry, Attempt) and row.entry.state is AttemptState.OPEN
    return kept.get(row.key, row) if is_open else row
