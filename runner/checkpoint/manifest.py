"""What a run is: its identity, config, shards and high-water marks.

The manifest stands outside the shards on purpose: a database that vanished, was
emptied or belongs to another run would otherwise open as "nothing done yet", and
everything would be paid for again.

It also names the files that change with it (the items' index, the lines left out,
what is asked anew): these are written first, under new names, so that replacing the
manifest is the one moment in which all of it changes.

Floor: doors and rules.
"""

import dataclasses
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.shard import create_shard
from runner.checkpoint.store import DATABASE
from runner.config import RunConfig
from runner.durable import (
    is_unaltered,
    remove_leftovers,
    with_checksum,
    without_checksum,
    write_json,
)
from runner.errors import (
    HalfJudged,
    RunNotFound,
    StateDamaged,
    StateTooNew,
)
from runner.records import JsonObject, Totals
from runner.run_folder import EXPORTS, EXPORTS_ROOM, INDEX, MANIFEST, REJECTED

VERSION = 1
_NAMED = re.compile(
    r"\.?(items\.(\w+\.)?index|rejected\.(\w+\.)?jsonl|asking-anew\.\w+\.json|held-back\.\w+\.json)"
    r"(\.\d+(-\w+)?\.tmp)?"
)
"""Files that count only while a manifest names them, and halves of them."""


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
    index: str = INDEX
    """File in the run's folder that holds the items' index."""
    index_seal: str = ""
    """What that file's header says of its content; empty: not noted."""
    rejected: str = REJECTED
    """File in the run's folder that lists the lines left out."""
    asking_anew: str | None = None
    """File in the run's folder that lists the items asked anew; None: none are."""
    held_back: str | None = None
    """File that lists items whose answers a damage may have cost; None: none did."""
    is_half_judged: bool = False
    """A rejudgement began and did not end: its rules are here, old verdicts too."""

    def save(self, run_folder: Path) -> None:
        """Replace the manifest durably."""
        stored = {
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
            "index": self.index,
            "index_seal": self.index_seal,
            "rejected": self.rejected,
            "asking_anew": self.asking_anew,
            "held_back": self.held_back,
            "is_half_judged": self.is_half_judged,
        }
        write_json(run_folder / MANIFEST, with_checksum(stored))

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
        if not is_unaltered({"version": version, **stored}):
            raise _damaged(run_folder, "its checksum is wrong")
        try:
            return cls(
                **{
                    **without_checksum(stored),
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
            slot = int(folder.name.removeprefix("shard-")) if _is_shard(folder) else -1
            if slot < 0:
                continue  # a copy that somebody put there
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

    def open_reader(self, run_folder: Path, *, live: bool) -> RunReader:
        """Everything that is recorded, for whoever reads a run.

        Raises StateDamaged where a shard is missing, foreign or older than it was,
        or this manifest itself is an older copy.
        """
        if not live:
            self.refuse_unlisted_shards(run_folder)
        self.check_index(run_folder)
        reader = RunReader(run_folder, self.run_id, list(self.shards), live=live)
        try:
            # Marks were raised after the records: they hold for a live run as well.
            self.check_marks(reader.totals_by_slot())
            if not live:
                self._check_numbers(reader)
        except StateDamaged:
            reader.close()
            raise
        return reader

    def with_index_sealed(self, run_folder: Path) -> "Manifest":
        """The same, bound to the index that its file holds now."""
        seal = _seal_in(run_folder / self.index)
        return dataclasses.replace(self, index_seal=seal or "")

    def check_index(self, run_folder: Path) -> None:
        """StateDamaged where the index is a sound one, but of another run.

        One that is missing is told of by whoever needs it: `status` does not.
        """
        seal = _seal_in(run_folder / self.index)
        if self.index_seal and seal is not None and seal != self.index_seal:
            raise StateDamaged(
                f"{run_folder / self.index} is damaged, or not the index of this run"
            )

    def is_judged_as(self, before: "Manifest") -> bool:
        """Whether no rejudgement has begun or ended since that one was read.

        Asked once the supervisor's shard is held still: then it holds no verdict by
        another rule, as the mark is on disk before the first of them.
        """
        is_same_mark = self.is_half_judged == before.is_half_judged
        return is_same_mark and self.identity == before.identity

    def refuse_half_judged(self) -> None:
        """HalfJudged while verdicts by two rules stand side by side."""
        if self.is_half_judged:
            raise HalfJudged(
                f"the rejudgement of run {self.run} is not finished: some verdicts"
                " are by the new rule, some by the one before",
                f"`runner rejudge {self.run}` finishes it, free",
            )

    def _check_numbers(self, reader: RunReader) -> None:
        """StateDamaged where numbers were given that this manifest knows not of."""
        if reader.highest_number() >= self.next_number:
            raise StateDamaged(
                f"shards of run {self.run} hold items that {MANIFEST} does not know:"
                " it is an older copy"
            )

    def with_items_renamed(self) -> "Manifest":
        """The same with new names for what belongs to one version of the items."""
        version = secrets.token_hex(4)
        return dataclasses.replace(
            self,
            index=f"items.{version}.index",
            rejected=f"rejected.{version}.jsonl",
        )

    def remove_unnamed(self, run_folder: Path) -> None:
        """Remove files that a manifest before this one named, or one that never was.

        Only for who holds the run lock, before anything of the kind is written: so
        a file outlives the manifest that named it by a session, and an export that
        has just read that manifest still finds it.
        """
        named = {self.index, self.rejected, self.asking_anew, self.held_back}
        for path in run_folder.iterdir():
            if _NAMED.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
        for name in (MANIFEST, EXPORTS, EXPORTS_ROOM):
            remove_leftovers(run_folder / name)

    def with_marks(self, totals: dict[int, Totals]) -> "Manifest":
        """The same with higher high-water marks."""
        marks = {slot: shard.records for slot, shard in totals.items()}
        return dataclasses.replace(self, marks={**self.marks, **marks})

    def check_marks(self, totals: dict[int, Totals]) -> None:
        """StateDamaged if a shard holds less than it once did."""
        for slot, mark in self.marks.items():
            if slot not in totals or totals[slot].records < mark:
                raise StateDamaged(
                    f"shard {slot} of run {self.run} was given {mark} records, but"
                    f" shows only {totals[slot].records if slot in totals else 0}",
                    "put the newest copy of the state folder back (cache.db with"
                    " its -wal file), or see `runner salvage`",
                )


def new_run_id() -> str:
    """A name that no other run has: part of every request's id."""
    return secrets.token_hex(6)


def _read(run_folder: Path) -> JsonObject:
    path = run_folder / MANIFEST
    try:
        stored = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RunNotFound(f"there is no run in {run_folder}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(run_folder, error) from error
    if not isinstance(stored, dict):
        raise _damaged(run_folder, "not an object")
    return stored


def _damaged(run_folder: Path, why: object) -> StateDamaged:
    return StateDamaged(f"{run_folder / MANIFEST} cannot be read: {why}")


def _seal_in(index: Path) -> str | None:
    """The last 16 of an index's first 64 bytes: a digest of all of it."""
    try:
        with index.open("rb") as stream:
            return stream.read(64)[48:].hex()
    except OSError:
        return None  # whoever needs it says why


def _is_shard(folder: Path) -> bool:
    return re.fullmatch(r"shard-\d{2,5}", folder.name) is not None
