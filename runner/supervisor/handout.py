"""Who gets which items, and when does somebody give some back?

Workers get what their callers need and a little more. Near the end nobody keeps a
queue beside idle callers: what no caller has begun comes back and goes to those.

Floor: the run. Knows engines only by their protocol.
"""

import math
from collections.abc import Sequence

from runner.protocols import Engine
from runner.supervisor.backlog import Assignment, Backlog
from runner.supervisor.slot import Slot


class Handout:
    """Orders to workers: items, callers allowed, items wanted back."""

    def __init__(self, backlog: Backlog, engine: Engine) -> None:
        self._backlog = backlog
        self._engine = engine

    def allow(self, slot: Slot, threads: int) -> None:
        """So many callers may be at work there from now on."""
        if threads != slot.threads:
            slot.threads = threads
            self._engine.send(slot.number, {"do": "allow", "threads": threads})

    def hand_out(self, workers: Sequence[Slot], wanted: int) -> None:
        """Give up to so many items to those who have room; or even out."""
        is_end = len(self._backlog) <= sum(slot.idle for slot in workers)
        # The last ones go where a caller waits for them.
        takers = [slot for slot in workers if slot.idle] if is_end else workers
        for place, slot in enumerate(takers):
            room = slot.idle if is_end else slot.room
            fair = math.ceil(len(self._backlog) / (len(takers) - place))
            taken = self._backlog.take(max(0, min(room, fair, wanted)))
            wanted -= len(taken)
            self.give(slot, taken)
        if not len(self._backlog):
            self._even_out(workers)

    def give(self, slot: Slot, assignments: Sequence[Assignment]) -> None:
        """Have these worked on there."""
        if not assignments:
            return
        slot.assigned.update(a.row for a in assignments)
        histories = {str(a.row): a.history.to_json() for a in assignments if a.history}
        rows = [a.row for a in assignments]
        self._engine.send(
            slot.number, {"do": "work", "rows": rows, "histories": histories}
        )

    def _even_out(self, workers: Sequence[Slot]) -> None:
        idle = sum(slot.idle for slot in workers)
        for slot in workers:
            most = min(slot.queued, idle)
            if most and not slot.is_asked_back:
                slot.is_asked_back = True
                idle -= most
                self._engine.send(slot.number, {"do": "return", "most": most})
