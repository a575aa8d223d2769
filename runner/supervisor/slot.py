"""One worker, as its supervisor sees it.

Floor: the run.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from runner.itemfile import ItemIndex
from runner.records import Totals
from runner.run_status import SlowItem

_SLOWEST_SHOWN = 3
_AHEAD_S = 0.3
"""News and orders take two ticks of each side."""


@dataclass(slots=True)
class Slot:
    """One worker, as its supervisor sees it."""

    number: int
    threads: int
    """Callers it may have now."""
    totals: Totals
    assigned: set[int] = field(default_factory=set)
    slowest: tuple[SlowItem, ...] = ()
    blocked_by: str | None = None
    """Who or what it waits for, in words: another process, the user's own code."""
    under_way: int = 0
    """Calls, from permit to recorded reply; as it says."""
    waiting: int = 0
    """Callers that wait for a permit."""
    aside: set[int] = field(default_factory=set)
    """Those assigned that failed and wait for their next try: they occupy no caller,
    and no code runs that could kill."""
    is_asked_back: bool = False
    """It was told to give items back, and has said nothing since."""
    per_s: float = 0.0
    """Calls it finishes in a second, of late."""
    heard_s: float = 0.0
    """When it spoke last."""
    is_ready: bool = False
    is_alive: bool = True
    silent_s: float = 0.0
    recorded: int = 0
    restart_at_s: float = 0.0
    failed_starts: int = 0
    _at_rest: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._at_rest = held_by_none(self.totals)

    @property
    def in_flight(self) -> int:
        """Requests under way, by the same totals as everything else.

        What is begun is open; asked again, an unresolved one moves from open to
        lost. So both together change only with what is in flight.
        """
        return held_by_none(self.totals) - self._at_rest

    def rest(self, totals: Totals) -> None:
        """Its process is gone, and this is what it left on disk."""
        self.totals = totals
        self._at_rest = held_by_none(totals)

    @property
    def room(self) -> int:
        """Items it may get: no thread should wait for work, and little be lost."""
        if not self.threads:
            return 0
        spare = max(2, self.threads // 4, math.ceil(self.per_s * _AHEAD_S))
        return max(0, self.threads + spare - self._at_hand)

    @property
    def idle(self) -> int:
        """Callers without an item."""
        return max(0, self.threads - self._at_hand)

    @property
    def queued(self) -> int:
        """Items that no caller has begun."""
        return max(0, self._at_hand - self.threads)

    @property
    def _at_hand(self) -> int:
        return len(self.assigned - self.aside)


def held_by_none(totals: Totals) -> int:
    """Attempts open or lost: while no process is at work, nobody's any more."""
    return totals.open + totals.lost


def slowest_of(slots: Iterable[Slot], index: ItemIndex) -> tuple[SlowItem, ...]:
    """The oldest calls in flight of all workers, each with the line of its item."""
    everywhere = [item for slot in slots for item in slot.slowest]
    oldest = sorted(everywhere, key=lambda item: -item.age_s)[:_SLOWEST_SHOWN]
    return tuple(replace(item, line=_line_of(item, index)) for item in oldest)


def _line_of(item: SlowItem, index: ItemIndex) -> int | None:
    row = index.row_of_number(item.number)
    return None if row is None else index.line(row)
