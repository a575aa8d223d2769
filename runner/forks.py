"""What a forked child must not keep open.

A lock that is free and a pipe at its end say that their process is gone. A child that
the user's code forked would keep both, and with them the whole run, for as long as it
lives: so the first thing it does is to close them. Programs are no concern (PEP 446):
what is not inheritable ends with exec.

Floor: words. Knows nobody.
"""

import os
from collections.abc import Callable

_closing: dict[object, Callable[[], None]] = {}


def close_in_children(owner: object, close: Callable[[], None]) -> None:
    """Have `close` called in every child that is forked from now on."""
    _closing[owner] = close


def closed(owner: object) -> None:
    """It is closed here: children have nothing to close."""
    _closing.pop(owner, None)


def _close_all() -> None:
    for close in _closing.values():
        close()
    _closing.clear()


os.register_at_fork(after_in_child=_close_all)
