"""The whole night: hands out items, watches workers, stops in good order.

One thread, one loop, ten turns a second at least. It never sends a request and
writes only shard 0. A worker's death costs the answers in flight there and nothing
else: its shard is read before its items are handed out again.

Floor: the run. Knows engines only by their protocol.
"""

import dataclasses
import logging
import math
from collections.abc import Callable

from runner.clock import Clock
from runner.errors import RunnerError
from runner.protocols import Died, Engine, Said, WorkerSettings
from runner.records import JsonObject, Totals
from runner.run_folder import SUPERVISOR_SLOT
from runner.run_status import Pace, RunState, RunStatus, SlowItem, Stop, StopKind
from runner.supervisor.backlog import Backlog
from runner.supervisor.guards import Guards
from runner.supervisor.handout import Handout
from runner.supervisor.heartbeat import write_heartbeat
from runner.supervisor.holds import Holds
from runner.supervisor.hurry import Hurry
from runner.supervisor.opened import OpenRun
from runner.supervisor.pulse import Pulse
from runner.supervisor.signals import Signals
from runner.supervisor.slot import Slot, slowest_of
from runner.supervisor.staffing import Staffing, allowed_per_s
from runner.supervisor.stops import disk_stop, stop_by, stop_of, want_of_room
from runner.supervisor.undertaker import Undertaker

