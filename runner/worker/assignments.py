"""Which item does a caller of this worker take next?

In the order they came; one that failed stands aside until its backoff is over, and
holds up nobody meanwhile.

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
        self._queue: collections.deque[tuple[int, History | Walk]] = collections.deque()
        self._aside: list[_Aside] = []
        self._places = itertools.count()
        self._allowed = self._busy = self._idle = 0

    @property
    def aside(self) -> list[int]:
        """Rows of the items that wait for their backoff to be over."""
        with self._changed:
            return [waiting.row for waiting in self._aside]

    @property
    def callers_missing(self) -> int:
        """Items that nobody is there to take."""
        return len(self._queue) - self._idle

    def others_wait(self) -> bool:
        """Whether an item that failed had better step aside.

        Also where the others are aside themselves: the first of them to be ripe shall
        find a caller that does not wait for this one.
        """
        are_some = bool(self._queue or self._aside)
        return are_some and len(self._aside) < _ASIDE_MOST

    def allow(self, callers: int) -> None:
        """So many may be at work from now on."""
        with self._changed:
            self._allowed = callers
            self._changed.notify_all()

    def put(self, row: int, history: History) -> None:
        """An item to begin."""
        with self._changed:
            self._append(row, history)

    def put_aside(self, row: int, walk: Walk, again_s: float) -> None:
        """An item to go on with, not before that monotonic second."""
        with self._changed:
            aside = _Aside(again_s, next(self._places), row, walk)
            heapq.heappush(self._aside, aside)

    def ripen(self) -> None:
        """Put those whose backoff is over behind the others."""
        if self._aside:
            with self._changed:
                self._ripen()

    def take_back(self, most: int) -> list[int]:
        """Up to so many items that nobody has begun, the last ones first."""
        rows: list[int] = []
        begun: list[tuple[int, History | Walk]] = []
        with self._changed:
            while len(rows) < most and self._queue:
                last = self._queue.pop()
                if isinstance(last[1], Walk):
                    begun.append(last)
                else:
                    rows.append(last[0])
            self._queue.extend(reversed(begun))
        return rows

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
                taken = self._queue.popleft()
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
        return bool(self._queue) and self._busy < self._allowed

    def _ripen(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._aside and self._aside[0].again_s <= now_s:
            ripe = heapq.heappop(self._aside)
            self._append(ripe.row, ripe.walk)

    def _append(self, row: int, begun: History | Walk) -> None:
        self._queue.append((row, begun))
        if self._idle:
            self._changed.notify()
