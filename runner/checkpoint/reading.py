"""Reading a run without writing a byte: `status`, export, resume, `show`.

Its shards, merged. One answer to one question everywhere: the outcome of the
latest generation counts; before all records are gone over, none may be missing.

Floor: doors and rules.
"""

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.checkpoint.entries import RECORD_VERSION, Attempt, Outcome
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.shard_reading import ShardReader
from runner.errors import StateDamaged, StateTooNew
from runner.records import AttemptState, JsonObject, Totals

__all__ = ["RunReader", "ShardReader"]


class RunReader:
    """All shards of a run, merged."""

    def __init__(
        self, run_folder: Path, run_id: str, slots: list[int], *, live: bool
    ) -> None:
        """Open every listed shard; StateDamaged if one is missing or foreign.

        Args:
            run_folder: The run's folder.
            run_id: Which run the shards must say they belong to.
            slots: The shards that the manifest lists.
            live: Somebody may write to them while this reader is open.
        """
        self._shards = {
            slot: ShardReader(run_folder, slot, live=live) for slot in slots
        }
        self._is_checked = False
        for slot, shard in self._shards.items():
            identity = shard.identity()
            _check_version(shard_folder(run_folder, slot), identity.get("v"))
            if (identity.get("run_id"), identity.get("slot")) != (run_id, slot):
                raise StateDamaged(
                    f"{shard_folder(run_folder, slot)} belongs to another run"
                )

    def check_keys(self) -> None:
        """StateDamaged unless every record is still found; once in a reader's life.

        Whatever goes over all records does this first: one that is not found would
        be taken for one that never was, and its item asked again.
        """
        if not self._is_checked:
            for shard in self._shards.values():
                shard.check_keys()
            self._is_checked = True

    @property
    def shards(self) -> Mapping[int, ShardReader]:
        """Each shard by its slot."""
        return self._shards

    def hold_still(self) -> None:
        """See all shards as they are now, whatever is written from now on."""
        for shard in self._shards.values():
            shard.hold_still()

    def highest_number(self) -> int:
        """The highest item number of all shards; -1: none."""
        return max((s.highest_number() for s in self._shards.values()), default=-1)

    def totals_by_slot(self) -> dict[int, Totals]:
        """The stored totals of each shard."""
        return {slot: shard.totals() for slot, shard in self._shards.items()}

    def totals(self) -> Totals:
        """The stored totals of the run."""
        return sum(self.totals_by_slot().values(), Totals())

    def numbers_done(self) -> Iterator[int]:
        """Numbers of all items with an outcome; some may come twice."""
        self.check_keys()
        for shard in self._shards.values():
            yield from shard.numbers("o")

    def numbers_attempted(self) -> Iterator[int]:
        """Numbers of all items with attempts; some may come twice."""
        self.check_keys()
        for shard in self._shards.values():
            yield from shard.numbers("a")

    def outcome(self, number: int) -> tuple[Outcome, bytes] | None:
        """The latest outcome of one item, with its finished result."""
        found = [shard.outcome(number) for shard in self._shards.values()]
        return max(filter(None, found), key=_generation, default=None)

    def outcomes(self) -> Iterator[tuple[Outcome, bytes]]:
        """The latest outcome of every item, in item order: a merge of scans."""
        self.check_keys()
        merged = heapq.merge(
            *(shard.outcomes() for shard in self._shards.values()),
            key=lambda entry: (entry[0].number, entry[0].generation),
        )
        latest: tuple[Outcome, bytes] | None = None
        for entry in merged:
            if latest and latest[0].number != entry[0].number:
                yield latest
            latest = entry
        if latest:
            yield latest

    def attempts(self, number: int) -> list[tuple[Attempt, bytes]]:
        """All attempts of one item, oldest first, with the bytes received."""
        found = [
            entry for shard in self._shards.values() for entry in shard.attempts(number)
        ]
        return sorted(found, key=lambda entry: entry[0].attempt)

    def all_attempts(self) -> Iterator[tuple[Attempt, bytes]]:
        """Every attempt of the run, shard by shard, with the bytes received."""
        self.check_keys()
        for shard in self._shards.values():
            yield from shard.all_attempts()

    def attempt(self, slot: int, number: int, attempt: int) -> tuple[Attempt, bytes]:
        """One attempt; StateDamaged if it is not where a record says it is."""
        shard = self._shards.get(slot)
        entry = shard.attempt(number, attempt) if shard else None
        if entry is None:
            raise StateDamaged(f"attempt {attempt} of item {number} is missing")
        return entry

    def unresolved(self) -> Iterator[Attempt]:
        """Open attempts that nothing has asked again, in no order."""
        superseded: set[tuple[int, int]] = set()
        still_open: list[Attempt] = []
        self.check_keys()
        for shard in self._shards.values():
            for attempt, _ in shard.all_attempts():
                if attempt.state is AttemptState.NOT_SENT:
                    continue
                superseded.update(
                    (attempt.number, s.attempt) for s in attempt.supersedes
                )
                if attempt.state is AttemptState.OPEN:
                    still_open.append(attempt)
        return (a for a in still_open if (a.number, a.attempt) not in superseded)

    def carried(self) -> list[JsonObject]:
        """What a salvage carried over, shard by shard: numbers of lost records."""
        found = (shard.carried() for shard in self._shards.values())
        return [each for each in found if each is not None]

    def sessions(self) -> list[JsonObject]:
        """Every session of the run, oldest first."""
        return self._shards[0].sessions() if 0 in self._shards else []

    def last_session(self) -> int:
        """Number of the latest session; 0: none. Of those before, some may be lost."""
        return max((session["session"] for session in self.sessions()), default=0)

    def has_begun(self) -> bool:
        """Whether a session has: those of the run it was salvaged from are not its."""
        last = self.last_session()
        return last > 0 and last > self._shards[0].last_carried_session()

    def close(self) -> None:
        """Close all shards."""
        for shard in self._shards.values():
            shard.close()


def _check_version(folder: Path, version: object) -> None:
    if version == RECORD_VERSION:
        return
    if isinstance(version, int) and version > RECORD_VERSION:
        raise StateTooNew(
            f"{folder} was written by a newer version of runner", "update runner"
        )
    raise StateDamaged(
        f"{folder} was written by a version of runner that was never released",
        "go on with that version, or begin a new run",
    )


def _generation(entry: tuple[Outcome, bytes]) -> int:
    return entry[0].generation
