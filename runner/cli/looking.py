"""How does a run stand? One small read; as JSON without loading any painter.

Not through `api`: monitors ask every few seconds, and what the library loads for
working on a run takes four times as long as the look itself (0.34 s against 0.09).

Floor: faces. Knows session.naming and supervisor.heartbeat.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.clock import SystemClock
from runner.errors import RunnerError, StateError
from runner.exit_codes import ALL_VALID, STATE
from runner.run_status import RunStatus
from runner.session.naming import find_run, run_folders
from runner.supervisor.heartbeat import read_status

_EVERY_S = 1.0


def eye_on(name: str | None, state_dir: Path) -> Callable[[], RunStatus]:
    """What looks at a run again and again; RunNotFound if there is none."""
    folder = find_run(state_dir, name)
    return lambda: read_status(folder)


def eye_on_all(state_dir: Path) -> Iterator[tuple[str, RunStatus | RunnerError]]:
    """Each run's name, and how it stands or why that cannot be read."""
    for folder in run_folders(state_dir):
        try:
            yield folder.name, read_status(folder)
        except RunnerError as error:
            yield folder.name, error
        except OSError as error:
            # Most likely another account's: it is in nobody's way.
            why = f"{error.filename or folder}: {error.strerror or error}"
            yield folder.name, StateError(why)


def all_json(state_dir: Path) -> int:
    """`runner status --all --json`: a line a run, in the order of their names."""
    code = ALL_VALID
    for name, seen in eye_on_all(state_dir):
        if isinstance(seen, RunStatus):
            told = seen.to_json()
        else:
            told, code = {"run": name, "error": str(seen)}, STATE
        sys.stdout.write(f"{json.dumps(told)}\n")
    return code


def status_json(name: str | None, state_dir: Path, *, is_watched: bool) -> int:
    """`runner status --json`, once or each second until nothing works on the run."""
    look = eye_on(name, state_dir)
    clock, never = SystemClock(), threading.Event()
    while True:
        status = look()
        sys.stdout.write(f"{json.dumps(status.to_json())}\n")
        sys.stdout.flush()
        is_over = not status.state.is_at_work
        if is_over or not is_watched:
            return ALL_VALID
        clock.wait(never, _EVERY_S)
