"""Waiting for workers whose supervisor is gone."""

import time
from pathlib import Path

from runner.checkpoint.locks import RunLock
from runner.errors import RunLocked

_MOST_S = 30


def wait_for_orphans(run_folder: Path) -> None:
    """Until the last of them has recorded everything and is gone."""
    deadline_s = time.monotonic() + _MOST_S
    while True:
        try:
            RunLock.wait_for_orphans(run_folder)
        except RunLocked:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        else:
            return
