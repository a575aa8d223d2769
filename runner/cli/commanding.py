"""How is a command written for somebody to copy?

Floor: faces. Pure.
"""

import shlex
from pathlib import Path

from runner.printable import printable
from runner.run_folder import STATE_DIR


def command_line(verb: str, run: str, state_dir: Path, *more: str) -> str:
    """`runner resume articles`, with the state folder where it is not the usual."""
    words = ["runner", verb, run, *more]
    if state_dir != STATE_DIR:
        words += ["--state-dir", str(state_dir)]
    return shlex.join(printable(word) for word in words)
