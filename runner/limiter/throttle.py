"""What a refusal for speed does: one pause for the whole fleet, then a slower pace.

`Pause` holds everybody on the key back until a moment and numbers the pauses;
`Cut` is a share of the measured rate that grows back by the minute.

Floor: doors and rules. Pure state and arithmetic in integer nanoseconds. Knows the
window's units.
"""

import struct
from dataclasses import dataclass
from operator import attrgetter

from runner.limiter.window import SECOND_NS
from runner.records import MOST_RETRY_AFTER_S

MINUTE_NS = 60 * SECOND_NS
_LONGEST_PAUSE_NS = int(MOST_RETRY_AFTER_S * 1.1) * SECOND_NS
_LONGEST_BACKOFF_S = 60
_SHORTEST_PAUSE_S = 0.1
"""Servers have been seen to answer `retry-after: 0` again and again."""
_PATIENT_ROUNDS = 3
"""After so many rounds what the server asks for has not helped: double as well."""
_PAUSE = struct.Struct("<qqqq")
_CUT = struct.Struct("<ddqdd")
_RARE = 1_000
"""Requests for each refusal: a tenth of a percent is cheaper than any lower pace."""
_MOST_SPARE = 3.0
"""So many may fall together by chance; more of them are the pace, however long ago
the last one was."""
PAUSE_BYTES, CUT_BYTES = _PAUSE.size, _CUT.size
_PAUSE_VALUES = attrgetter("until_ns", "epoch", "rounds", "round_ns")
_CUT_VALUES = attrgetter("base_per_minute", "share", "cut_ns", "growth", "spare")


@dataclass(slots=True)
class Pause:
    """Nobody on the key sends before `until_ns`."""

    until_ns: int = 0
    epoch: int = 0
    """Counts pauses: a permit of an older epoch is worthless."""
    rounds: int = 0
    """Rounds of 429s since the last success."""
    round_ns: int = 0
    """When the latest round began."""

    def refused(
        self, *, epoch: int, asked_s: float | None, now_ns: int, draw: float
    ) -> bool:
        """Note a 429 of a permit of `epoch`; True if it begins a new round.

        Args:
            epoch: of the permit. An older one belongs to the round that already
                paused everybody: hundreds of requests may have been under way.
            asked_s: what the server asked for; None: double from round to round.
            now_ns: the moment.
            draw: uniform in [0, 1): up to 10 % longer, so that fleets sharing a
                key do not return together.
        """
        is_new = epoch >= self.epoch
        if is_new:
            self.rounds += 1
            self.epoch += 1
            self.round_ns = now_ns
        elif asked_s is None:
            return False
        pause_s = self._length_s(asked_s) * (1 + 0.1 * draw)
        self.until_ns = max(self.until_ns, now_ns + int(pause_s * SECOND_NS))
        return is_new

    def succeeded(self, epoch: int) -> None:
        """Note a success: it ends the streak if sent after the last pause but one.

        Not the last alone: a refusal comes sooner than an answer, and the first one
        of each round would hide that the server still answers some.
        """
        if epoch >= self.epoch - 1:
            self.rounds = 0

    def mend(self, now_ns: int) -> None:
        """Bound what a clock that ran ahead can have written."""
        self.until_ns = min(self.until_ns, now_ns + _LONGEST_PAUSE_NS)

    def _length_s(self, asked_s: float | None) -> float:
        backoff_s = float(min(_LONGEST_BACKOFF_S, 2 ** min(self.rounds - 1, 6)))
        if asked_s is None:
            return backoff_s
        floor_s = backoff_s if self.rounds > _PATIENT_ROUNDS else _SHORTEST_PAUSE_S
        return max(asked_s, floor_s)

    def to_bytes(self) -> bytes:
        """`PAUSE_BYTES` bytes."""
        return _PAUSE.pack(*_PAUSE_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Pause":
        """The inverse of `to_bytes`."""
        return cls(*_PAUSE.unpack_from(stored))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slower:
    """How much slower, and for how long."""

    to: float
    """Of the rate."""
    growth: float
    """Share of the rate that returns each minute."""


@dataclass(slots=True)
class Cut:
    """The key's rate is held at a share of what it was, growing back."""

    base_per_minute: float = 0.0
    """The rate the share is of: measured, because a limit nobody reaches cuts
    nothing; 0: no cut."""
    share: float = 1.0
    """At `cut_ns`."""
    cut_ns: int = 0
    growth: float = 0.0
    """Share of the base that returns each minute."""
    spare: float = 0.0
    """Refusals that are rare enough to be left at their pause."""

    def take_spare(self, requests: int) -> bool:
        """Whether a refusal, so many requests after the one before, is a rare one."""
        self.spare = min(_MOST_SPARE, self.spare + requests / _RARE)
        if self.spare < 1:
            return False
        self.spare -= 1
        return True

    def cut(self, slower: Slower, measured_per_minute: float, now_ns: int) -> None:
        """Slow down; cuts on top of each other grow back slowest."""
        share, growth = self.share_at(now_ns), slower.growth
        if share >= 1:
            self.base_per_minute = max(1.0, measured_per_minute)
            self.growth = growth
        self.share = slower.to * min(1.0, share)
        self.growth = min(self.growth, growth)
        self.cut_ns = now_ns

    def cut_to(
        self, per_minute: float, slower: Slower, measured_per_minute: float, now_ns: int
    ) -> None:
        """Go on at this rate, which grows back like the others."""
        self.cut(slower, measured_per_minute, now_ns)
        self.share = max(1.0, per_minute) / self.base_per_minute

    def lift(self) -> None:
        """Back to where it was: slowing down has helped nobody."""
        self.base_per_minute = 0.0

    def share_at(self, now_ns: int) -> float:
        """Share of the base that may be used; 1 or more: no cut."""
        if not self.base_per_minute:
            return 1.0
        minutes = max(0, now_ns - self.cut_ns) / MINUTE_NS
        return self.share + self.growth * minutes

    def per_minute(self, now_ns: int) -> int | None:
        """Requests a minute that may be sent at most; None: no cut."""
        share = self.share_at(now_ns)
        return None if share >= 1 else max(1, int(self.base_per_minute * share))

    def to_bytes(self) -> bytes:
        """`CUT_BYTES` bytes."""
        return _CUT.pack(*_CUT_VALUES(self))

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Cut":
        """The inverse of `to_bytes`."""
        return cls(*_CUT.unpack_from(stored))
