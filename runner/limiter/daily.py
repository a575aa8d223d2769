"""Has the key used up what it may have in a day, and when is the next try?

Providers refill a daily limit evenly or all at once at some midnight; nobody can
tell which from outside. So: ask again after the reset or a quarter of an hour,
whichever is sooner; a refusal is free and the average is the same.

Floor: doors and rules. Pure state in integer nanoseconds. Knows the window's units.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter

from runner.limiter.window import SECOND_NS
from runner.records import MOST_RETRY_AFTER_S

_LAYOUT = struct.Struct("<qqqq")
DAY_BYTES = _LAYOUT.size
_VALUES = attrgetter("requests", "tokens", "until_ns", "used_up")


class Daily(IntEnum):
    """Which of the two daily limits."""

    NONE = 0
    REQUESTS = 1
    TOKENS = 2


@dataclass(slots=True)
class Day:
    """The key's limits per day; 0: unknown."""

    requests: int = 0
    tokens: int = 0
    until_ns: int = 0
    """Nobody sends before: the day's share is used up."""
    used_up: int = Daily.NONE

    def limit(self, kind: Daily) -> int:
        """The limit of one kind; 0: unknown."""
        return self.requests if kind is Daily.REQUESTS else self.tokens

    def learn(self, kind: Daily, limit: int) -> None:
        """Take over what the server says."""
        if kind is Daily.REQUESTS:
            self.requests = limit
        else:
            self.tokens = limit

    def spent(self, kind: Daily, wait_s: float | None, now_ns: int) -> None:
        """Hold everybody back until the next try."""
        wait_s = (
            MOST_RETRY_AFTER_S if wait_s is None else min(wait_s, MOST_RETRY_AFTER_S)
        )
        self.until_ns = now_ns + int(wait_s * SECOND_NS)
        self.used_up = kind

    def mend(self, now_ns: int) -> None:
        """Bound what a clock that ran ahead can have written."""
        self.until_ns = min(self.until_ns, now_ns + int(MOST_RETRY_AFTER_S) * SECOND_NS)

    def words(self) -> str:
        """What is used up, for a person."""
        kind = Daily(self.used_up)
        what = "requests" if kind is Daily.REQUESTS else "tokens"
        return f"the key's {self.limit(kind):,} {what} a day are used up"

    def to_bytes(self) -> bytes:
        """`DAY_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Day":
        """The inverse of `to_bytes`."""
        return cls(*_LAYOUT.unpack_from(stored))
