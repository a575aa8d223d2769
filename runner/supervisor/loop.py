"""The whole night: hands out items, watches workers, stops in good order.

One thread, one loop, five turns a second at least. It never sends a request and
writes only shard 0. A worker's death costs the answers in flight there and nothing
else: its shard is read before its items are handed out again.

Floor: the run. Knows engines only by their protocol.
"""

import collections
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runner.checkpoint.entries import Outcome
from runner.checkpoint.reading import ShardReader
from runner.clock import Clock
from runner.errors import RunnerError
from runner.limiter import rebuild_slot
from runner.protocols import Died, Engine, Said, WorkerSettings
from runner.records import (
    JsonObject,
    OutcomeState,
    RunState,
    RunStatus,
    SlowItem,
    Stop,
    StopKind,
    Totals,
)
from runner.run_folder import SUPERVISOR_SLOT
from runner.supervisor.backlog import Assignment, Backlog
from runner.supervisor.guards import Guards
from runner.supervisor.heartbeat import write_heartbeat
from runner.supervisor.opened import OpenRun
from runner.supervisor.pulse import Pulse
from runner.supervisor.signals import Signals
from runner.worker.result import result_json

TICK_S = 0.1
BEAT_S = 1.0
MARK_S = 60.0
DEATHS_TO_FAIL = 3
"""An item in whose company this many workers died is failed ..."""
DEATHS_TO_QUARANTINE = 2
"""... the last of them while it was alone: before, others were in flight too."""
EARLY_DEATHS = 5
"""Deaths in a row before a worker was ready: something is wrong with all."""
_RESTART_MOST_S = 30.0
_SILENCE_GRACE_S = 60.0


