"""What does `runner status` show a person?

Floor: cli. Knows display.
"""

import sys
from pathlib import Path

from runner import display
from runner.cli.looking import eye_on
from runner.exit_codes import ALL_VALID


def status(name: str | None, state_dir: Path, *, is_watched: bool) -> int:
    """The table, once or until the run ends."""
    look = eye_on(name, state_dir)
    if is_watched:
        display.watch(look, sys.stdout)
    else:
        display.print_status(look(), sys.stdout)
    return ALL_VALID
