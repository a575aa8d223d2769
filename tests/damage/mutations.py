"""What can happen to a run's folder, each drawn from a seed."""

import os
import pickle
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from damage.originals import Original

PAGE = 4096


class Bomb:
    """Creates a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


class Mishap:
    """One run's folder, and a source of chance."""

    def __init__(
        self, folder: Path, original: Original, other: Original, seed: int
    ) -> None:
        self.folder = folder
        self.original = original
        self.other = other
        self.draw = random.Random(seed)
        self.canary = folder.parent / "executed"

    def file(self, *, databases: bool = False) -> Path:
        """A file that matters; locks, logs and the -shm do not."""
        names = [p for p in sorted(self.folder.rglob("*")) if p.is_file()]
        kept = [
            p
            for p in names
            if not p.name.endswith((".lock", "-shm", ".log", ".cell"))
            and (not databases or p.name.startswith("cache.db"))
            and p.stat().st_size
        ]
        return self.draw.choice(kept)

    def shard(self) -> Path:
        """The folder of a shard."""
        return self.draw.choice(sorted(self.folder.glob("shard-*")))


def truncate(it: Mishap) -> None:
    path = it.file()
    os.truncate(path, it.draw.randrange(path.stat().st_size))


def overwrite_page(it: Mishap) -> None:
    path = it.file(databases=True)
    content = bytearray(path.read_bytes())
    at = it.draw.randrange(0, len(content), PAGE)
    kind = it.draw.randrange(3)
    page = bytes(PAGE) if kind == 0 else it.draw.randbytes(PAGE)
    if kind == 2:  # another page of the same file
        other = it.draw.randrange(0, len(content), PAGE)
        page = bytes(content[other : other + PAGE])
    content[at : at + PAGE] = page
    path.write_bytes(content)


def flip_bytes(it: Mishap) -> None:
    path = it.file()
    content = bytearray(path.read_bytes())
    for _ in range(it.draw.choice((1, 1, 2, 5, 30))):
        content[it.draw.randrange(len(content))] ^= it.draw.randrange(1, 256)
    path.write_bytes(content)


def flip_in_database(it: Mishap) -> None:
    path = it.file(databases=True)
    content = bytearray(path.read_bytes())
    for _ in range(it.draw.choice((1, 1, 2, 5, 30))):
        content[it.draw.randrange(len(content))] ^= it.draw.randrange(1, 256)
    path.write_bytes(content)


def flip_in_log(it: Mishap) -> None:
    logs = [path for path in sorted(it.folder.rglob("*-wal")) if path.stat().st_size]
    path = it.draw.choice(logs) if logs else it.file(databases=True)
    content = bytearray(path.read_bytes())
    content[it.draw.randrange(len(content))] ^= 1 << it.draw.randrange(8)
    path.write_bytes(content)


def delete_file(it: Mishap) -> None:
    it.file().unlink()


def delete_shard(it: Mishap) -> None:
    shutil.rmtree(it.shard())


def empty_file(it: Mishap) -> None:
    it.file().write_bytes(b"")


def lose_wal(it: Mishap) -> None:
    shard = it.shard()
    for name in ("cache.db-wal", "cache.db-shm"):
        (shard / name).unlink(missing_ok=True)


def foreign_shard(it: Mishap) -> None:
    shard = it.shard()
    shutil.rmtree(shard)
    shutil.copytree(it.other.folder / shard.name, shard)


def wrong_slot(it: Mishap) -> None:
    one, other = it.draw.sample(sorted(it.folder.glob("shard-*")), 2)
    shutil.rmtree(one)
    shutil.copytree(other, one)


def older_shard(it: Mishap) -> None:
    shard = it.shard()
    shutil.rmtree(shard)
    shutil.copytree(it.original.earlier / shard.name, shard)


def older_manifest(it: Mishap) -> None:
    shutil.copy(it.original.earlier / "manifest.json", it.folder)


def foreign_file(it: Mishap) -> None:
    path = it.folder / it.draw.choice(("manifest.json", "items.index"))
    shutil.copy(it.other.folder / path.name, path)


def swap_values(it: Mishap) -> None:
    with Database(it) as database:
        rows = database.execute("SELECT rowid, value FROM Cache").fetchall()
        (one, a), (other, b) = it.draw.sample(rows, 2)
        database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (b, one))
        database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (a, other))


def rename_key(it: Mishap) -> None:
    with Database(it) as database:
        row, key = it.draw.choice(
            database.execute("SELECT rowid, key FROM Cache").fetchall()
        )
        number = it.draw.randrange(100, 140)
        renamed = f"{key[:2]}{number:010d}{key[12:]}"
        database.execute("UPDATE Cache SET key = ? WHERE rowid = ?", (renamed, row))


def delete_rows(it: Mishap) -> None:
    with Database(it) as database:
        rows = database.execute("SELECT rowid FROM Cache").fetchall()
        gone = it.draw.sample(rows, min(len(rows), it.draw.choice((1, 2, 20))))
        database.executemany("DELETE FROM Cache WHERE rowid = ?", gone)


def plant_pickle(it: Mishap) -> None:
    with Database(it) as database:
        rows = database.execute("SELECT rowid FROM Cache").fetchall()
        database.execute(
            "UPDATE Cache SET mode = 4, value = ? WHERE rowid = ?",
            (pickle.dumps(Bomb(it.canary)), *it.draw.choice(rows)),
        )


def plant_file(it: Mishap) -> None:
    secret = it.folder.parent / "secret"
    secret.write_text("private")
    with Database(it) as database:
        rows = database.execute("SELECT rowid FROM Cache").fetchall()
        database.execute(
            "UPDATE Cache SET mode = ?, filename = ?, value = NULL WHERE rowid = ?",
            (it.draw.choice((2, 3)), str(secret), *it.draw.choice(rows)),
        )


class Database:
    """A shard's database, opened by somebody else; committed at the end."""

    def __init__(self, it: Mishap) -> None:
        self._database = sqlite3.connect(it.shard() / "cache.db")

    def __enter__(self) -> sqlite3.Connection:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.commit()
        self._database.close()


MUTATIONS: tuple[Callable[[Mishap], None], ...] = (
    truncate,
    truncate,
    overwrite_page,
    overwrite_page,
    flip_bytes,
    flip_in_database,
    flip_in_database,
    flip_in_log,
    flip_in_log,
    delete_file,
    delete_shard,
    empty_file,
    lose_wal,
    foreign_shard,
    wrong_slot,
    older_shard,
    older_manifest,
    foreign_file,
    swap_values,
    rename_key,
    delete_rows,
    plant_pickle,
    plant_file,
)
