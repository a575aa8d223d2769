"""Is it the server or one item? Stops everybody while nothing answers.

Counts failures in a row, opens, lets one probe at a time through, and after the
first success ramps the rate up again. It also remembers its latest openings, so
that failures an outage caused are not held against the items.

An outage needs two witnesses: failures in a row of at least two items, or one that
cannot be an item's fault because it never left this machine, or silence while
nobody else was answered. What one item alone is *told* (a 5xx) is that item's
matter. Nor is an item a witness that failed before and saw others answered since:
the sick items at the end of a run are no outage. Nor are a few that the server failed
at in an earlier session, when they are asked again and told the same. A worker gives
its failed item a rest and asks others first, so that in a real outage the second
witness comes at once, with one thread too.

Floor: doors and rules. Pure state and arithmetic in integer nanoseconds. Knows the
window's units.
"""

import struct
from array import array
from dataclasses import dataclass, field
from operator import attrgetter

from runner.limiter.window import SECOND_NS

FORGIVEN_BEFORE_NS = 30 * SECOND_NS
"""Failures this long before an opening belonged to the outage already."""
MOST_IN_A_ROW = 20
FEWEST_IN_A_ROW = 3
_QUICK_PROBE_NS = 5 * SECOND_NS
_QUICK_FOR_NS = 30 * SECOND_NS
_PROBE_NS = 30 * SECOND_NS
_LONGEST_RAMP_NS = 45 * SECOND_NS
_SHORTEST_RAMP_NS = 5 * SECOND_NS
_FIRST_SHARE = 0.1
_LEAST_PER_S = 1.0
"""A tenth of a slow run would be a stop of its own."""
_OPENINGS = 8
"""How many are remembered: an item's call may last longer than an outage."""
NOBODY = -1
_LAYOUT = struct.Struct("<qqqqqqqqqqqqqqqqqd")
BREAKER_BYTES = _LAYOUT.size + 16 * _OPENINGS
_VALUES = attrgetter(
    "streak",
    "again",
    "older",
    "older_answers",
    "sends",
    "first_item",
    "is_mixed",
    "is_unsent",
    "is_silent",
    "streak_ns",
    "answered_ns",
    "opened_ns",
    "next_probe_ns",
    "probe_slot",
    "ramp_from_ns",
    "ramp_for_ns",
    "ramp_tat_ns",
    "rate_before_per_s",
)


