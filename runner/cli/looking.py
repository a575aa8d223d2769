"""What do programs see of a run? One line of JSON, without loading any painter.

Floor: cli. Knows api.
"""

import json
import sys
import threading
from pathlib import Path

from runner import api
from runner.clock import SystemClock
from runner.exit_codes import ALL_VALID
from runner.records import RunState

_EVERY_S = 1.0


def status_json(name: str | None, state_dir: Path, *, is_watched: bool) -> int:
    """`runner status --json`, once or each second until nothing works on the run."""
    run = api.Run.open(name, state_dir)
    clock, never = SystemClock(), threading.Event()
    while True:
        status = run.status()
        sys.stdout.write(f"{json.dumps(status.to_json())}\n")
        sys.stdout.flush()
        is_over = status.state not in (RunState.RUNNING, RunState.DRAINING)
        if is_over or not is_watched:
            return ALL_VALID
        clock.wait(never, _EVERY_S)
