"""How much of a limit is used, and how long until there is room?

Owns the two ways of counting. A meter never sleeps and never refuses: it takes
the time and says how long to wait.

Floor: simulator, bottom. Knows nobody.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

_GUARD_S = 2e-6
"""Entries stay this much longer than their window, so that the ledger's wall-clock
stamps, rounded to microseconds, show at most the limit in any window too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So much in such a time."""

    label: str
    """As an error message names it: `requests per min (RPM)`."""
    kind: str
    """`requests` or `tokens`."""
    amount: int
    period_s: float


class Meter(Protocol):
    """Counts one thing against one limit."""

    def used(self, limit: Limit, now_s: float) -> float:
        """How much of the limit is taken at this moment."""
        ...

    def wait_s(self, limit: Limit, amount: float, now_s: float) -> float:
        """Seconds until `amount` more would fit; 0: now."""
        ...

    def add(self, amount: float, now_s: float) -> None:
        """Take `amount`, whether it fits or not."""
        ...


class SlidingWindow:
    """Strict: never more than the limit in any window of its length."""

    __slots__ = ("_entries", "_sum")

    def __init__(self) -> None:
        self._entries: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def used(self, limit: Limit, now_s: float) -> float:
        """What was added during the last period."""
        entries, oldest_s = self._entries, now_s - limit.period_s - _GUARD_S
        while entries and entries[0][0] <= oldest_s:
            self._sum -= entries.popleft()[1]
        return self._sum

    def wait_s(self, limit: Limit, amount: float, now_s: float) -> float:
        """Until enough of the oldest entries have left the window."""
        missing = self.used(limit, now_s) + amount - limit.amount
        if missing <= 0:
            return 0.0
        for added_s, added in self._entries:
            missing -= added
            if missing <= 0:
                return added_s + limit.period_s + _GUARD_S - now_s
        return limit.period_s

    def add(self, amount: float, now_s: float) -> None:
        """One more entry."""
        self._entries.append((now_s, amount))
        self._sum += amount


class Bucket:
    """Refilled evenly: a full one allows a burst of the whole limit."""

    __slots__ = ("_at_s", "_used")

    def __init__(self) -> None:
        self._used = 0.0
        self._at_s = 0.0

    def used(self, limit: Limit, now_s: float) -> float:
        """What has not flowed back yet."""
        back = (now_s - self._at_s) * limit.amount / limit.period_s
        self._used = max(0.0, self._used - back)
        self._at_s = now_s
        return self._used

    def wait_s(self, limit: Limit, amount: float, now_s: float) -> float:
        """Until enough has flowed back."""
        missing = self.used(limit, now_s) + amount - limit.amount
        return max(0.0, missing * limit.period_s / limit.amount)

    def add(self, amount: float, now_s: float) -> None:  # noqa: ARG002 (Meter)
        """Take it out of the bucket; `used` or `wait_s` was asked at this time."""
        self._used += amount
