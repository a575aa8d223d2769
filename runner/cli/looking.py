"""How does a run stand? One small read; as JSON without loading any painter.

Not through `api`: monitors ask every few seconds, and what the library loads for
working on a run takes four times as long as the look itself (0.34 s against 0.09).

Floor: cli. Knows session.naming and supervisor.heartbeat.
"""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from runner.clock import SystemClock
from runner.exit_codes import ALL_VALID
from runner.run_status import RunState, RunStatus
from runner.session.naming import find_run
from runner.supervisor.heartbeat import read_status

_EVERY_S = 1.0


def eye_on(name: str | None, state_dir: Path) -> Callable[[], RunStatus]:
    """What looks at a run again and again; RunNotFound if there is none."""
    folder = find_run(state_dir, name)
    return lambda: read_status(folder)


def status_json(name: str | None, state_dir: Path, *, is_watched: bool) -> int:
    """`runner status --json`, once or each second until nothing works on the run."""
    look = eye_on(name, state_dir)
    clock, never = SystemClock(), threading.Event()
    while True:
        status = look()
        sys.stdout.write(f"{json.dumps(status.to_json())}\n")
        sys.stdout.flush()
        is_over = status.state not in (RunState.RUNNING, RunState.DRAINING)
        if is_over or not is_watched:
            return ALL_VALID
        clock.wait(never, _EVERY_S)
