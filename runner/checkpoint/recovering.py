"""All that can be read of a damaged shard, each record once.

The database and its -wal are copied first: the damaged ones are never touched.

Floor: doors and rules.
"""

import contextlib
import itertools
import mmap
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.checkpoint.entries import IDENTITY_KEY, Attempt, Outcome
from runner.checkpoint.envelope import seal
from runner.checkpoint.frames import Frames, page_size_of
from runner.checkpoint.pages import DatabasePages, Pages, page_sizes, rows_in
from runner.checkpoint.rescue import RESCUE, rescued
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE, READ_FAILURES
from runner.checkpoint.walking import Record, Unreadable, opened, walk
from runner.errors import StateDamaged
from runner.records import AttemptState

_LOG = f"{DATABASE}-wal"


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
    with tempfile.TemporaryDirectory(dir=work_folder) as temp:
        for name in (DATABASE, _LOG):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(folder / name, Path(temp) / name)
        for row in _records(Path(temp) / DATABASE, run_id, slot):
            yield _settled(row, kept) if isinstance(row, Record) else row
            if row.key is not None and isinstance(row, Record):
                kept.pop(row.key, None)
    yield from kept.values()  # their attempts are lost, but they are not


def _records(path: Path, run_id: str, slot: int) -> Iterator[Record | Unreadable]:
    logged = _logged(path)  # first: SQLite's opening would shorten or remove the -wal
    if _is_foreign(logged.get(IDENTITY_KEY), run_id, slot):
        logged = {}
    if not path.is_file():
        yield Unreadable(key=None, why=f"{DATABASE} is missing")
        yield from logged.values()
    elif _is_foreign(_identity_in(path), run_id, slot):
        yield Unreadable(key=None, why="it belongs to another run or slot")
    else:
        yield from _all_of(path, logged)


def _all_of(path: Path, logged: dict[str, Record]) -> Iterator[Record | Unreadable]:
    """Each record once: what SQLite reads, then the -wal, then page by page."""
    seen: set[str] = set()
    lost: dict[str | None, Unreadable] = {}
    for row in _walked(path):
        if isinstance(row, Unreadable):
            lost[row.key] = row
        elif row.key not in seen:
            seen.add(row.key)
            yield _later(row, logged.get(row.key, row))
    for row in logged.values():
        if row.key not in seen:
            seen.add(row.key)
            yield row
    if not lost:
        return
    for row in _scanned(path).values():
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


def _logged(path: Path) -> dict[str, Record]:
    """Records in the -wal, whatever SQLite makes of it; of each the last version."""
    database, log = _mapped(path), _mapped(path.with_name(_LOG))
    sizes = page_sizes(database, page_size_of(log))
    return _latest(Frames(log, DatabasePages(database, size)) for size in sizes)


def _scanned(path: Path) -> dict[str, Record]:
    """Records found page by page in the database; of each the last version."""
    database = _mapped(path)
    return _latest(DatabasePages(database, size) for size in page_sizes(database))


def _latest(readings: Iterable[Pages]) -> dict[str, Record]:
    """What proves itself in any of these; of several versions the last one standing."""
    found: dict[str, Record] = {}
    for row in itertools.chain.from_iterable(map(rows_in, readings)):
        record = opened(*row)
        if isinstance(record, Record):
            found[record.key] = _later(found.get(record.key, record), record)
    return found


def _mapped(path: Path) -> memoryview:
    """A file's bytes; none where there is no file."""
    if not path.is_file() or not path.stat().st_size:
        return memoryview(b"")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _later(one: Record, other: Record) -> Record:
    """The later version of a record: a page no longer in use may hold an older one."""
    return other if _age(other) >= _age(one) else one


def _age(record: Record) -> tuple[float, ...]:
    """Grows with every version of a record."""
    entry = record.entry
    if isinstance(entry, Attempt):
        return (entry.state is not AttemptState.OPEN,)
    if isinstance(entry, Outcome):
        return entry.generation, entry.last_attempt, entry.finished_unix_s
    return (record.fields.get("records", 0), record.fields.get("ended_unix_s") or 0)


def _identity_in(path: Path) -> Record | None:
    rows = (row for row in _walked(path) if isinstance(row, Record))
    return next((row for row in rows if row.key == IDENTITY_KEY), None)


def _is_foreign(identity: Record | None, run_id: str, slot: int) -> bool:
    """Whether it says so itself; one that says nothing is looked at item by item."""
    if identity is None:
        return False
    fields = identity.fields
    return (fields.get("run_id"), fields.get("slot")) != (run_id, slot)


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
                is_rescued=True,
            )
    except (StateDamaged, ValueError, KeyError, TypeError) as error:
        why = f"{RESCUE}: {error!r}"
        return kept, Unreadable(key=None, why=why, is_rescued=True)
    return kept, None


def _settled(row: Record, kept: dict[str, Record]) -> Record:
    """The record, or the reply that waits for it."""
    is_open = isinstance(row.entry, Attempt) and row.entry.state is AttemptState.OPEN
    return kept.get(row.key, row) if is_open else row
