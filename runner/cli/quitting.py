"""How do commands that only look end when nobody looks any more?

`runner status --watch | head -1` and Ctrl-C are the usual ways to leave them.

Floor: faces.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec

from runner.exit_codes import ALL_VALID

_P = ParamSpec("_P")


def ends_quietly(command: Callable[_P, int]) -> Callable[_P, int]:
    """The command, whose reader may go away: that is no failure."""

    @functools.wraps(command)
    def called(*args: _P.args, **given: _P.kwargs) -> int:
        try:
            return command(*args, **given)
        except (BrokenPipeError, KeyboardInterrupt):
            return ALL_VALID

    return called