def _no_openings() -> "array[int]":
    return array("q", bytes(16 * _OPENINGS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One failure, as a witness."""

    item: int
    """Its number."""
    sent_ns: int
    failed_before_ns: int
    """When the item had failed first, as far as that counts; 0: never."""
    unsent: bool
    """It provably never left."""
    told: bool
    """The server replied, if only with an error."""
    has_failed: bool = False
    """In an earlier session the server failed at the item."""

    @property
    def is_told_again(self) -> bool:
        """A sick item that is still sick, or the server is."""
        return self.has_failed and self.told


@dataclass(slots=True)
class Breaker:
    """One run's view of its server. Flags are 0 or 1: it lives in a cell."""

    streak: int = 0
    """Failures since the last answer to anything sent after the first of them."""
    again: int = 0
    """Of them, items the server failed at in an earlier session, and says so again."""
    older: int = 0
    """Of them, those that were sent before the first one failed."""
    older_answers: int = 0
    """Answers since, to what was sent before the first one failed: each outweighs
    one of those failures, and none of the newer ones."""
    sends: int = 0
    """Requests granted since the first of them, without those known to be in vain."""
    first_item: int = 0
    """Number of the item the streak began with."""
    is_mixed: int = 0
    """The streak holds two items, or a request that never left: not the item."""
    is_unsent: int = 0
    """The latest of them never left this machine."""
    is_silent: int = 0
    """Nobody was told anything in the streak, nor while its first call waited."""
    streak_ns: int = 0
    answered_ns: int = 0
    """When something answered last; 0: never."""
    opened_ns: int = 0
    """0: closed."""
    next_probe_ns: int = 0
    probe_slot: int = NOBODY
    ramp_from_ns: int = 0
    ramp_for_ns: int = 0
    ramp_tat_ns: int = 0
    rate_before_per_s: float = 0.0
    openings: "array[int]" = field(default_factory=_no_openings)
    """Pairs (forgiven from, closed at; 0: still open), newest first."""

    @property
    def is_open(self) -> bool:
        """Nobody sends but a probe."""
        return self.opened_ns > 0

    @property
    def is_troubled(self) -> bool:
        """Failures in a row, or an outage: an answer would end it."""
        return self.is_open or self.streak > 0

    def is_alone(self, item: int) -> bool:
        """Whether only this item has failed since the last answer."""
        return self.streak > 0 and not self.is_mixed and self.first_item == item

    def failed(
        self, what: Failed, *, in_flight: int, per_s: float, now_ns: int
    ) -> None:
        """Note a failure of transport or server.

        Args:
            what: whose it is, and what is known of it.
            in_flight: requests of the whole run under way, this one included.
            per_s: the run's measured rate, to ramp up to afterwards.
            now_ns: the moment.
        """
        if self._says_nothing_new(what):
            # No witness against the server, nor one that might still be answered.
            self.sends -= int(self.streak > 0 and what.sent_ns >= self.streak_ns)
            return
        self._count(what, now_ns)
        if self.is_open:
            self._look_again(now_ns)
        elif self._is_outage(in_flight):
            self.opened_ns, self.rate_before_per_s = now_ns, per_s
            self._remember()

    def _says_nothing_new(self, what: Failed) -> bool:
        """Whether it is an item that failed before the streak, and failed again.

        One that the server failed at in an earlier session is heard once.
        """
        is_older = not self.streak or what.failed_before_ns < self.streak_ns
        is_known = what.failed_before_ns > 0 and (is_older or what.is_told_again)
        return is_known and not (what.unsent or self.is_open)

    def _count(self, what: Failed, now_ns: int) -> None:
        """One more in a row, or the first of a new one."""
        if not self.streak:
            self.first_item, self.is_mixed = what.item, 0
            self.is_silent = int(self.answered_ns < what.sent_ns)
            self.streak_ns = now_ns
            self.sends = self.again = self.older = self.older_answers = 0
        self.streak += 1
        self.again += int(what.is_told_again)
        self.older += int(what.sent_ns < self.streak_ns)
        self.is_unsent = int(what.unsent)
        self.is_silent &= int(not what.told)
        self.is_mixed |= int(what.unsent or what.item != self.first_item)

    def _is_outage(self, in_flight: int) -> bool:
        """Whether the streak is more than a sick item, or a moment's trouble."""
        enough = min(MOST_IN_A_ROW, max(FEWEST_IN_A_ROW, in_flight))
        # Where answers take long and refusals none, most of those sent since may
        # still be answered.
        are_most = 2 * self.streak >= self.sends
        # A pause lets the calls under way run out: the odd one fails, and no newer
        # one is there to end the streak.
        counted = self.streak - min(self.older, self.older_answers)
        is_anywhere = bool(self.is_mixed or self.is_silent)
        # A few that failed before fail again. Many, after others were answered, do not.
        are_many = counted >= MOST_IN_A_ROW and self.answered_ns > 0
        are_enough = counted - self.again >= enough or are_many
        return are_enough and are_most and is_anywhere

    def plan_probe(self, now_ns: int, draw: float) -> None:
        """Set the next probe's moment; `draw` is uniform in [0, 1).

        No doubling: after an hour's outage nobody wants to wait another one. While
        nothing leaves this machine a probe costs nothing, so a short blip is asked
        about soon, also one that began by cutting off what was under way.
        """
        self.probe_slot = NOBODY
        is_blip = self.is_unsent and now_ns - self.streak_ns < _QUICK_FOR_NS
        wait_ns = _QUICK_PROBE_NS if is_blip else int(_PROBE_NS * (1 + draw))
        self.next_probe_ns = now_ns + wait_ns

    def take_probe(self, slot: int) -> None:
        """Let this slot find out; nobody else until its result is known."""
        self.probe_slot = slot

    def drop_probe(self, now_ns: int) -> None:
        """The probe never came to a result: anybody may take the next at once."""
        self.probe_slot = NOBODY
        self.next_probe_ns = now_ns

    def granted(self) -> None:
        """Count one more request that will show how things are now."""
        self.sends += int(self.streak > 0)

    def succeeded(self, *, is_probe: bool, sent_ns: int, now_ns: int) -> None:
        """Note that the server answered what was sent at `sent_ns`.

        Answers to what was sent before the trouble began say nothing about now: they
        end no streak. While open only the probe closes.
        """
        if self.is_open:
            if not is_probe:
                return
            lasted_ns = now_ns - self.opened_ns
            self.ramp_from_ns = self.ramp_tat_ns = now_ns
            self.ramp_for_ns = min(_LONGEST_RAMP_NS, max(_SHORTEST_RAMP_NS, lasted_ns))
            self._close(now_ns)
            self.streak = 0
        elif sent_ns >= self.streak_ns:
            self.streak = 0
        else:
            self.older_answers += 1
        self.is_silent = 0
        self.answered_ns = now_ns

    def ramp_due_ns(self, now_ns: int) -> int:
        """Earliest moment the ramp after an outage allows."""
        ends_ns = self.ramp_from_ns + self.ramp_for_ns
        return (
            now_ns if now_ns >= ends_ns else max(now_ns, min(self.ramp_tat_ns, ends_ns))
        )

    def ramp_charge(self, due_ns: int) -> None:
        """Count one grant of the ramp."""
        passed_ns = due_ns - self.ramp_from_ns
        if passed_ns >= self.ramp_for_ns:
            return
        share = _FIRST_SHARE + (1 - _FIRST_SHARE) * max(0, passed_ns) / self.ramp_for_ns
        per_s = max(_LEAST_PER_S, self.rate_before_per_s * share)
        self.ramp_tat_ns = max(self.ramp_tat_ns, due_ns) + int(SECOND_NS / per_s)

    def forgives(self, moment_ns: int) -> bool:
        """Whether a failure at that moment was the outage's, not the item's."""
        pairs = zip(self.openings[::2], self.openings[1::2], strict=True)
        return any(
            from_ns and from_ns <= moment_ns and (not until_ns or moment_ns <= until_ns)
            for from_ns, until_ns in pairs
        )

    def _look_again(self, now_ns: int) -> None:
        """One item's silence was an outage until that item is told something."""
        if not (self.is_mixed or self.is_silent):
            self._close(now_ns)

    def _close(self, now_ns: int) -> None:
        self.openings[1] = now_ns
        self.opened_ns, self.probe_slot = 0, NOBODY

    def _remember(self) -> None:
        """Forgive from now on, and what failed shortly before or in this streak."""
        from_ns = max(1, min(self.streak_ns, self.opened_ns - FORGIVEN_BEFORE_NS))
        self.openings = array("q", [from_ns, 0]) + self.openings[:-2]

    def to_bytes(self) -> bytes:
        """`BREAKER_BYTES` bytes."""
        return _LAYOUT.pack(*_VALUES(self)) + self.openings.tobytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Breaker":
        """The inverse of `to_bytes`."""
        openings: array[int] = array("q")
        openings.frombytes(stored[_LAYOUT.size : BREAKER_BYTES])
        return cls(*[*_LAYOUT.unpack_from(stored), openings])
