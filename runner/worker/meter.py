"""How busy is this worker, and how fast is it answered? Numbers for the supervisor.

From them it finds how many calls should be under way. A call counts here from its
permit to its recorded reply: where our own disk or processor is what is slow, more
callers help as little as with a slow server.

Floor: the work.
"""

import contextlib
import threading
from collections.abc import Iterator

from runner.records import FailureKind, JsonObject

_THROTTLED = (FailureKind.THROTTLED, FailureKind.SLOW_DOWN)
_FAILED = (FailureKind.SERVER, FailureKind.TIMEOUT, FailureKind.CUT)


class Meter:
    """Filled by the calling threads, read by the main thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = self._waiting = 0
        self._finished = self._throttled = self._failed = 0
        self._took_s = 0.0
        self._fastest_s: float | None = None

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Round a wait for a permit."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Round all that follows a permit."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def came_back(self, took_s: float, failure: FailureKind | None) -> None:
        """One call has its reply on disk, that many seconds after its permit."""
        with self._lock:
            self._finished += 1
            self._took_s += took_s
            if failure is None:
                self._fastest_s = min(took_s, self._fastest_s or took_s)
            self._throttled += failure in _THROTTLED
            self._failed += failure in _FAILED

    @property
    def busy(self) -> tuple[int, int]:
        """Calls under way, and callers that wait for a permit, at this moment."""
        return self._under_way, self._waiting

    def take(self) -> JsonObject:
        """What is so now, and what has come back since this was asked last."""
        with self._lock:
            load: JsonObject = {
                "under_way": self._under_way,
                "waiting": self._waiting,
                "finished": self._finished,
                "took_s": round(self._took_s, 3),
                "fastest_s": self._fastest_s,
                "throttled": self._throttled,
                "failed": self._failed,
            }
            self._finished = self._throttled = self._failed = 0
            self._took_s, self._fastest_s = 0.0, None
            return load
