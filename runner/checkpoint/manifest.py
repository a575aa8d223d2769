"""What a run is: its identity, config, shards and high-water marks.

The manifest stands outside the shards on purpose: a database that vanished, was
emptied or belongs to another run would otherwise open as "nothing done yet", and
everything would be paid for again.

Floor: doors and rules.
"""

import dataclasses
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from runner.checkpoint.reading import ShardReader
from runner.checkpoint.shard import create_shard
from runner.checkpoint.store import DATABASE
from runner.config import RunConfig
from runner.durable import write_json
from runner.errors import RunNotFound, StateDamaged, StateError, StateTooNew
from runner.records import JsonObject, Totals

VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One run, as created and as last changed."""

    run: str
    run_id: str
    created_unix_s: float
    config: RunConfig
    identity: dict[str, str]
    """What the user gave to ask with, as text, by name: compared at resume."""
    items: int
    items_sha256: str
    items_bytes: int
    next_number: int
    shards: tuple[int, ...] = ()
    marks: dict[int, int] = field(default_factory=dict)
    """Records a shard was given at least: fewer of them means an old copy."""

    def save(self, run_folder: Path) -> None:
        """Replace the manifest durably."""
        write_json(
            run_folder / MANIFEST,
            {
                "version": VERSION,
                "run": self.run,
                "run_id": self.run_id,
                "created_unix_s": self.created_unix_s,
                "config": self.config.to_json(),
                "identity": self.identity,
                "items": self.items,
                "items_sha256": self.items_sha256,
                "items_bytes": self.items_bytes,
                "next_number": self.next_number,
                "shards": list(self.shards),
                "marks": {str(slot): mark for slot, mark in self.marks.items()},
            },
        )

    @classmethod
    def load(cls, run_folder: Path) -> "Manifest":
        """Read it; RunNotFound, StateDamaged or StateTooNew if that cannot be."""
        stored = _read(run_folder)
        version = stored.pop("version", None)
        if not isinstance(version, int) or version < 1:
            raise StateDamaged(f"{run_folder / MANIFEST} has no version")
        if version > VERSION:
            raise StateTooNew(
                f"{run_folder} was written by a newer version of runner",
                "update runner",
            )
        try:
            return cls(
                **{
                    **stored,
                    "config": RunConfig.from_json(stored["config"]),
                    "shards": tuple(stored["shards"]),
                    "marks": {int(s): mark for s, mark in stored["marks"].items()},
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(run_folder, error) from error

    def with_shard(self, run_folder: Path, slot: int) -> "Manifest":
        """Create shard `slot` and list it: only then may its worker send.

        A shard that was created but not listed before a crash holds no attempts,
        so creating it again is harmless (`refuse_unlisted_shards` sees to that).
        """
        if slot in self.shards:
            return self
        create_shard(run_folder, self.run_id, slot)
        changed = dataclasses.replace(self, shards=(*self.shards, slot))
        changed.save(run_folder)
        return changed

    def refuse_unlisted_shards(self, run_folder: Path) -> None:
        """StateDamaged if a shard holds something that this manifest knows not of.

        A crash between creating a shard and listing it leaves an empty one, which is
        adopted. One with attempts means that the manifest is an older copy.
        """
        for folder in sorted(run_folder.glob("shard-*")):
            slot = int(folder.name.removeprefix("shard-"))
            database = folder / DATABASE
            if (
                slot in self.shards
                or not database.exists()
                or not database.stat().st_size
            ):
                continue
            reader = ShardReader(run_folder, slot, live=False)
            is_unused = reader.is_unused(self.run_id)
            reader.close()
            if not is_unused:
                raise StateDamaged(
                    f"{folder} holds answers, but {MANIFEST} does not list it",
                    f"put the newest copy of {MANIFEST} back",
                )

    def with_marks(self, totals: dict[int, Totals]) -> "Manifest":
        """The same with higher high-water marks."""
        marks = {slot: shard.records for slot, shard in totals.items()}
        return dataclasses.replace(self, marks={**self.marks, **marks})

    def check_marks(self, totals: dict[int, Totals]) -> None:
        """StateDamaged if a shard holds less than it once did."""
        for slot, mark in self.marks.items():
            if totals[slot].records < mark:
                raise StateDamaged(
                    f"shard {slot} of run {self.run} was given {mark} records, but"
                    f" shows only {totals[slot].records}",
                    "put the newest copy of the state folder back (cache.db with"
                    " its -wal file)",
                )


def new_run_id() -> str:
    """A name that no other run has: part of every request's id."""
    return secrets.token_hex(6)


def make_private(folder: Path) -> None:
    """Create `folder` for this user only; StateError where runs cannot live in it."""
    existed = folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StateError(
            f"cannot create {folder}: {error.strerror}", "use --state-dir"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"{folder} is not a plain directory", "use --state-dir")
    if found.st_uid != os.geteuid():
        raise StateError(f"{folder} belongs to another user", "use --state-dir")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StateError(f"{folder} cannot be written to", "use --state-dir")
    if not existed:
        folder.chmod(0o700)  # whatever the umask; a folder of the user's stays as it is


def _read(run_folder: Path) -> JsonObject:
    path = run_folder / MANIFEST
    try:
        stored = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunNotFound(f"there is no run in {run_folder}") from None
    except (OSError, ValueError) as error:
        raise _damaged(run_folder, error) from error
    if not isinstance(stored, dict):
        raise _damaged(run_folder, "not an object")
    return stored


def _damaged(run_folder: Path, why: object) -> StateDamaged:
    return StateDamaged(f"{run_folder / MANIFEST} cannot be read: {why}")
