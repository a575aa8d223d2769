"""Does the server's limit refill evenly, or does it count a minute at a time?

A token bucket hands out requests and tokens at an even rate, and its headers show
hardly any of the limit as used, however long one goes on. One that counts a minute,
sliding or by the clock, shows what came within it: at least half of what was answered
in any few seconds. The first can be asked at its very rate. With the second, requests
that take longer than others to arrive can stand one too many in a minute; `pacing`
leaves room for that.

Floor: doors and rules. Pure state and arithmetic in integer nanoseconds. Knows nobody.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter

from runner.limiter.window import SECOND_NS

_WATCH_NS = 10 * SECOND_NS
_LONGEST_NS = 60 * SECOND_NS
_FEWEST_ANSWERS, _LEAST_SHARE = 5, 0.01
"""In that time, and of the limit: fewer, and what is shown as used may be chance."""
_LOOKS_EVEN = 4
"""Less than one in so many is shown as used: half of that which a minute counted at a
time would show, where the figures are those of a request's admission."""
_STAYS_EVEN = 1
"""Likewise once that is known: we may have used up some of what it had saved."""
_LAYOUT = struct.Struct("<qqqqq")
REFILL_BYTES = _LAYOUT.size
_VALUES = attrgetter("kind", "since_ns", "most_used", "answers", "amount")


class Kind(IntEnum):
    """What the headers have shown."""

    UNKNOWN = 0
    """Not watched for long enough yet."""
    EVEN = 1
    BY_MINUTE = 2
    """Or nobody can tell: what is right for a minute does little harm elsewhere."""
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
    answers: int = 0
    amount: int = 0
    """What they took of the limit."""

    @property
    def is_known(self) -> bool:
        """Whether it has been watched for long enough."""
        return self.kind != Kind.UNKNOWN

    @property
    def is_even(self) -> bool:
        """Whether it may be asked at its very rate."""
        return self.kind == Kind.EVEN

    def saw(self, used: int, amount: int, limit: int, now_ns: int) -> None:
        """Note what an answer that took `amount` shows as used of the limit."""
        if self.kind == Kind.REFUTED:
            return
        if self.answers and now_ns - self.since_ns >= _LONGEST_NS:
            self._conclude(is_even=self.is_even, now_ns=now_ns)
        if not self.answers or now_ns < self.since_ns:
            self._watch(now_ns)
        self.most_used = max(self.most_used, used)
        self.answers += 1
        self.amount += amount
        is_telling = self.amount >= _LEAST_SHARE * limit
        is_long_enough = now_ns - self.since_ns >= _WATCH_NS
        if is_telling and is_long_enough and self.answers >= _FEWEST_ANSWERS:
            shown = self.most_used * (_STAYS_EVEN if self.is_even else _LOOKS_EVEN)
            self._conclude(is_even=shown < self.amount, now_ns=now_ns)

    def refused(self, now_ns: int) -> None:
        """Note a refusal for speed."""
        if self.is_even:
            self.kind = Kind.REFUTED
        self._watch(now_ns)

    def _conclude(self, *, is_even: bool, now_ns: int) -> None:
        self.kind = Kind.EVEN if is_even else Kind.BY_MINUTE
        self._watch(now_ns)

    def _watch(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.most_used = self.answers = self.amount = 0

    def to_bytes(self) -> bytes:
        """`REFILL_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Refill":
        """The inverse of `to_bytes`."""
        return cls(*_LAYOUT.unpack_from(stored))
