"""Do refusals for speed come from our pace? Only slowing down tells.

Gateways refuse a few percent at random, whatever we do: others share their servers.
So a lower pace is a trial. Where it is refused as large a share as before, the pace was
not the reason: it is restored, and for ten minutes such a refusal concerns its request
alone, unless more are refused than were then.

A server that is full is another matter, and no trial: it asks for a long pause, or
refuses all that comes until there is room.

Floor: doors and rules. Pure state and arithmetic in integer nanoseconds. Knows the
window's units.
"""

import math
import struct
from dataclasses import dataclass
from operator import attrgetter

from runner.limiter.window import SECOND_NS

_MANY_IN_A_ROW = 5
"""By chance so many are refused only where nearly half of all are."""
_ANSWERS = 2
"""So many times as long as one takes without any: none will come."""
_WEIGHT = 0.1
"""Of one more answer in how long they take."""
_LONG_PAUSE_S = 2.0
_ENOUGH = 5
"""Refusals that speak against the pace; were it the reason there would be none."""
_MOST = 0.3
"""Who refuses a larger share has not enough, whatever the reason."""
_EXPECTED = 8
"""So many must have been expected by chance, to find that it was the pace."""
_AS_MANY = 0.75
_MORE, _MORE_BESIDE = 3, 10
"""So many times the share known, and so many more: the server is full by now."""
_FEWEST, _LEAST_NS = 3, 10 * SECOND_NS
"""Refusals, and the time they came in, before a trial."""
_IDLE_NS = 70 * SECOND_NS
"""Longer than any pause in a row of refusals."""
_KNOWN_FOR_NS = 600 * SECOND_NS
_RECENT = 2_000
"""Ends that a share is of, at most twice as many."""
_LAYOUT = struct.Struct("<qqqqqqqqddq")
CAUSE_BYTES = _LAYOUT.size
_VALUES = attrgetter(
    "since_ns",
    "ends",
    "refusals",
    "row",
    "row_ns",
    "seen_ns",
    "answer_ns",
    "is_trial",
    "share_before",
    "chance",
    "chance_until_ns",
)


@dataclass(slots=True)
class Cause:
    """What is known of the reason. Flags are 0 or 1: it lives in a cell."""

    since_ns: int = 0
    """What was sent earlier was sent at another pace."""
    ends: int = 0
    """Requests answered or refused since."""
    refusals: int = 0
    row: int = 0
    """Refusals since anything was answered that was sent after the first of them."""
    row_ns: int = 0
    """When that first one was sent."""
    seen_ns: int = 0
    """When anything was answered last."""
    answer_ns: int = 0
    """How long an answer takes, of late."""
    is_trial: int = 0
    """The pace was lowered, to see."""
    share_before: float = 0.0
    """Refused of all before it was, at least."""
    chance: float = 0.0
    """Share that is refused whatever the pace."""
    chance_until_ns: int = 0
    """So long that counts."""

    def answered(self, sent_ns: int, now_ns: int) -> bool:
        """Note an answer; whether it turns out that the pace is not the reason.

        Refusals count once something that was sent later is answered.
        """
        if now_ns - self.seen_ns > _IDLE_NS:
            # What nobody has asked for has not been refused.
            self._begin(sent_ns)
        self.seen_ns = now_ns
        took_ns = max(0, now_ns - sent_ns)
        self.answer_ns += int(_WEIGHT * (took_ns - self.answer_ns))
        if self.row and sent_ns > self.row_ns:
            if self.row_ns >= self.since_ns:
                self._count(self.row, self.row, now_ns)
            self.row = 0
        if sent_ns >= self.since_ns:
            self._count(1, 0, now_ns)
        return self._judge(now_ns)

    def refused(self, sent_ns: int, asked_s: float | None, now_ns: int) -> None:
        """Note a refusal, and what it asks for."""
        if not self.row:
            self.row_ns = sent_ns
        self.row += 1
        # Refusals are told sooner than answers are made.
        is_time = now_ns - self.row_ns > _ANSWERS * self.answer_ns
        is_full = self.row >= _MANY_IN_A_ROW and is_time
        if is_full or (asked_s or 0) > _LONG_PAUSE_S:
            self.forget(now_ns)

    def _judge(self, now_ns: int) -> bool:
        if self.is_chance(now_ns):
            if self.refusals > _MORE * self.chance * self.ends + _MORE_BESIDE:
                self.forget(now_ns)
            return False
        is_found = self.is_trial > 0 and self._is_as_before()
        if is_found:
            self.chance, self.chance_until_ns = self.share, now_ns + _KNOWN_FOR_NS
            self._begin(now_ns)
        return is_found

    @property
    def share(self) -> float:
        """Refused of what was sent at this pace."""
        return self.refusals / max(1, self.ends)

    def is_chance(self, now_ns: int) -> bool:
        """Whether refusals are known not to come from the pace."""
        return now_ns < self.chance_until_ns

    def answered_per_minute(self, now_ns: int) -> float | None:
        """What is really answered at this pace, pauses included; None: not known.

        So much the server has room for, if the pace is the reason.
        """
        if not self.refusals:
            return None
        passed_ns = max(SECOND_NS, now_ns - self.since_ns)
        return (self.ends - self.refusals) * 60 * SECOND_NS / passed_ns

    def is_ripe(self, now_ns: int) -> bool:
        """Whether enough is known of this pace to try another one."""
        return self.refusals >= _FEWEST and now_ns - self.since_ns >= _LEAST_NS

    @property
    def is_open(self) -> bool:
        """Whether it is still to be seen what a lower pace has changed."""
        return self.is_trial > 0 and self.ends * self.share_before < _EXPECTED

    def slowed(self, now_ns: int) -> None:
        """The pace was lowered: see what that changes."""
        # Few refusals may be more than there would be in the long run.
        fewest = max(0.5, self.refusals - math.sqrt(self.refusals))
        self.share_before = fewest / max(1, self.ends)
        self._begin(now_ns)
        self.is_trial = 1

    def _is_as_before(self) -> bool:
        expected = _AS_MANY * self.share_before * self.ends
        return self.refusals >= max(_ENOUGH, expected) and self.share <= _MOST

    def _count(self, ends: int, refusals: int, now_ns: int) -> None:
        if self.ends >= 2 * _RECENT and not self.is_trial:
            self.ends, self.refusals = self.ends // 2, self.refusals // 2
            self.since_ns += (now_ns - self.since_ns) // 2
        self.ends += ends
        self.refusals += refusals

    def _begin(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.ends = self.refusals = self.is_trial = 0

    def forget(self, until_ns: int) -> None:
        """The server has said why, or shown it: nothing counts until then."""
        self.chance_until_ns = 0
        self._begin(until_ns)

    def mend(self, now_ns: int) -> None:
        """Bound what a clock that ran ahead can have written."""
        self.since_ns = min(self.since_ns, now_ns + _IDLE_NS)
        self.row_ns = min(self.row_ns, now_ns)
        self.chance_until_ns = min(self.chance_until_ns, now_ns + _KNOWN_FOR_NS)

    def to_bytes(self) -> bytes:
        """`CAUSE_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Cause":
        """The inverse of `to_bytes`."""
        return cls(*_LAYOUT.unpack_from(stored))
