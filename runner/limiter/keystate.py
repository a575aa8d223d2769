"""What is known of one key: its limits, its pauses, what was granted on it.

A working copy of the key cell's bytes: read under the lock, changed, written back.

Floor: doors and rules. State only; the rules are in `admission`, `settling` and
`learning`.
"""

import struct
from dataclasses import dataclass, field
from functools import lru_cache

from runner.limiter.belief import BELIEF_BYTES, Belief
from runner.limiter.cause import CAUSE_BYTES, Cause
from runner.limiter.cell import Stored
from runner.limiter.daily import DAY_BYTES, Day
from runner.limiter.pacing import (
    BUCKET_BYTES,
    Bucket,
    Spacing,
    at_even_rate,
    request_spacing,
    token_spacing,
)
from runner.limiter.refill import REFILL_BYTES, Refill
from runner.limiter.throttle import CUT_BYTES, PAUSE_BYTES, Cut, Pause
from runner.limiter.window import REACH_NS

_PAUSE_AT = 2 * BUCKET_BYTES
_NUMBER = struct.Struct("<q")


@lru_cache(maxsize=16)
def request_spacing_of(limit: int, *, is_even: bool = False) -> Spacing:
    """How requests must stand apart; `is_even`: it refills evenly, see `refill`."""
    careful = request_spacing(limit)
    return at_even_rate(careful, limit) if is_even else careful


@lru_cache(maxsize=16)
def token_spacing_of(limit: int, *, is_even: bool = False) -> Spacing:
    """How tokens must stand apart, likewise."""
    careful = token_spacing(limit)
    return at_even_rate(careful, limit) if is_even else careful


def starts_ns(stored: Stored, now_ns: int) -> int:
    """When a limit may first be used, given how its cell was found.

    Unreadable: a whole minute may have been spent this moment, so wait for one
    window. From another boot: whatever was granted lies before this boot, where
    the monotonic clock begins at zero.
    """
    if stored.payload is None:
        return now_ns + REACH_NS
    return 0 if stored.is_this_boot or not stored.payload else REACH_NS


@dataclass(slots=True)
class KeyState:
    """The key's cell, taken apart."""

    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)
    pause: Pause = field(default_factory=Pause)
    cut: Cut = field(default_factory=Cut)
    day: Day = field(default_factory=Day)
    request_refill: Refill = field(default_factory=Refill)
    token_refill: Refill = field(default_factory=Refill)
    request_belief: Belief = field(default_factory=Belief)
    token_belief: Belief = field(default_factory=Belief)
    cause: Cause = field(default_factory=Cause)
    starts_ns: int = 0
    """No limit may be used before; see `starts_ns()`."""

    def request_spacing(self, now_ns: int) -> Spacing | None:
        """How requests must stand apart now; None: nothing is known."""
        at_most = self.cut.per_minute(now_ns)
        if self.requests.limit:
            limit = self.requests.own_limit(now_ns)
            spacing = request_spacing_of(limit, is_even=self.request_refill.is_even)
            return spacing if at_most is None else spacing.slowed_to(at_most)
        if at_most is None:
            return None
        return Spacing(per_reach=at_most, tolerance_ns=0, ceiling=None)

    def token_spacing(self, now_ns: int) -> Spacing | None:
        """How tokens must stand apart now; None: nothing is known."""
        if not self.tokens.limit:
            return None
        limit = self.tokens.own_limit(now_ns)
        return token_spacing_of(limit, is_even=self.token_refill.is_even)

    def doubt(self, now_ns: int) -> None:
        """Note, for each limit, that an answer of this moment does not show it."""
        for belief in (self.request_belief, self.token_belief):
            if belief.shown_ns != now_ns:
                belief.not_shown(now_ns)
        self.let_go(now_ns)

    def let_go(self, now_ns: int) -> None:
        """Forget limits that nothing speaks for any more."""
        if self.requests.limit and self.request_belief.is_over(now_ns):
            self.requests.set_limit(0, None, now_ns)
            self.request_refill = Refill()
        if self.tokens.limit and self.token_belief.is_over(now_ns):
            self.tokens.set_limit(0, None, now_ns)
            self.token_refill = Refill()

    def is_too_large(self, tokens: int, now_ns: int) -> bool:
        """Whether the server has refused as much at once, and still would."""
        is_more = 0 < self.tokens.limit < tokens
        return is_more and self.token_belief.refuses(tokens, now_ns)

    def to_bytes(self) -> bytes:
        """The inverse of `load`."""
        return b"".join(
            (
                self.requests.to_bytes(),
                self.tokens.to_bytes(),
                self.pause.to_bytes(),
                self.cut.to_bytes(),
                self.day.to_bytes(),
                self.request_refill.to_bytes(),
                self.token_refill.to_bytes(),
                self.request_belief.to_bytes(),
                self.token_belief.to_bytes(),
                self.cause.to_bytes(),
                _NUMBER.pack(self.starts_ns),
            )
        )

    @classmethod
    def load(cls, stored: Stored, now_ns: int) -> "KeyState":
        """What the cell says; limits outlive a boot, moments do not."""
        if not stored.payload:
            return cls(starts_ns=starts_ns(stored, now_ns))
        state = cls._from_bytes(stored.payload)
        if not stored.is_this_boot:
            return cls(
                requests=Bucket(limit=state.requests.limit),
                tokens=Bucket(limit=state.tokens.limit),
                day=Day(requests=state.day.requests, tokens=state.day.tokens),
                starts_ns=starts_ns(stored, now_ns),
            )
        state.mend(now_ns)
        return state

    @classmethod
    def pause_in(cls, stored: Stored, now_ns: int) -> Pause:
        """Only the pause: all that is asked just before each send."""
        if not stored.payload or not stored.is_this_boot:
            return cls.load(stored, now_ns).pause
        pause = Pause.from_bytes(stored.payload[_PAUSE_AT:])
        pause.mend(now_ns)
        return pause

    @classmethod
    def _from_bytes(cls, stored: bytes) -> "KeyState":
        pause = _PAUSE_AT
        cut = pause + PAUSE_BYTES
        day = cut + CUT_BYTES
        request_refill = day + DAY_BYTES
        token_refill = request_refill + REFILL_BYTES
        request_belief = token_refill + REFILL_BYTES
        token_belief = request_belief + BELIEF_BYTES
        cause = token_belief + BELIEF_BYTES
        number = cause + CAUSE_BYTES
        return cls(
            requests=Bucket.from_bytes(stored[:BUCKET_BYTES]),
            tokens=Bucket.from_bytes(stored[BUCKET_BYTES:pause]),
            pause=Pause.from_bytes(stored[pause:cut]),
            cut=Cut.from_bytes(stored[cut:day]),
            day=Day.from_bytes(stored[day:request_refill]),
            request_refill=Refill.from_bytes(stored[request_refill:]),
            token_refill=Refill.from_bytes(stored[token_refill:]),
            request_belief=Belief.from_bytes(stored[request_belief:]),
            token_belief=Belief.from_bytes(stored[token_belief:]),
            cause=Cause.from_bytes(stored[cause:]),
            starts_ns=_NUMBER.unpack_from(stored, number)[0],
        )

    def mend(self, now_ns: int) -> None:
        """Bound what a clock ahead of this one can have written."""
        self.requests.mend(now_ns)
        self.tokens.mend(now_ns)
        self.pause.mend(now_ns)
        self.day.mend(now_ns)
        self.request_belief.mend(now_ns)
        self.token_belief.mend(now_ns)
        self.cause.mend(now_ns)
        self.starts_ns = min(self.starts_ns, now_ns + REACH_NS)
        self.let_go(now_ns)