TICK_S = 0.1
BEAT_S = 1.0
MARK_S = 60.0
_SILENCE_GRACE_S = 60.0
_ABANDON_GRACE_S = 5.0
"""For a worker that was told to stop waiting and does not listen."""
_log = logging.getLogger("runner.supervisor")


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
        self._handout = Handout(run.backlog, engine)
        self._staffing = Staffing(run.concurrency, clock.monotonic_s())
        self._holds = Holds()
        self._hurry = Hurry(run.limiter, run.config.pacing.limit)
        self._undertaker = Undertaker(run, clock)
        self._resting = run.totals_by_slot
        self._slots: dict[int, Slot] = {}
        totals = self.totals()
        self._guards = Guards(any_valid=totals.valid > 0)
        self._pulse = Pulse(clock.monotonic_s(), totals)
        self._finished = 0
        self._stop: Stop | None = None
        self._draining = self._abandoned = False
        self._abandoned_s = 0.0
        self._blocked_by: str | None = None
        self._turned_s = self._marked_s = clock.monotonic_s()
        self._beaten_s = -math.inf

    def work(self) -> Stop | None:
        """Until every item has an outcome (None), or the run stops early."""
        if not len(self._backlog):
            return None
        self._staff()
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
        if limit := self._run.config.pacing.limit:
            pending = max(0, min(pending, limit - self._finished))
        is_running, pace = state is RunState.RUNNING, self._pace()
        # What goes wrong after the last outcome has stopped nothing.
        stop = None if state is RunState.FINISHED else self._stop
        return RunStatus(
            run=self._run.name,
            state=state,
            stopped_because=stop.message if stop else None,
            items=len(self._run.index),
            totals=totals,
            unresolved=max(0, totals.open - in_flight),
            in_flight=in_flight,
            in_flight_target=self._staffing.target if is_running else None,
            requests_per_minute=self._pulse.requests_per_minute,
            tokens_per_minute=self._pulse.tokens_per_minute,
            pace=pace,
            # In an outage the last minute promises what nobody can keep.
            eta_s=self._pulse.eta_s(pending, pace.next_try_s or 0.0)
            if is_running and not pace.is_out
            else None,
            started_unix_s=self._run.started_unix_s,
            heartbeat_unix_s=self._clock.unix_s(),
            simulated=self._run.config.service.simulated,
            slowest=slowest_of(self._slots.values(), self._run.index),
            anew=self._backlog.anew,
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
            case "ready" | "leaving" as news:
                slot.is_ready = news == "ready"
            case "progress":
                self._progress(slot, message)
            case "stop":
                self._stop_for(stop_of(message))
            case "crash":
                raise WorkerBug(message["traceback"])

    def _progress(self, slot: Slot, message: JsonObject) -> None:
        slot.totals = Totals.from_json(message["totals"])
        slot.blocked_by = message["blocked_by"]
        slot.is_asked_back = False
        slot.aside = set(message["aside"])
        self._staffing.heard(slot, message["load"], self._clock.monotonic_s())
        for note in message["notes"]:
            _log.warning("worker %d %s", slot.number, note)
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
        for reason in message["failed"]:
            self._stop_for(self._guards.saw_failure(reason))
        for stop in message["stops"]:
            self._stop_for(stop_of(stop))
        for trace in message["crashes"]:
            raise WorkerBug(trace)

    def _finish(self, slot: Slot, row: int) -> None:
        slot.assigned.discard(row)
        slot.recorded += 1
        self._undertaker.saw_outcome(row)
        self._backlog.mark_done(row)
        self._finished += 1

    # Deaths

    def _bury(self, slot: Slot, death: Died) -> None:
        stop = self._undertaker.bury(slot, death, self._finish, draining=self._draining)
        self._stop_for(stop)

    # Starting, feeding, stopping

    def _staff(self) -> None:
        """Start what workers are wanted beside those there are."""
        for number in range(1, self._staffing.workers(len(self._backlog)) + 1):
            if number not in self._slots:
                threads = self._staffing.share(number - 1, number)
                self._start(number, threads, self._staffing.most_threads())

    def _start(self, number: int, threads: int, most_threads: int) -> None:
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
            threads=most_threads,
            allowed=threads,
            key_cell=self._run.place.key_cell,
            config=self._run.config,
            task_digest=self._run.task_digest,
        )
        self._engine.start(settings, self._run.api_key)
        _log.info("worker %d starts, at first with %d threads", number, threads)

    def _feed(self) -> None:
        now_s = self._clock.monotonic_s()
        self._undertaker.settle()
        quarantine = self._staffing.quarantine
        for slot in list(self._slots.values()):
            is_settled = not self._undertaker.owes(slot.number)
            is_needed = slot.number != quarantine or self._undertaker.suspects
            is_due = is_needed and is_settled and now_s >= slot.restart_at_s
            if not slot.is_alive and is_due:
                is_alone = slot.number == quarantine
                most = 1 if is_alone else self._staffing.most_threads()
                self._start(slot.number, slot.threads, most)
        self._feed_suspect(quarantine)
        self._hurry.look(len(self._backlog) + self._backlog.out)
        self._adapt(now_s)
        workers = self._workers()
        self._handout.hand_out(workers, self._still_wanted())
        if self.is_finished:
            self._drain()

    def _adapt(self, now_s: float) -> None:
        """Find out how many calls should be under way; have as many callers."""
        if not self._staffing.is_due(now_s):
            return
        per_s = allowed_per_s(self._run.limiter.pace(), self.totals())
        left = len(self._backlog)
        self._staffing.look(self._workers(), per_s, now_s, left=left)
        if left:
            self._staff()
        workers = self._workers()
        for place, slot in enumerate(workers):
            holds = bool(slot.assigned)
            share = self._staffing.share(place, len(workers), holds_items=holds)
            self._handout.allow(slot, share)

    def _workers(self) -> list[Slot]:
        """Those that can be given items."""
        quarantine = self._staffing.quarantine
        slots = self._slots.values()
        return [slot for slot in slots if slot.is_ready and slot.number != quarantine]

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
        if not (suspects := self._undertaker.suspects):
            return
        slot = self._slots.get(quarantine)
        if slot is None:
            self._start(quarantine, 1, 1)
        elif slot.is_ready and not slot.assigned:
            row = suspects.popleft()
            if self._undertaker.fail_if_convicted(row, "killed over it alone"):
                self._finish(slot, row)
            else:
                self._handout.give(slot, [self._backlog.take_aside(row)])

    def _stop_for(self, stop: Stop | None) -> None:
        """The first reason is the one that is told."""
        if stop:
            if not self._stop:
                _log.warning("stops: %s", stop.message)
            self._stop = self._stop or stop
            self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        for slot in self._slots.values():
            self._engine.send(slot.number, {"do": "drain"})
            # One that somebody stopped (SIGSTOP) cannot drain.
            self._engine.wake(slot.number)

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
            self._stop_for(stop_by(self._signals.drain, self._run.folder))
        if self._signals.abandon and not self._abandoned:
            self._abandoned = True
            self._abandoned_s = now_s
            for slot in self._slots.values():
                self._engine.send(slot.number, {"do": "abandon"})
        if self._abandoned and now_s - self._abandoned_s > _ABANDON_GRACE_S:
            for slot in self._slots.values():
                self._engine.kill(slot.number)

    def _beat(self, state: RunState) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._beaten_s < BEAT_S:
            return
        self._beaten_s = now_s
        self._check_disk()
        self._pulse.beat(now_s, self.totals(), self._finished)
        self._look_for_holders()
        status = self.status(state)
        self._holds.look(status.pace, now_s)
        self._show(status)
        if now_s - self._marked_s >= MARK_S:
            self._marked_s = now_s
            self._run.mark(self.totals_by_slot())

    def _show(self, status: RunStatus) -> None:
        try:
            write_heartbeat(self._run.folder, status)
        except OSError as error:
            # What cannot hold a sign of life cannot hold an answer.
            why = f"the heartbeat cannot be written: {error.strerror}"
            self._stop_for(disk_stop(why))
        self._on_status(status)

    def _check_disk(self) -> None:
        told_bytes = self._run.config.pacing.min_free_bytes
        if why := want_of_room(self._run.folder, told_bytes):
            self._stop_for(disk_stop(why))

    def _pace(self) -> Pace:
        pace = self._run.limiter.pace()
        if self._blocked_by is None:
            return pace
        return dataclasses.replace(pace, waiting_for=self._blocked_by, next_try_s=None)

    def _look_for_holders(self) -> None:
        """Some process holds the limiter's cells, or code of the user's hangs: once."""
        told = [self._undertaker.blocked_by]
        told += [slot.blocked_by for slot in self._slots.values()]
        blocked_by = next(filter(None, told), None)
        if blocked_by and blocked_by != self._blocked_by:
            _log.warning("waits for %s", blocked_by)
        self._blocked_by = blocked_by


class WorkerBug(RunnerError):
    """A worker met a bug of ours; the message is its traceback."""
