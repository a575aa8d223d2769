"""Who in this process may ask next? One thread at a time, first come, first served.

A thousand threads waiting for five requests a minute must not all look at the
cell: one does, the others stand in line behind it, asleep. They need not look up for
a stop: whoever is at the head waits on that, leaves, and so passes the news on.

Floor: doors and rules. Threads. Knows nobody.
"""

import threading
from collections import deque


class Gate:
    """A line of threads: `with` it, one at a time."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._line: deque[threading.Lock] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        """Stand in line until it is our turn."""
        turn = self._stand()
        if turn is not None:
            turn.acquire()

    def __exit__(self, *_: object) -> None:
        """Let the next one through."""
        with self._mutex:
            if self._line:
                self._line.popleft().release()
            else:
                self._is_taken = False

    def _stand(self) -> "threading.Lock | None":
        """Get into line; None: there is none, it is our turn.

        The place is a lock that is taken until its turn: much cheaper than an Event.
        """
        with self._mutex:
            if self._is_taken:
                turn = threading.Lock()
                turn.acquire()
                self._line.append(turn)
                return turn
            self._is_taken = True
            return None
