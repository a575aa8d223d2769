"""When may the next request go? GCRA: time in, moment out; no lock, no sleep.

A bucket keeps one moment, `tat` (theoretical arrival time): each grant moves it
on by what it costs, and nothing may go earlier than `tat` less the tolerance.
It cannot save up: a bucket idle for an hour (SIGSTOP, suspend) holds one burst. Only
what was charged too much comes back, a second of it at most.

Floor: doors and rules. Pure arithmetic in integer nanoseconds. Knows the window.
"""

import struct
from dataclasses import dataclass, field, replace
from operator import attrgetter

from runner.limiter.permits import Charge
from runner.limiter.window import REACH_NS, RING_BYTES, SECOND_NS, WINDOW_NS, Window

_LAYOUT = struct.Struct("<qqqqqqqq")
_VALUES = attrgetter(
    "limit",
    "learned_ns",
    "tat_ns",
    "credit_ns",
    "others",
    "others_ns",
    "claimed",
    "claimed_ns",
)
BUCKET_BYTES = _LAYOUT.size + RING_BYTES
_CLAIM_GRACE_NS = SECOND_NS
_MOST_CREDIT_NS = SECOND_NS
_LARGE_SHARE = 0.05
"""Of a limit: below, a gap for it turns up soon enough by itself."""
_LEAST_SHARE = 0.05
"""Of a limit is left to us, however much others use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """How far apart grants of a limit must stand."""

    per_reach: int
    """Amount that may pass in `REACH_NS`."""
    tolerance_ns: int
    """How far ahead of its turn a grant may come: the burst."""
    ceiling: int | None
    """What one window may hold, where amounts differ in size."""

    def cost_ns(self, amount: int) -> int:
        """Time that `amount` takes up, rounded up."""
        return -(-amount * REACH_NS // self.per_reach)

    def slowed_to(self, per_minute: int) -> "Spacing":
        """Wider, never narrower; the tolerance stays that of the full rate."""
        return replace(self, per_reach=min(self.per_reach, max(1, per_minute)))


def request_spacing(limit: int) -> Spacing:
    """Spacing that lets at most `limit` requests into any 60 s at the server.

    With a burst of B, n grants in a half-open span shorter than `REACH_NS` obey
    (n - B) x interval < REACH_NS; an interval of REACH_NS / (limit - (B - 1)) makes
    that n <= limit. B = 1 + 0.3 % of the limit costs nothing noticeable and lets
    several threads go at once where a minute has thousands of turns.
    """
    burst_less_one = limit * 3 // 1000
    spacing = Spacing(per_reach=limit - burst_less_one, tolerance_ns=0, ceiling=None)
    return replace(spacing, tolerance_ns=burst_less_one * spacing.cost_ns(1))


def token_spacing(limit: int) -> Spacing:
    """Spacing of token charges: smooth by GCRA, never above `limit` by the window.

    GCRA alone lets one charge too many into a window, which is nothing for a
    thousandth of the limit and everything for half of it: hence the ceiling.
    """
    return Spacing(per_reach=limit, tolerance_ns=REACH_NS * 3 // 1000, ceiling=limit)


def at_even_rate(careful: Spacing, limit: int) -> Spacing:
    """Spacing at the very rate of a limit that refills evenly, whatever a minute holds.

    A thousandth less, so that two clocks that differ never add up to a refusal.
    """
    per_reach = limit * 999 * REACH_NS // (1000 * WINDOW_NS)
    per_reach = max(per_reach, careful.per_reach)
    return replace(careful, per_reach=per_reach, ceiling=None)


@dataclass(slots=True)
class Bucket:
    """What one limit has granted. A working copy of bytes in a cell."""

    limit: int = 0
    """Per minute; 0: unknown, so everything passes and is only counted."""
    learned_ns: int = 0
    tat_ns: int = 0
    credit_ns: int = 0
    """Time that came back too late to move `tat`: the next grants cost less by it."""
    others: int = 0
    """What somebody else used up of the limit in the minute before `others_ns`."""
    others_ns: int = 0
    claimed: int = 0
    """A request of this size waits for the window to empty until `claimed_ns`."""
    claimed_ns: int = 0
    window: Window = field(default_factory=Window)

    def due_ns(self, amount: int, spacing: Spacing | None, now_ns: int) -> int:
        """Earliest moment at which `amount` may go."""
        if spacing is None:
            return now_ns
        due_ns = max(now_ns, self.tat_ns - spacing.tolerance_ns)
        if amount < self.claimed and now_ns < self.claimed_ns + _CLAIM_GRACE_NS:
            due_ns = max(due_ns, self.claimed_ns + _CLAIM_GRACE_NS)
        if spacing.ceiling is None:
            return due_ns
        return self.window.free_ns(amount, spacing.ceiling, due_ns)

    def room_ns(self, amount: int, spacing: Spacing | None, now_ns: int) -> int:
        """Earliest moment at which a window has room for it, evenly paced or not."""
        if spacing is None:
            return now_ns
        return self.window.free_ns(amount, self.own_limit(now_ns), now_ns)

    def charge(self, amount: int, spacing: Spacing | None, due_ns: int) -> Charge:
        """Take `amount` at its moment."""
        before_ns = self.tat_ns
        if spacing is not None:
            cost_ns = spacing.cost_ns(amount)
            free_ns = min(self.credit_ns, cost_ns)
            self.credit_ns -= free_ns
            self.tat_ns = max(before_ns, due_ns) + cost_ns - free_ns
        self.window.add(amount, due_ns)
        if amount >= self.claimed:
            self.claimed = 0
        return Charge(amount=amount, tat_before_ns=before_ns, tat_after_ns=self.tat_ns)

    def take_back(self, charge: Charge, due_ns: int) -> None:
        """Undo a charge whose request was not sent.

        The turn itself comes back only while no later one was taken: moving `tat`
        back under a later grant would let a burst through.
        """
        if self.tat_ns == charge.tat_after_ns:
            self.tat_ns = charge.tat_before_ns
        self.window.add(-charge.amount, due_ns)

    def claim(self, amount: int, spacing: Spacing, now_ns: int) -> bool:
        """Let smaller ones wait too while the window empties for a large one.

        Returns whether that changed anything.

        They would otherwise fill every gap, and it would never be sent. The claim
        ends with the grant, or a second after the room was there.
        """
        if spacing.ceiling is None or amount < _LARGE_SHARE * spacing.ceiling:
            return False
        free_ns = self.window.free_ns(amount, spacing.ceiling, now_ns)
        is_over = now_ns >= self.claimed_ns + _CLAIM_GRACE_NS
        mine = amount, free_ns
        if free_ns <= now_ns or not (amount >= self.claimed or is_over):
            return False
        is_other = mine != (self.claimed, self.claimed_ns)
        self.claimed, self.claimed_ns = mine
        return is_other

    def make_way(self, others: int, now_ns: int) -> None:
        """Leave to others what they use: see `own_limit`."""
        self.others, self.others_ns = others, now_ns

    def own_limit(self, now_ns: int) -> int:
        """The limit, less what others were last seen to use within a minute."""
        if not self.others or now_ns - self.others_ns > WINDOW_NS:
            return self.limit
        return max(1, int(self.limit * _LEAST_SHARE), self.limit - self.others)

    def refund(self, amount: int, spacing: Spacing | None, at: tuple[int, int]) -> None:
        """Return part of a charge; `at`: when it was granted, and now (ns)."""
        granted_ns, now_ns = at
        if spacing is not None:
            cost_ns = spacing.cost_ns(amount)
            back_ns = min(cost_ns, max(0, self.tat_ns - now_ns))
            self.tat_ns -= back_ns
            credit_ns = self.credit_ns + cost_ns - back_ns
            self.credit_ns = min(_MOST_CREDIT_NS, credit_ns)
        self.window.add(-amount, granted_ns)

    def set_limit(self, limit: int, spacing: Spacing | None, now_ns: int) -> None:
        """Work with this limit from now on, past grants included."""
        if spacing is not None and limit != self.limit:
            replayed_ns = self.window.replayed_ns(spacing.cost_ns)
            raised = 0 < self.limit < limit
            self.tat_ns = min(self.tat_ns, replayed_ns) if raised else replayed_ns
        if limit != self.limit:
            self.limit, self.learned_ns = limit, now_ns

    def mend(self, now_ns: int) -> None:
        """Bound what a clock that ran ahead can have written."""
        self.tat_ns = min(self.tat_ns, now_ns + 2 * REACH_NS)
        self.credit_ns = min(self.credit_ns, _MOST_CREDIT_NS)
        self.claimed_ns = min(self.claimed_ns, now_ns + 2 * REACH_NS)
        self.others_ns = min(self.others_ns, now_ns)
        self.window.mend(now_ns)

    def to_bytes(self) -> bytes:
        """`BUCKET_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self)) + self.window.to_bytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Bucket":
        """The inverse of `to_bytes`."""
        window = Window.from_bytes(stored[_LAYOUT.size :])
        return cls(*[*_LAYOUT.unpack_from(stored), window])
