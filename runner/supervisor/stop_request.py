"""Who sent that SIGTERM: `runner stop`, or somebody else?

`runner stop` leaves a note for exactly the process it then signals; a note for any
other process, such as one that died before it read it, means nothing.

Floor: the run.
"""

import json
import os
from pathlib import Path

from runner.checkpoint.locks import Owner
from runner.processes import process_start
from runner.run_folder import STOP_REQUEST


def request_stop(run_folder: Path, owner: Owner) -> None:
    """Leave a note for the process that holds the run; OSError if it cannot be."""
    temp = run_folder / f"{STOP_REQUEST}.{os.getpid()}"
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        json.dump([owner.pid, owner.process_start], stream)
    temp.replace(run_folder / STOP_REQUEST)


def take_stop_request(run_folder: Path) -> bool:
    """Whether there is a note for this process; it is taken away."""
    path = run_folder / STOP_REQUEST
    try:
        told = json.loads(path.read_bytes())
        path.unlink()
    except (OSError, ValueError):
        return False  # no note: somebody else's signal
    return bool(told == [os.getpid(), process_start(os.getpid())])
