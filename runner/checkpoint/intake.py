"""Taking rescued replies into their shards, before a session reads anything.

Done once or many times, the result is the same: a reply is taken in where its
attempt is still open, and the rescue file goes last. Killed in between, the next
session does it again.

Floor: doors and rules.
"""

import contextlib
from pathlib import Path

from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.rescue import RESCUE, discard
from runner.checkpoint.shard import Shard, shard_folder
from runner.errors import StoreError


def take_in_rescued(run_folder: Path, run_id: str, slots: tuple[int, ...]) -> int:
    """Put every rescued reply of these shards where it belongs; returns how many.

    Only for who holds the run lock. Raises StateDamaged if a rescue file, or its
    shard, is not as it was left, and StoreError if the shard still takes nothing.
    """
    return sum(
        _take_in(run_folder, run_id, slot)
        for slot in slots
        if (shard_folder(run_folder, slot) / RESCUE).exists()
    )


def _take_in(run_folder: Path, run_id: str, slot: int) -> int:
    RunReader(run_folder, run_id, [slot], live=True).close()  # is it that run's?
    with contextlib.closing(ShardReader(run_folder, slot, live=True)) as reader:
        found = reader.rescued()
    if found:
        shard = Shard(run_folder, slot)
        with contextlib.closing(shard):
            for begun, settled, body in found:
                shard.settle(begun, settled, body)
    folder = shard_folder(run_folder, slot)
    try:
        discard(folder)
    except OSError as error:
        raise StoreError(
            f"{folder / RESCUE} cannot be removed: {error.strerror}",
            "check the folder's permissions",
        ) from error
    return len(found)
