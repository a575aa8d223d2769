"""How many workers, and how many callers in each, at this moment?

As told; or as the governor finds from what workers say. Its target is shared out
evenly, and a worker that died is replaced by what is left of it.

Floor: the run. Knows slots; starts and sends nothing itself.
"""

import math
from collections.abc import Sequence

from runner.records import JsonObject, Totals
from runner.run_status import Pace
from runner.supervisor.concurrency import Concurrency
from runner.supervisor.governor import Governor, Seen
from runner.supervisor.slot import Slot

_LOOK_S = 0.2
_SHORTEST_S = 0.01
_RECENT_S = 1.0
_MINUTE_S = 60.0
_HURRIED_PER_S = 1_000.0
"""Nothing has to be paced: about what two cores can ask."""


class Staffing:
    """Workers and callers wanted now."""

    def __init__(self, concurrency: Concurrency, now_s: float) -> None:
        self._concurrency = concurrency
        self._governor: Governor | None = None
        if concurrency.first is not None:
            self._governor = Governor(concurrency.first, concurrency.most, now_s)
        self._looked_s = now_s
        self._finished = self._throttled = self._failed = 0
        self._took_s, self._fastest_s = 0.0, math.inf

    @property
    def quarantine(self) -> int:
        """The slot in which suspects are asked alone."""
        return self._concurrency.workers + 1

    @property
    def target(self) -> int:
        """Calls that may be under way now."""
        if self._governor is None:
            return self._concurrency.most
        return self._governor.target

    def heard(self, slot: Slot, load: JsonObject, now_s: float) -> None:
        """A worker told how busy it is, and what has come back there since."""
        passed_s = max(_SHORTEST_S, now_s - slot.heard_s)
        slot.heard_s = now_s
        share = min(1.0, passed_s / _RECENT_S)
        slot.per_s += share * (load["finished"] / passed_s - slot.per_s)
        slot.under_way, slot.waiting = load["under_way"], load["waiting"]
        self._finished += load["finished"]
        self._took_s += load["took_s"]
        self._throttled += load["throttled"]
        self._failed += load["failed"]
        if load["fastest_s"] is not None:
            self._fastest_s = min(self._fastest_s, load["fastest_s"])

    def is_due(self, now_s: float) -> bool:
        """Whether it is time to look again."""
        return self._governor is not None and now_s - self._looked_s >= _LOOK_S

    def look(
        self, slots: Sequence[Slot], per_s: float | None, now_s: float, *, left: int
    ) -> None:
        """Decide anew.

        Args:
            slots: All workers that live.
            per_s: Requests a second that are allowed, see `allowed_per_s`.
            now_s: Monotonic.
            left: Items that nobody has got yet.
        """
        assert self._governor is not None
        self._looked_s = now_s
        self._governor.look(
            Seen(
                now_s=now_s,
                under_way=sum(slot.under_way for slot in slots),
                waiting=sum(slot.waiting for slot in slots),
                finished=self._finished,
                took_s=self._took_s,
                fastest_s=self._fastest_s,
                throttled=self._throttled,
                failed=self._failed,
                per_s=per_s,
                has_more=left > 0,
            )
        )
        self._finished = self._throttled = self._failed = 0
        self._took_s, self._fastest_s = 0.0, math.inf

    def workers(self, items: int) -> int:
        """Workers wanted, where so many items are neither done nor failed."""
        return self._concurrency.workers_for(min(self.target, items), items)

    def most_threads(self) -> int:
        """Callers that a worker may ever have."""
        return self._concurrency.threads

    def share(self, place: int, workers: int, *, holds_items: bool = False) -> int:
        """Callers of the worker in that place (from 0) of so many.

        One at least where it `holds_items`: without any they would never end.
        """
        if self._governor is None:
            return self._concurrency.threads
        even, more = divmod(self.target, workers)
        share = max(even + (place < more), int(holds_items))
        return min(self._concurrency.threads, share)


def allowed_per_s(pace: Pace, totals: Totals) -> float | None:
    """Requests a second that known limits allow; None: none is known.

    A limit of tokens allows as many as the answers so far cost; none, before there
    are any.
    """
    if pace.is_hurried:
        return _HURRIED_PER_S
    allowed = []
    if pace.rpm_limit:
        allowed.append(pace.rpm_limit / _MINUTE_S)
    tokens = totals.input_tokens + totals.output_tokens
    if pace.tpm_limit and tokens:
        allowed.append(pace.tpm_limit / _MINUTE_S * totals.answered / tokens)
    return min(allowed, default=None)
