"""What does `runner status` show a person?

Floor: faces. Knows display.
"""

import sys
from pathlib import Path

from runner import display
from runner.cli.looking import eye_on, eye_on_all
from runner.errors import RunnerError
from runner.exit_codes import ALL_VALID, STATE
from runner.printable import printable


def status(name: str | None, state_dir: Path, *, is_watched: bool) -> int:
    """The table, once or until the run ends."""
    look = eye_on(name, state_dir)
    if is_watched:
        display.watch(look, sys.stdout)
    else:
        display.print_status(look(), sys.stdout)
    return ALL_VALID


def all_runs(state_dir: Path) -> int:
    """A line a run."""
    seen = list(eye_on_all(state_dir))
    if not seen:
        display.note(f"there are no runs in {printable(state_dir.absolute())}")
    display.print_overview(seen, sys.stdout)
    is_any_unreadable = any(isinstance(each, RunnerError) for _, each in seen)
    return STATE if is_any_unreadable else ALL_VALID
