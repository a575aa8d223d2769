"""What a signal means to a run: drain, or stop waiting.

The handler only takes a note; the supervisor reads it when it wakes, ten times a
second. A signal that was ignored when we started stays ignored (nohup). SIGHUP does
not end a run: a night's work must not depend on a terminal.

Floor: the run.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from runner.clock import Clock
from runner.run_status import StopKind

_DRAIN = {
    signal.SIGINT: StopKind.INTERRUPTED,
    signal.SIGTERM: StopKind.TERMINATED,
}
_SECOND_AFTER_S = 2.0


class Signals:
    """Notes of the signals that came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first_s: float | None = None
        self.drain: StopKind | None = None
        """Set by the first signal: start nothing new."""
        self.abandon = False
        """Set by a second one, more than 2 s later: stop waiting."""

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """A signal came; a terminal and systemd may send the same one twice at once."""
        kind = _DRAIN.get(signal.Signals(number))
        if kind is None:
            return
        now_s = self._clock.monotonic_s()
        if self._first_s is None:
            self._first_s, self.drain = now_s, kind
        elif now_s - self._first_s > _SECOND_AFTER_S:
            self.abandon = True


@contextlib.contextmanager
def listening(clock: Clock) -> Iterator[Signals]:
    """Take notes of signals while the block runs (in the main thread only)."""
    signals = Signals(clock)
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, signals.note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
