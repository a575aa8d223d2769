"""Is this process a worker that is still importing the script that started it?

A spawned worker imports the main script (not as `__main__`) before it does
anything. A script that calls the library outside `if __name__ == "__main__":` does
so there again, in every worker: it would create runs, ask, and start workers of
its own.

Floor: the run.
"""

import sys

UNGUARDED = 79
"""Exit code by which such a worker tells the supervisor; no other part of us, nor
sysexits.h (64 to 78), uses it."""


def leave_if_importing_main() -> None:
    """End a worker whose script calls the library while it is only imported.

    SystemExit, which ends it without a word: its supervisor says what is wrong,
    once. Anywhere else nothing happens.
    """
    # Nobody who has not loaded it can have been spawned by it.
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None:
        return
    # The mark that multiprocessing goes by itself, in its spawn.py
    # `_check_not_importing_main`: there is no public one.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)
