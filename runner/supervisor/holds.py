"""What stops everybody for a while goes into the log, and when it is over.

Nobody looks at the screen at 3 a.m.; in the morning the log says where the time went.

Floor: the run. Knows a status and the log.
"""

import logging

from runner.run_status import Pace

_log = logging.getLogger("runner.supervisor")
_WORTH_TELLING_S = 5.0
"""Pauses after a 429 are shorter, and may be many."""


class Holds:
    """One at a time: what the words were when it became worth telling."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._is_told = False

    def look(self, pace: Pace, now_s: float) -> None:
        """`now_s`: monotonic."""
        if pace.waiting_for is None or pace.next_try_s is None:
            self._end(now_s)
            return
        if self._since_s is None:
            self._since_s = now_s
        lasted_s = now_s - self._since_s
        if lasted_s >= _WORTH_TELLING_S and not self._is_told:
            self._is_told = True
            _log.warning("nothing new is sent: %s", pace.waiting_for)

    def _end(self, now_s: float) -> None:
        if self._is_told and self._since_s is not None:
            _log.warning("goes on after %.0f s", now_s - self._since_s)
        self._since_s, self._is_told = None, False
