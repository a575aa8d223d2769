"""Which item does a caller of this worker take next?

In the order they came. One that failed stands aside until its backoff is over, holds
up nobody meanwhile, and then takes turns with those nobody has begun: where all that
failed before fail again, a new one tells whether it is the server or they.

Floor: the work.
"""

import collections
import heapq
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.checkpoint.history import History
from runner.clock import Clock
from runner.worker.walk import Walk

_ASIDE_MOST = 1_000
"""Each keeps its request in memory. Beyond, backoffs occupy callers."""


@dataclass(frozen=True, slots=True, order=True)
class _Aside:
    again_s: float
    place: int
    row: int = field(compare=False)
    walk: Walk = field(compare=False)


class Assignments:
    """Filled by the main thread and by callers, emptied by callers."""

    def __init__(self, stop: threading.Event, clock: Clock) -> None:
        """`stop`: nothing is taken any more; whoever sets it wakes the callers."""
        self._stop = stop
        self._clock = clock
        self._changed = threading.Condition()
        self._fresh: collections.deque[tuple[int, History | Walk]] = collections.deque()
        self._ripe: collections.deque[tuple[int, History | Walk]] = collections.deque()
        self._is_fresh_next = True
        self._aside: list[_Aside] = []
        self._places = itertools.count()
        self._allowed = self._busy = self._idle = 0

    @property
    def aside(self) -> list[int]:
        """Rows of the items that failed and wait for their backoff or a caller."""
        with self._changed:
            ripe = [row for row, _ in self._ripe]
            return ripe + [waiting.row for waiting in self._aside]

    @property
    def callers_missing(self) -> int:
        """Items that nobody is there to take."""
        return len(self._fresh) + len(self._ripe) - self._idle

    def others_wait(self) -> bool:
        """Whether an item that failed had better step aside.

        Also where the others are aside themselves: the first of them to be ripe shall
        find a caller that does not wait for this one.
        """
        are_some = bool(self._fresh or self._ripe or self._aside)
        return are_some and len(self._ripe) + len(self._aside) < _ASIDE_MOST

    def allow(self, callers: int) -> None:
        """So many may be at work from now on."""
        with self._changed:
            self._allowed = callers
            self._changed.notify_all()

    def put(self, row: int, history: History) -> None:
        """An item to begin."""
        with self._changed:
            self._fresh.append((row, history))
            self._call()

    def put_aside(self, row: int, walk: Walk, again_s: float) -> None:
        """An item to go on with, not before that monotonic second."""
        with self._changed:
            aside = _Aside(again_s, next(self._places), row, walk)
            heapq.heappush(self._aside, aside)

    def ripen(self) -> None:
        """Have callers take those whose backoff is over."""
        if self._aside:
            with self._changed:
                self._ripen()

    def take_back(self, most: int) -> list[int]:
        """Up to so many items that nobody has begun, the last ones first."""
        with self._changed:
            return [self._fresh.pop()[0] for _ in range(min(most, len(self._fresh)))]

    def wake(self) -> None:
        """Have all callers look whether they are to stop."""
        with self._changed:
            self._changed.notify_all()

    def __iter__(self) -> Iterator[tuple[int, History | Walk]]:
        """One caller's share: waits for each next one; ends at `stop`."""
        while True:
            with self._changed:
                self._wait_for_one()
                if self._stop.is_set():
                    return
                taken = self._take()
                self._busy += 1
            try:
                yield taken
            finally:
                with self._changed:
                    self._busy -= 1

    def _wait_for_one(self) -> None:
        self._idle += 1
        while not (self._may_take() or self._stop.is_set()):
            self._changed.wait()
        self._idle -= 1

    def _may_take(self) -> bool:
        self._ripen()
        return bool(self._fresh or self._ripe) and self._busy < self._allowed

    def _take(self) -> tuple[int, History | Walk]:
        if self._is_fresh_next:
            queue = self._fresh or self._ripe
        else:
            queue = self._ripe or self._fresh
        self._is_fresh_next = queue is self._ripe
        return queue.popleft()

    def _ripen(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._aside and self._aside[0].again_s <= now_s:
            ripe = heapq.heappop(self._aside)
            self._ripe.append((ripe.row, ripe.walk))
            self._call()

    def _call(self) -> None:
        if self._idle:
            self._changed.notify()
