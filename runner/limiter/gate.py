"""Who in this process may ask next? One thread at a time, first come, first served.

A thousand threads waiting for five requests a minute must not all look at the
cell: one does, the others stand in line behind it.

Floor: threads. Knows nobody.
"""

import threading
from collections import deque

_LOOK_UP_S = 3.0
"""How often someone in line looks at its own stop event. Hardly ever matters: whoever
is at the head waits on the stop itself, leaves, and so passes the news on; a thousand
threads that look up every second take a tenth of a core."""


class Gate:
    """A line of threads; whoever got through `enter` must `leave`."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._line: deque[threading.Event] = deque()
        self._is_taken = False

    def enter(self, stop: threading.Event) -> bool:
        """Stand in line; False when `stop` was set first."""
        turn = self._stand()
        while turn is not None and not turn.wait(_LOOK_UP_S):
            if stop.is_set() and self._step_out(turn):
                return False
        return True

    def leave(self) -> None:
        """Let the next one through."""
        with self._mutex:
            if self._line:
                self._line.popleft().set()
            else:
                self._is_taken = False

    def _stand(self) -> threading.Event | None:
        """Get into line; None: there is none, it is our turn."""
        with self._mutex:
            if self._is_taken:
                turn = threading.Event()
                self._line.append(turn)
                return turn
            self._is_taken = True
            return None

    def _step_out(self, turn: threading.Event) -> bool:
        """Leave the line, unless the turn came at this very moment."""
        with self._mutex:
            if turn.is_set():
                return False
            self._line.remove(turn)
            return True
