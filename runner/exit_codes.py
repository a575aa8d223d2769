"""Which exit code does a session deserve?

0 all valid, or as much as asked, or nothing was left to do · 3 finished, some invalid
or failed · 4 stopped early, resumable · 5 state · 130 Ctrl-C · 143 SIGTERM. Errors
carry their own.

Floor: faces. Pure. Knows api_records and records.
"""

from runner.api_records import Finish
from runner.run_status import RunState, RunStatus, StopKind

ALL_VALID = 0
BUG = 1
USAGE = 2
SOME_NOT_VALID = 3
STOPPED = 4
STATE = 5
INTERRUPTED = 130
"""128 + SIGINT, as shells count."""
TERMINATED = 143
"""128 + SIGTERM."""

_BY_KIND = {
    StopKind.LIMIT: ALL_VALID,
    StopKind.INTERRUPTED: INTERRUPTED,
    StopKind.TERMINATED: TERMINATED,
    StopKind.ITEMS: STATE,
}


def exit_code(finish: Finish) -> int:
    """The code of a start or resume that came to an end without an error."""
    if finish.nothing_left and not finish.stop:
        return ALL_VALID
    if finish.status.state is RunState.FINISHED:
        # A stop that came after the last item changed nothing.
        return _of_finished(finish.status)
    kind = finish.stop.kind if finish.stop else None
    return STOPPED if kind is None else _BY_KIND.get(kind, STOPPED)


def _of_finished(status: RunStatus) -> int:
    totals = status.totals
    return SOME_NOT_VALID if totals.invalid or totals.failed else ALL_VALID
