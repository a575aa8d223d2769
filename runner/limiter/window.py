"""How much has been granted lately: a ring of half-second slices.

Answers what a strict 60 s window at the server may hold of ours, for amounts of
any size. A grant counts until it can share no window with a new one, and its
slice counts whole: at most half a second (0.8 %) too careful.

Floor: doors and rules. Pure arithmetic in integer nanoseconds. Knows nobody.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass

SECOND_NS = 1_000_000_000
WINDOW_NS = 60 * SECOND_NS
JITTER_NS = SECOND_NS // 4
"""How much longer than another a request may take from its grant to the server."""
REACH_NS = WINDOW_NS + JITTER_NS
"""Grants closer together than this may arrive within the same window."""
SLICE_NS = SECOND_NS // 2
SLICES = 128
"""64 s: the reach, plus room for grants made a little ahead of time."""
AHEAD_SLICES = 4
"""A head further ahead of the clock than this is nonsense, not a grant ahead."""
RING_BYTES = 8 * (SLICES + 1)


_EMPTY = bytes(8 * SLICES)


@dataclass(slots=True)
class Window:
    """Amounts granted, by slice; `head` is the newest slice's index."""

    head: int = 0
    _stored: bytes = _EMPTY
    """The slices as last stored: most looks at a cell never need them apart."""
    _opened: "array[int] | None" = None

    @property
    def counts(self) -> "array[int]":
        """Slice `i` is at `i % SLICES`."""
        if self._opened is None:
            self._opened = array("q", self._stored)
        return self._opened

    def add(self, amount: int, at_ns: int) -> None:
        """Count `amount` at its moment (negative: take it back)."""
        index = at_ns // SLICE_NS
        self._advance(index)
        if index > self.head - SLICES:
            place = index % SLICES
            # Never below zero: the slice may have been merged or cleared since.
            self.counts[place] = max(0, self.counts[place] + amount)

    def total(self, at_ns: int) -> int:
        """Sum that may share a window with a grant at `at_ns`."""
        oldest = max((at_ns - REACH_NS) // SLICE_NS, self.head - SLICES + 1)
        if self.head < oldest:
            return 0
        counts, first, last = self.counts, oldest % SLICES, self.head % SLICES
        if first <= last:
            return sum(counts[first : last + 1])
        return sum(counts[first:]) + sum(counts[: last + 1])

    def free_ns(self, amount: int, ceiling: int, at_ns: int) -> int:
        """Earliest moment, not before `at_ns`, at which `amount` more fits."""
        over = self.total(at_ns) + amount - ceiling
        if over <= 0:
            return at_ns
        oldest = max((at_ns - REACH_NS) // SLICE_NS, self.head - SLICES + 1)
        for index in range(oldest, self.head + 1):
            over -= self.counts[index % SLICES]
            if over <= 0:
                return (index + 1) * SLICE_NS + REACH_NS
        # More than the ceiling: nothing is better than an empty window.
        return max(at_ns, (self.head + 1) * SLICE_NS + REACH_NS)

    def replayed_ns(self, cost_ns: Callable[[int], int]) -> int:
        """The GCRA clock as if everything here had been paced by `cost_ns`."""
        tat_ns = 0
        for index in range(max(0, self.head - SLICES + 1), self.head + 1):
            amount = self.counts[index % SLICES]
            if amount:
                # The slice's end: its grants were made no later than that.
                tat_ns = max(tat_ns, (index + 1) * SLICE_NS) + cost_ns(amount)
        return tat_ns

    def per_minute(self, at_ns: int, since_ns: int = 0) -> float:
        """Measured rate over the last minute, or since the first grant in it.

        `since_ns`: the end of a pause, which would otherwise be measured as well.
        """
        oldest = max(at_ns - WINDOW_NS, since_ns) // SLICE_NS
        oldest = max(oldest, self.head - SLICES + 1)
        amount, first = 0, self.head
        for index in range(self.head, oldest - 1, -1):
            if self.counts[index % SLICES]:
                amount += self.counts[index % SLICES]
                first = index
        span_ns = min(WINDOW_NS, max(SECOND_NS, at_ns - first * SLICE_NS))
        return amount * WINDOW_NS / span_ns

    def since(self, from_ns: int) -> int:
        """Sum granted from that moment on, as far as it is remembered."""
        oldest = max(from_ns // SLICE_NS, self.head - SLICES + 1)
        return sum(self.counts[i % SLICES] for i in range(oldest, self.head + 1))

    def mend(self, now_ns: int) -> None:
        """Bring a head from a clock that ran ahead back to now, losing nothing."""
        index = now_ns // SLICE_NS
        if self.head > index + AHEAD_SLICES:
            everything = sum(self.counts)
            self.head, self._opened = index, array("q", _EMPTY)
            self.counts[index % SLICES] = everything

    def to_bytes(self) -> bytes:
        """`RING_BYTES` bytes."""
        stored = self._stored if self._opened is None else self._opened.tobytes()
        return self.head.to_bytes(8, "little") + stored

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Window":
        """The inverse of `to_bytes`."""
        return cls(int.from_bytes(stored[:8], "little"), stored[8:RING_BYTES])

    def _advance(self, index: int) -> None:
        if index - self.head >= SLICES:
            self._opened = array("q", _EMPTY)
        else:
            for passed in range(self.head + 1, index + 1):
                self.counts[passed % SLICES] = 0
        self.head = max(self.head, index)