@dataclass(slots=True)
class Slot:
    """One worker, as its supervisor sees it."""

    number: int
    threads: int
    totals: Totals
    assigned: set[int] = field(default_factory=set)
    in_flight: int = 0
    slowest: tuple[SlowItem, ...] = ()
    is_ready: bool = False
    is_alive: bool = True
    silent_s: float = 0.0
    recorded: int = 0
    restart_at_s: float = 0.0
    failed_starts: int = 0

    @property
    def most_assigned(self) -> int:
        """Enough that no thread waits for work, little enough to lose little."""
        return self.threads + max(2, self.threads // 4)


class Supervisor:
    """Works on an open run until it is finished or has to stop."""

    def __init__(
        self,
        run: OpenRun,
        engine: Engine,
        clock: Clock,
        signals: Signals,
        on_status: Callable[[RunStatus], None],
    ) -> None:
        self._run = run
        self._engine = engine
        self._clock = clock
        self._signals = signals
        self._on_status = on_status
        self._backlog: Backlog = run.backlog
        self._strikes: collections.Counter[int] = collections.Counter()
        self._suspects: collections.deque[int] = collections.deque()
        self._resting = run.totals_by_slot
        self._slots: dict[int, Slot] = {}
        totals = self.totals()
        self._guards = Guards(any_valid=totals.valid > 0)
        self._pulse = Pulse(clock.monotonic_s(), totals)
        self._finished = 0
        self._early_deaths = 0
        self._stop: Stop | None = None
        self._draining = False
        self._abandoned = False
        self._turned_s = self._marked_s = clock.monotonic_s()
        self._beaten_s = -math.inf

    def work(self) -> Stop | None:
        """Until every item has an outcome (None), or the run stops early."""
        if not len(self._backlog):
            return None
        for number in range(1, self._run.concurrency.workers + 1):
            self._start(number, self._run.concurrency.threads)
        self._beat(RunState.RUNNING)
        while not self._is_over():
            self._turn()
        return self._stop

    @property
    def is_finished(self) -> bool:
        """Whether every item has an outcome."""
        return not len(self._backlog) and not self._backlog.out

    def status(self, state: RunState) -> RunStatus:
        """One look at the run as it is now."""
        totals = self.totals()
        in_flight = sum(slot.in_flight for slot in self._slots.values())
        pending = len(self._backlog) + self._backlog.out
        is_running = state is RunState.RUNNING
        return RunStatus(
            run=self._run.name,
            state=state,
            stopped_because=self._stop.message if self._stop else None,
            items=len(self._run.index),
            totals=totals,
            unresolved=max(0, totals.open - in_flight),
            in_flight=in_flight,
            requests_per_minute=self._pulse.requests_per_minute,
            tokens_per_minute=self._pulse.tokens_per_minute,
            pace=self._run.limiter.pace(),
            eta_s=self._pulse.eta_s(pending) if is_running else None,
            started_unix_s=self._run.started_unix_s,
            heartbeat_unix_s=self._clock.unix_s(),
            simulated=self._run.config.service.simulated,
            slowest=self._slowest(),
        )

    def totals_by_slot(self) -> dict[int, Totals]:
        """The totals of each shard, as last heard of."""
        live = {number: slot.totals for number, slot in self._slots.items()}
        own = {SUPERVISOR_SLOT: self._run.own_totals()}
        return {**self._resting, **own, **live}

    def totals(self) -> Totals:
        """The totals of the run."""
        return sum(self.totals_by_slot().values(), Totals())

    def _turn(self) -> None:
        for event in self._engine.poll(TICK_S):
            if isinstance(event, Said):
                self._hear(self._slots[event.slot], event.message)
            else:
                self._bury(self._slots[event.slot], event)
        self._watch()
        if not self._draining:
            self._feed()
        self._beat(RunState.DRAINING if self._stop else RunState.RUNNING)

    def _is_over(self) -> bool:
        return self._draining and not any(s.is_alive for s in self._slots.values())

    # What workers say

    def _hear(self, slot: Slot, message: JsonObject) -> None:
        slot.silent_s = 0.0
        match message["is"]:
            case "ready":
                slot.is_ready = True
                slot.failed_starts = self._early_deaths = 0
            case "progress":
                self._progress(slot, message)
            case "stop":
                self._stop_for(_stop_of(message))
            case "crash":
                raise WorkerBug(message["traceback"])

    def _progress(self, slot: Slot, message: JsonObject) -> None:
        slot.totals = Totals.from_json(message["totals"])
        slot.in_flight = message["in_flight"]
        slot.slowest = tuple(
            SlowItem(number=int(number), attempt=int(attempt), age_s=age_s)
            for number, attempt, age_s in message["slowest"]
        )
        for row in message["done"]:
            self._finish(slot, row)
        for row in message["pending"]:
            slot.assigned.discard(row)
            self._backlog.give_back(row)
        for valid, reason in message["verdicts"]:
            self._stop_for(self._guards.saw_verdict(valid=valid, reason=reason))
        done, refusals = len(message["done"]), message["rejected"]
        self._stop_for(self._guards.saw_outcomes(done, refusals))
        for stop in message["stops"]:
            self._stop_for(_stop_of(stop))
        for trace in message["crashes"]:
            raise WorkerBug(trace)

    def _finish(self, slot: Slot, row: int) -> None:
        slot.assigned.discard(row)
        slot.recorded += 1
        self._strikes.pop(row, None)
        self._backlog.mark_done(row)
        self._finished += 1

    # Deaths

    def _bury(self, slot: Slot, death: Died) -> None:
        slot.is_alive = slot.is_ready = False
        slot.in_flight = 0
        slot.slowest = ()
        reader = ShardReader(self._run.folder, slot.number, live=True)
        try:
            # Before anything of it is handed out again.
            slot.totals = reader.totals()
            for row in sorted(slot.assigned):
                self._take_back(slot, row, reader, death)
        finally:
            reader.close()
        rebuild_slot(self._run.place, slot.number, slot.totals.committed_usd)
        if not death.is_clean and not self._draining:
            self._plan_restart(slot, death)

    def _take_back(
        self, slot: Slot, row: int, reader: ShardReader, death: Died
    ) -> None:
        number = self._run.index.ref(row).number
        if self._run.is_finished_by(number, reader.outcome(number)):
            self._finish(slot, row)
            return
        slot.assigned.discard(row)
        was_at_work = not death.is_clean and bool(reader.attempts(number))
        # When everything ends at once, no item is to blame.
        self._strikes[row] += int(was_at_work and not self._draining)
        if self._strikes[row] >= DEATHS_TO_FAIL:
            self._fail(row, death)
        elif self._strikes[row] >= DEATHS_TO_QUARANTINE:
            self._backlog.set_aside(row)
            self._suspects.append(row)
        else:
            self._backlog.give_back(row)

    def _fail(self, row: int, death: Died) -> None:
        """Record a poison item; it takes no more workers with it."""
        item = self._run.items.read(row)
        history = self._backlog.history(row)
        outcome = Outcome(
            number=item.ref.number,
            item_id=item.item_id,
            fingerprint=item.ref.fingerprint.hex(),
            state=OutcomeState.FAILED,
            generation=history.replaces.generation + 1 if history.replaces else 0,
            last_attempt=history.next_attempt - 1,
            requests=history.requests,
            invalid_answers=history.invalid_answers,
            invalid_answers_usd=history.invalid_usd,
            reason=f"its worker died {self._strikes[row]} times ({death.why})",
            finished_unix_s=self._clock.unix_s(),
        )
        result = result_json(outcome, None, None, None, history)
        self._run.record(outcome, result, history.replaces)
        self._backlog.mark_done(row)
        self._finished += 1

    def _plan_restart(self, slot: Slot, death: Died) -> None:
        if not slot.recorded:
            slot.failed_starts += 1
            self._early_deaths += 1
        if self._early_deaths >= EARLY_DEATHS:
            self._stop_for(
                Stop(
                    kind=StopKind.WORKERS,
                    message=f"{EARLY_DEATHS} workers in a row {death.why} before"
                    " they recorded anything",
                    hint="a script that calls runner.run() needs"
                    " `if __name__ == '__main__':`",
                )
            )
        delay_s = min(_RESTART_MOST_S, 2.0**slot.failed_starts) - 1.0
        slot.restart_at_s = self._clock.monotonic_s() + delay_s

    # Starting, feeding, stopping

    def _start(self, number: int, threads: int) -> None:
        self._run.make_shard(number)
        known = self._slots.get(number)
        totals = known.totals if known else self._resting.pop(number, Totals())
        self._slots[number] = Slot(
            number=number,
            threads=threads,
            totals=totals,
            failed_starts=known.failed_starts if known else 0,
        )
        settings = WorkerSettings(
            run_folder=self._run.folder,
            run_id=self._run.manifest.run_id,
            slot=number,
            threads=threads,
            key_cell=self._run.place.key_cell,
            config=self._run.config,
            task_digest=self._run.task_digest,
        )
        self._engine.start(settings, self._run.api_key)

    def _feed(self) -> None:
        now_s = self._clock.monotonic_s()
        quarantine = self._run.concurrency.workers + 1
        for slot in list(self._slots.values()):
            is_needed = slot.number != quarantine or self._suspects
            if not slot.is_alive and is_needed and now_s >= slot.restart_at_s:
                self._start(slot.number, slot.threads)
        self._feed_suspect(quarantine)
        workers = [
            s for s in self._slots.values() if s.is_ready and s.number != quarantine
        ]
        for slot in workers:
            self._give(slot, self._backlog.take(self._share(slot, len(workers))))
        if self.is_finished:
            self._drain()

    def _share(self, slot: Slot, workers: int) -> int:
        """Items to hand out now: near the end, nobody hoards what others could do."""
        room = slot.most_assigned - len(slot.assigned)
        fair = math.ceil(len(self._backlog) / workers)
        return max(0, min(room, fair, self._still_wanted()))

    def _still_wanted(self) -> int:
        limit = self._run.config.pacing.limit
        if limit is None:
            return len(self._backlog)
        wanted = limit - self._finished - self._backlog.out
        if limit <= self._finished:
            self._stop_for(
                Stop(kind=StopKind.LIMIT, message=f"--limit {limit} reached")
            )
        return max(0, wanted)

    def _feed_suspect(self, quarantine: int) -> None:
        """One suspect at a time, alone in a worker of one thread."""
        if not self._suspects:
            return
        slot = self._slots.get(quarantine)
        if slot is None:
            self._start(quarantine, 1)
        elif slot.is_ready and not slot.assigned:
            row = self._suspects.popleft()
            self._give(slot, [self._backlog.take_aside(row)])

    def _give(self, slot: Slot, assignments: Sequence[Assignment]) -> None:
        if not assignments:
            return
        slot.assigned.update(a.row for a in assignments)
        histories = {str(a.row): a.history.to_json() for a in assignments if a.history}
        rows = [a.row for a in assignments]
        self._engine.send(
            slot.number, {"do": "work", "rows": rows, "histories": histories}
        )

    def _stop_for(self, stop: Stop | None) -> None:
        """The first reason is the one that is told."""
        if stop:
            self._stop = self._stop or stop
            self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        for slot in self._slots.values():
            self._engine.send(slot.number, {"do": "drain"})

    # Watching

    def _watch(self) -> None:
        now_s = self._clock.monotonic_s()
        # A suspended machine must not look like silent workers.
        turn_s = min(now_s - self._turned_s, 1.0)
        self._turned_s = now_s
        limit_s = self._run.config.pacing.timeout_s + _SILENCE_GRACE_S
        for slot in self._slots.values():
            slot.silent_s += turn_s
            if slot.is_alive and slot.silent_s > limit_s:
                self._engine.kill(slot.number)
        if self._signals.drain and not self._draining:
            self._stop_for(_stop_by(self._signals.drain))
        if self._signals.abandon and not self._abandoned:
            self._abandoned = True
            for slot in self._slots.values():
                self._engine.send(slot.number, {"do": "abandon"})

    def _beat(self, state: RunState) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._beaten_s < BEAT_S:
            return
        self._beaten_s = now_s
        self._check_disk()
        self._pulse.beat(now_s, self.totals())
        status = self.status(state)
        write_heartbeat(self._run.folder, status)
        self._on_status(status)
        if now_s - self._marked_s >= MARK_S:
            self._marked_s = now_s
            self._run.mark(self.totals_by_slot())

    def _check_disk(self) -> None:
        usage = shutil.disk_usage(self._run.folder)
        keep = self._run.min_free_bytes(usage.total)
        if usage.free < keep:
            self._stop_for(
                Stop(
                    kind=StopKind.DISK,
                    message=f"the disk of {self._run.folder} has {usage.free >> 20}"
                    f" MiB left, less than the {keep >> 20} MiB to keep free",
                    hint="make room (or lower --min-free), then `runner resume`",
                )
            )

    def _slowest(self) -> tuple[SlowItem, ...]:
        everywhere = [item for slot in self._slots.values() for item in slot.slowest]
        return tuple(sorted(everywhere, key=lambda item: -item.age_s)[:3])


class WorkerBug(RunnerError):
    """A worker met a bug of ours; the message is its traceback."""


def _stop_of(stored: JsonObject) -> Stop:
    return Stop(
        kind=StopKind(stored["kind"]), message=stored["message"], hint=stored["hint"]
    )


def _stop_by(kind: StopKind) -> Stop:
    said = "Ctrl-C" if kind is StopKind.INTERRUPTED else "SIGTERM"
    return Stop(kind=kind, message=f"stopped by {said}")
