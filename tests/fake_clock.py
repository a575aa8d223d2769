"""A clock that stands still until a test, or somebody's wait, moves it."""

import threading
from collections.abc import Callable


class FakeClock:
    """Waiting takes no time; it only makes it later."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.waits: list[float] = []
        self.on_wait: Callable[[threading.Event], None] = lambda _: None

    def monotonic_s(self) -> float:
        """The same until it is moved."""
        return self.now_s

    def unix_s(self) -> float:
        """A plausible wall clock."""
        return 1_700_000_000.0 + self.now_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """It is that much later at once."""
        self.waits.append(seconds)
        self.on_wait(stop)
        if not stop.is_set():
            self.now_s += seconds
        return stop.is_set()
