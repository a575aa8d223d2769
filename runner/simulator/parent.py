"""Is the process that started the simulator still there?

Floor: simulator, bottom. Knows nobody.
"""

import os
import select
import time


class Parent:
    """Watches one process by its number, safe against the number's next owner."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fd: int | None = None
        self._gone_since_s: float | None = None
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone_since_s = time.monotonic()
        except (AttributeError, OSError):
            self._fd = None  # not Linux, or a kernel before 5.3: ask by number

    @property
    def gone_for_s(self) -> float | None:
        """Seconds since it was first seen to have ended (a zombie has); None: lives."""
        if self._gone_since_s is None and self._has_ended():
            self._gone_since_s = time.monotonic()
        if self._gone_since_s is None:
            return None
        return time.monotonic() - self._gone_since_s

    def close(self) -> None:
        """Stop watching."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _has_ended(self) -> bool:
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(0))
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
