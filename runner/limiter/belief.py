"""How long is what a server showed of a limit believed?

Accounts get other limits, gateways show figures that were never theirs. A limit that
no answer shows any more is let go. And one that is smaller than a single request is put
to the test by that request, when it is alone: the server's word, yes or no, counts.

Floor: doors and rules. Pure state and arithmetic in integer nanoseconds. Knows the
window's units.
"""

import struct
from dataclasses import dataclass
from operator import attrgetter

from runner.limiter.window import SECOND_NS

_DOUBTED_FOR_NS = 600 * SECOND_NS
"""So long answers come without the limit: the server has none, or does not say."""
_DAY_NS = 86_400 * SECOND_NS
_REFUSAL_COUNTS_NS = 600 * SECOND_NS
"""So long nobody asks again whether a request of that size is too large."""
_LAYOUT = struct.Struct("<qqqq")
BELIEF_BYTES = _LAYOUT.size
_VALUES = attrgetter("shown_ns", "doubted_ns", "refused_amount", "refused_until_ns")


@dataclass(slots=True)
class Belief:
    """What speaks for one limit of the key. Moments of another boot count as zero."""

    shown_ns: int = 0
    """When a reply showed it last."""
    doubted_ns: int = 0
    """When the first answer since came without it; 0: none has."""
    refused_amount: int = 0
    """The smallest request that was refused as more than the limit."""
    refused_until_ns: int = 0
    """So long that counts."""

    def shown(self, now_ns: int) -> None:
        """Note a reply that shows the limit."""
        self.shown_ns, self.doubted_ns = now_ns, 0

    def not_shown(self, now_ns: int) -> None:
        """Note an answer that does not."""
        self.doubted_ns = self.doubted_ns or now_ns

    def is_over(self, now_ns: int) -> bool:
        """Whether the limit counts no more."""
        is_doubted = now_ns - (self.doubted_ns or now_ns) >= _DOUBTED_FOR_NS
        return is_doubted or now_ns - self.shown_ns >= _DAY_NS

    def refused(self, amount: int, now_ns: int) -> None:
        """Note that a request of this size was put to the test, and refused."""
        is_known = now_ns < self.refused_until_ns
        self.refused_amount = min(amount, self.refused_amount) if is_known else amount
        self.refused_until_ns = now_ns + _REFUSAL_COUNTS_NS

    def refuses(self, amount: int, now_ns: int) -> bool:
        """Whether it is known that the server refuses as much at once."""
        return now_ns < self.refused_until_ns and amount >= self.refused_amount

    def mend(self, now_ns: int) -> None:
        """Bound what a clock that ran ahead can have written."""
        self.shown_ns = min(self.shown_ns, now_ns)
        self.doubted_ns = min(self.doubted_ns, now_ns)
        self.refused_until_ns = min(self.refused_until_ns, now_ns + _REFUSAL_COUNTS_NS)

    def to_bytes(self) -> bytes:
        """`BELIEF_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Belief":
        """The inverse of `to_bytes`."""
        return cls(*_LAYOUT.unpack_from(stored))
