"""Which items are to be asked anew, also by a session after the one that was told so.

One file that the manifest names, written before anything is sent and named no more
once the run is finished: an interrupted retry is not forgotten. An item is due for
as long as its outcome rests on the attempts it rested on then. No clock is asked:
only a new request raises the number of an outcome's last attempt, and a
rejudgement in between leaves it as it is.

Floor: doors and rules. Knows entries.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from runner.checkpoint.entries import Outcome
from runner.durable import write_bytes
from runner.errors import StateDamaged, StoreError
from runner.records import OutcomeState

ANEW = "asking-anew.{}.json"
HELD_BACK = "held-back.{}.json"
"""The same for items whose answers were lost, until somebody wants them asked."""
_NOT_GOOD = (OutcomeState.INVALID, OutcomeState.FAILED)

Due = Mapping[int, int]
"""Item number → the last attempt of the outcome that is to be replaced."""


def is_due(outcome: Outcome, due: Due) -> bool:
    """Whether that item is still to be asked anew.

    One that a rejudgement has found valid meanwhile is not: it has its answer.
    """
    is_as_it_was = due.get(outcome.number) == outcome.last_attempt
    return is_as_it_was and outcome.state in _NOT_GOOD


def save_due(run_folder: Path, due: Due, named: str = ANEW) -> str:
    """Write the list durably; its file's name, for the manifest. Raises StoreError."""
    stored = json.dumps(sorted(due.items())).encode("ascii")
    name = named.format(_digest(stored))
    try:
        write_bytes(run_folder / name, stored)
    except OSError as error:
        raise StoreError(
            f"{run_folder / name} cannot be written ({error.strerror or error})",
            "free some space, or check the folder's permissions",
        ) from error
    return name


def load_due(run_folder: Path, name: str | None) -> dict[int, int]:
    """The list that the manifest names; StateDamaged if it is missing or altered."""
    if name is None:
        return {}
    path = run_folder / name
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    if name.split(".")[1] != _digest(stored):
        raise _damaged(path, "its checksum is wrong")
    return dict(json.loads(stored))


def _damaged(path: Path, why: str) -> StateDamaged:
    return StateDamaged(
        f"{path} is missing or damaged: {why}",
        "restore the run's folder from a backup",
    )


def _digest(stored: bytes) -> str:
    """The content names its file: an altered one does not go by its name."""
    return hashlib.blake2b(stored, digest_size=8).hexdigest()
