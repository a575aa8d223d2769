"""Does the server's limit refill evenly, or does it count a minute at a time?

A token bucket hands out requests at an even rate, and its headers show hardly any of
the limit as used, however long one goes on. One that counts a minute, sliding or by
the clock, shows what came within it: at least half of what came in any few seconds.
The first can be asked at its very rate. With the second, requests that take longer
than others to arrive can stand one too many in a minute; `pacing` leaves room for that.

Floor: pure state and arithmetic in integer nanoseconds. Knows the window.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter

from runner.limiter.window import SECOND_NS, Window

_WATCH_NS = 10 * SECOND_NS
_LONGEST_NS = 60 * SECOND_NS
_FEWEST = 20
"""Requests in that time: fewer, and what is shown as used may be chance."""
_SHOWN_SHARE = 4
"""Less than one in so many of ours is shown as used: half of that which a minute
counted at a time would show, with all that is still under way."""
_LAYOUT = struct.Struct("<qqq")
REFILL_BYTES = _LAYOUT.size
_VALUES = attrgetter("kind", "since_ns", "most_used")


class Kind(IntEnum):
    """What the headers have shown."""

    UNKNOWN = 0
    EVEN = 1
    REFUTED = -1
    """It looked even, and refused for speed all the same."""


@dataclass(slots=True)
class Refill:
    """What is known of one limit."""

    kind: int = Kind.UNKNOWN
    since_ns: int = 0
    """Since when it is watched."""
    most_used: int = 0
    """The most that was shown as used since then."""

    @property
    def is_even(self) -> bool:
        """Whether it may be asked at its very rate."""
        return self.kind == Kind.EVEN

    def saw(self, used: int, ours: Window, now_ns: int) -> None:
        """Note what a reply shows as used of the limit, beside what we were granted."""
        if self.kind == Kind.REFUTED:
            return
        watched_ns = now_ns - self.since_ns
        if not 0 <= watched_ns < _LONGEST_NS:
            self.since_ns, self.most_used, watched_ns = now_ns, 0, 0
        self.most_used = max(self.most_used, used)
        granted = ours.since(self.since_ns)
        if watched_ns < _WATCH_NS or granted < _FEWEST:
            return
        is_even = self.most_used * _SHOWN_SHARE < granted
        self.kind = Kind.EVEN if is_even else Kind.UNKNOWN
        self.since_ns = 0

    def refused(self) -> None:
        """Note a refusal for speed."""
        if self.is_even:
            self.kind = Kind.REFUTED
        self.since_ns = 0

    def to_bytes(self) -> bytes:
        """`REFILL_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Refill":
        """The inverse of `to_bytes`."""
        return cls(*_LAYOUT.unpack_from(stored))
