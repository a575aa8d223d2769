"""What follows from a worker's death: its items are given back, set aside or failed.

The dead shard is read before anything of it is handed out again. Which item may be to
blame is told by `blame`. Only a worker's death while the supervisor lives counts: when
everything ends at once, no item is to blame.

Floor: the run.
"""

import collections
import logging
from collections.abc import Callable
from decimal import Decimal

from runner.checkpoint.history import outcome_of
from runner.checkpoint.reading import ShardReader
from runner.clock import Clock
from runner.errors import StoreError
from runner.limiter import rebuild_slot
from runner.protocols import Died
from runner.records import OutcomeState
from runner.run_status import Stop, StopKind
from runner.supervisor.blame import Blame
from runner.supervisor.opened import OpenRun
from runner.supervisor.slot import Slot
from runner.worker.result import result_json

EARLY_DEATHS = 5
"""Deaths in a row before a worker recorded anything: something is wrong with all."""
_PROVEN_S = 60.0
"""After an outcome: whatever they die of now, a minute ago they could work."""
_RESTART_MOST_S = 30.0
_TELL_AFTER_S = 5.0
_log = logging.getLogger("runner.supervisor")


class Undertaker:
    """Remembers deaths; gives items back, sets them aside, or fails them."""

    def __init__(self, run: OpenRun, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._blame = Blame(clock)
        self._early_deaths = 0
        self._outcome_s: float | None = None
        self._unsettled: dict[int, Decimal] = {}
        self._blocked_by: str | None = None
        self._blocked_s = 0.0
        self.suspects: collections.deque[int] = collections.deque()
        """Rows to be asked one at a time, alone with their worker."""

    def saw_outcome(self, row: int) -> None:
        """Whatever died in its company, it was not this item's fault."""
        self._blame.acquit(row)
        self._early_deaths = 0
        self._outcome_s = self._clock.monotonic_s()

    def owes(self, slot: int) -> bool:
        """Whether the dollars of that slot are still to be put right."""
        return slot in self._unsettled

    def settle(self) -> None:
        """Put right, in the run's cell, what dead workers had spent; or try to.

        Never while draining: the next session puts all slots right.
        """
        for slot, committed_usd in list(self._unsettled.items()):
            holder = rebuild_slot(self._run.place, slot, committed_usd, self._clock)
            if holder is None:
                del self._unsettled[slot]
            elif self._blocked_by is None:
                self._blocked_s = self._clock.monotonic_s()
            self._blocked_by = holder

    @property
    def blocked_by(self) -> str | None:
        """Who has kept it from that for longer than 5 s, in words."""
        is_long = self._clock.monotonic_s() - self._blocked_s > _TELL_AFTER_S
        return self._blocked_by if is_long else None

    def bury(
        self,
        slot: Slot,
        death: Died,
        finish: Callable[[Slot, int], None],
        *,
        draining: bool,
    ) -> Stop | None:
        """Take back the items of a dead worker.

        Args:
            slot: Where it worked.
            death: How it died.
            finish: Called with each row that has its outcome after all.
            draining: Nothing is started any more.

        Returns:
            Why the run has to stop, if workers die again and again.
        """
        is_spared = slot.is_ready and (self._is_quarantine(slot) or not slot.assigned)
        slot.is_alive = slot.is_ready = False
        slot.slowest, slot.blocked_by = (), None
        is_sudden = not death.is_clean and not draining
        if not death.is_clean:
            _log.warning(
                "worker %d %s with %d items", slot.number, death.why, len(slot.assigned)
            )
        stop = self._decide_last_commit(slot) if is_sudden else None
        reader = ShardReader(self._run.folder, slot.number, live=True)
        try:
            slot.rest(reader.totals())
            if is_sudden:
                self._suspect(slot, reader)
            for row in sorted(slot.assigned):
                is_over = self._is_settled(slot, row, reader)
                if not is_over and is_sudden:
                    is_over = self.fail_if_convicted(row, death.why)
                if is_over:
                    finish(slot, row)
                else:
                    self._hand_on(row, is_sudden=is_sudden)
        finally:
            reader.close()
        self._unsettled[slot.number] = slot.totals.committed_usd
        if is_sudden and stop is None:
            stop = self._plan_restart(slot, death, is_spared=is_spared)
        return stop

    def fail_if_convicted(self, row: int, why: str) -> bool:
        """Fail the item, on disk, if it is convicted by now; whether it was.

        `why` is how workers die of it. What else died with it may have been asked
        since, and answered.
        """
        if not self._blame.is_convicted(row):
            return False
        self._fail(row, why)
        return True

    def _decide_last_commit(self, slot: Slot) -> Stop | None:
        """Before an item of it is handed on: what is not there must not appear."""
        try:
            self._run.decide_last_commit(slot.number)
        except StoreError as error:
            return Stop(kind=StopKind.STORE, message=error.message, hint=error.hint)
        return None

    def _suspect(self, slot: Slot, reader: ShardReader) -> None:
        """All that it had not finished, but for what was in its backoff.

        What kills before its first send, or while a reply of another slot is judged,
        leaves no trace in this shard.
        """
        numbers = {
            row: self._run.index.number(row) for row in slot.assigned - slot.aside
        }
        unfinished = [
            row
            for row, number in numbers.items()
            if not self._run.is_finished_by(number, reader.outcome(number))
        ]
        self._blame.died(unfinished, alone=self._is_quarantine(slot))

    def _is_quarantine(self, slot: Slot) -> bool:
        return slot.number > self._run.concurrency.workers

    def _is_settled(self, slot: Slot, row: int, reader: ShardReader) -> bool:
        """Whether the item has its outcome; else it is no longer this worker's."""
        number = self._run.index.ref(row).number
        if self._run.is_finished_by(number, reader.outcome(number)):
            return True
        slot.assigned.discard(row)
        return False

    def _hand_on(self, row: int, *, is_sudden: bool) -> None:
        """To whoever is free, or, if it may have killed, to be asked alone."""
        if is_sudden and self._blame.is_to_set_aside(row, len(self.suspects)):
            self._run.backlog.set_aside(row)
            self.suspects.append(row)
        else:
            self._run.backlog.give_back(row)

    def _fail(self, row: int, why: str) -> None:
        """Record a poison item; it takes no more workers with it."""
        deaths = self._blame.convict(row)
        _log.warning("row %d is failed: %d deaths", row, deaths)
        item = self._run.items.read(row)
        history = self._run.backlog.history(row)
        outcome = outcome_of(
            item,
            history,
            state=OutcomeState.FAILED,
            reason=f"its worker died {deaths} times ({why})",
            finished_unix_s=self._clock.unix_s(),
        )
        result = result_json(outcome, None, None, None, history)
        self._run.record(outcome, result, history.replaces)

    def _plan_restart(self, slot: Slot, death: Died, *, is_spared: bool) -> Stop | None:
        """At once for a worker that recorded anything, else after 1, 3, 7 ... s.

        At once also after a death over nothing, or over a lone suspect: it shows that
        workers can start, and a suspect can die only so often.
        """
        if is_spared:
            self._early_deaths = 0
        if slot.recorded or is_spared:
            slot.failed_starts = 0
        else:
            slot.failed_starts += 1
            self._early_deaths += 1
        delay_s = min(_RESTART_MOST_S, 2.0**slot.failed_starts) - 1.0
        now_s = self._clock.monotonic_s()
        slot.restart_at_s = now_s + delay_s
        is_proven = self._outcome_s is not None and now_s - self._outcome_s < _PROVEN_S
        if self._early_deaths < EARLY_DEATHS or is_proven:
            return None
        return Stop(
            kind=StopKind.WORKERS,
            message=f"{self._early_deaths} workers in a row {death.why} before they"
            " recorded anything",
            hint="what they wrote stands above; `dmesg` tells whether memory ran out",
        )
