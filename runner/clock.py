"""Where time is read and where threads wait.

Threads that wait for a turn, for a backoff or for an end do so through
`Clock.wait(stop, seconds)`: one event ends them all, and tests need no sleeping.
Who waits for a pipe, a lock or the disk waits there.

Floor: words. Knows nobody.
"""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Time in, waiting out."""

    def monotonic_s(self) -> float:
        """Seconds that never jump; comparable across processes of one boot."""
        ...

    def unix_s(self) -> float:
        """Wall clock, for people only: nothing is ever decided by it."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `stop` is set or the seconds are over; True if stopped."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic_s(self) -> float:
        """Seconds on CLOCK_MONOTONIC."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Seconds since 1970 (UTC)."""
        return time.time()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `stop` is set or the seconds are over; True if stopped."""
        return stop.wait(max(0.0, seconds))
