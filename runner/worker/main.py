"""One worker: opens its tools, runs threads, listens to its supervisor.

The main thread reads orders, enforces deadlines and reports counts; the threads
walk items; the shard's committer records. When the supervisor is gone, nothing new
starts, and what is in flight is finished and recorded.

Floor: the work. Knows the doors and rules, not which engine runs it.
"""

import contextlib
import dataclasses
import itertools
import threading
import traceback

from runner.checkpoint.history import History
from runner.checkpoint.locks import Presence
from runner.checkpoint.rescue import BYTES_A_THREAD
from runner.clock import Clock, SystemClock
from runner.durable import blaming_the_disk
from runner.errors import (
    ItemFileError,
    RunChanged,
    RunnerError,
    StateError,
    StoreError,
    TaskError,
)
from runner.money import count_exactly
from runner.protocols import Channel, WorkerSettings
from runner.records import JsonObject
from runner.redaction import Redactor
from runner.run_status import Stop, StopKind
from runner.worker.assignments import Assignments
from runner.worker.opening import no_thread, open_items, open_tools
from runner.worker.outbox import Outbox
from runner.worker.walk import Walk

_TICK_S = 0.05
_SLOWEST_SHOWN = 3
_ABANDON_GRACE_S = 1.0
_GIVEN_UP_MOST = 4
"""Functions of the user that may compute for ever beside the others."""
_LONG_S = 10.0
"""A function of the user's that computes for longer is told of."""
_DRAIN_PATIENCE_S = 10.0
"""Nothing is lost where a function is not waited for: its answer is on disk."""


def work(
    settings: WorkerSettings,
    api_key: str,
    channel: Channel,
) -> None:
    """Work in one slot until told to stop, or until the supervisor is gone."""
    disk = blaming_the_disk(settings.run_folder)
    try:
        with disk, contextlib.ExitStack() as opened:
            # Before anything is read or sent: a starter waits for orphans on it.
            presence = Presence(settings.run_folder)
            opened.callback(presence.release)
            # Only now: a supervisor that dies later leaves a lock that is held. One
            # that died before may have a successor, whose shards these are by now.
            orders = channel.receive(0.0)
            if orders is not None and not _is_over(orders):
                worker = Worker(settings, api_key, channel, opened, SystemClock())
                worker.run(orders)
    except RunnerError as error:
        stop = _stop_of(error)
        channel.send({"is": "stop", **dataclasses.asdict(stop)})
    except Exception:
        trace = Redactor(api_key).lines(traceback.format_exc())
        channel.send({"is": "crash", "traceback": trace})
        raise
    channel.send({"is": "bye"})


def _is_over(orders: list[JsonObject]) -> bool:
    """Whether the session ended while we started.

    Then its supervisor may be dead as well: what it last said is read before the end.
    """
    return any(order["do"] in ("drain", "abandon") for order in orders)


class Worker:
    """One slot's threads and tools."""

    def __init__(
        self,
        settings: WorkerSettings,
        api_key: str,
        channel: Channel,
        opened: contextlib.ExitStack,
        clock: Clock,
    ) -> None:
        """Open everything; what has to be closed goes onto `opened`."""
        self._channel = channel
        self._clock = clock
        self._threads_most = settings.threads
        self._allowed = 0
        self._threads: list[threading.Thread] = []
        self._next_tick_s = 0.0
        self._stop = threading.Event()
        self._is_abandoned = False
        self._assignments = Assignments(self._stop, clock)
        self._items = open_items(settings, opened)
        self._tools = open_tools(
            settings,
            api_key,
            clock,
            self._stop,
            opened,
            self._assignments.others_wait,
        )
        self._outbox = Outbox(self._tools.shard, self._stop, self._tools.meter)
        self._set_aside_for = settings.allowed
        self._allow(settings.allowed)

    def run(self, orders: list[JsonObject]) -> None:
        """Listen, watch and report until all is done; obey first what has come."""
        self._channel.send({"is": "ready"})
        for order in orders:
            self._obey(order)
        while not self._stop.is_set():
            self._listen()
            self._tick_when_due()
        self._drain()

    def _listen(self) -> None:
        now_s = self._clock.monotonic_s()
        orders = self._channel.receive(max(0.0, self._next_tick_s - now_s))
        if orders is None:
            self._halt()
            return
        for order in orders:
            self._obey(order)

    def _obey(self, order: JsonObject) -> None:
        match order["do"]:
            case "work":
                self._take(order)
            case "allow":
                self._allow(order["threads"])
            case "return":
                rows = self._assignments.take_back(order["most"])
                self._outbox.give_back(rows)
            case "drain":
                self._halt()
            case "abandon":
                self._is_abandoned = True
                self._halt()

    def _take(self, order: JsonObject) -> None:
        histories = order["histories"]
        for row in order["rows"]:
            stored = histories.get(str(row))
            history = History.from_json(stored) if stored else History()
            self._assignments.put(row, history)
        self._grow()

    def _allow(self, threads: int) -> None:
        """So many calls may be under way here from now on."""
        if threads > self._set_aside_for:
            # Twice as many, lest every step costs the disk something.
            self._set_aside_for = min(self._threads_most, 2 * threads)
            try:
                self._tools.shard.set_aside(self._set_aside_for * BYTES_A_THREAD)
            except StoreError as error:
                self._outbox.stop(_stop_of(error))
                return
        self._allowed = threads
        self._assignments.allow(threads)
        self._grow()

    def _grow(self) -> None:
        wanted = self._assignments.callers_missing
        most = min(self._allowed, self._threads_most)
        for _ in range(min(wanted, most - len(self._threads))):
            name = f"caller {len(self._threads)}"
            thread = threading.Thread(target=self._call_items, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self._do_with_fewer(error)
                return
            self._threads.append(thread)

    def _do_with_fewer(self, error: RuntimeError) -> None:
        """The system gives no more threads (RLIMIT_NPROC, memory)."""
        self._threads_most = len(self._threads)
        if not self._threads:
            self._outbox.stop(_stop_of(no_thread(error)))
            return
        self._outbox.note(
            f"goes on with {self._threads_most} threads: {error} (`ulimit -u`, memory)"
        )

    def _halt(self) -> None:
        self._stop.set()
        self._assignments.wake()

    def _tick_when_due(self) -> None:
        """Not at every order: each tick is news, and news brings orders."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + _TICK_S
            self._tick()

    def _tick(self) -> None:
        self._tools.client.enforce_deadlines()
        self._tools.limiter.settle()
        self._assignments.ripen()
        self._end_if_crowded()
        message = self._outbox.collect(self._slowest())
        if message:
            message["aside"] = self._assignments.aside
            message["blocked_by"] = self._blocked_by()
            self._channel.send(message)
        if self._tools.shard.failure:
            self._outbox.stop(_stop_of(self._tools.shard.failure))

    def _blocked_by(self) -> str | None:
        """What keeps calls from going on here, where it is neither server nor limit."""
        patience = self._tools.patience
        name = None if self._tools.flights else patience.waited_for(_LONG_S)
        if name is None:
            return self._tools.limiter.blocked_by()
        # Always in the same words: they go to the log when they change.
        return (
            f"the task file: {name} has not returned for {_LONG_S:g} s, and is given up"
            f" after {patience.limit_s:g} s"
        )

    def _end_if_crowded(self) -> None:
        """In a new process none of them is left."""
        given_up = self._tools.patience.given_up
        if given_up >= _GIVEN_UP_MOST and not self._stop.is_set():
            self._outbox.note(
                f"is replaced: {given_up} calls of the task file have not returned"
            )
            self._channel.send({"is": "leaving"})
            self._halt()

    def _drain(self) -> None:
        """Wait for what is in flight; everything received is recorded."""
        self._halt()
        while self._is_anyone_at_work():
            self._listen()
            self._tick_when_due()
            if self._is_abandoned:
                self._clock.wait(threading.Event(), _ABANDON_GRACE_S)
                break
        self._tools.shard.close()
        self._tick()

    def _is_anyone_at_work(self) -> bool:
        # Those that have ended are asked once.
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        lost = self._tools.patience.waits_longer_than(_DRAIN_PATIENCE_S)
        return len(self._threads) > lost

    def _slowest(self) -> list[list[float]]:
        now_s = self._clock.monotonic_s()
        flights = self._tools.flights.copy().items()
        # They are in the order in which they left.
        oldest = itertools.islice(flights, _SLOWEST_SHOWN)
        return [
            [number, attempt, round(now_s - sent_s, 1)]
            for (number, attempt), sent_s in oldest
        ]

    def _call_items(self) -> None:
        count_exactly()
        for row, begun in self._assignments:
            try:
                walk = self._walk(row, begun) if isinstance(begun, History) else begun
                ending = walk.to_end()
            except RunnerError as error:
                self._outbox.stop(_stop_of(error))
                return
            except BaseException:  # noqa: BLE001 - a caller never goes without a word
                self._outbox.crashed(self._tools.without_key(traceback.format_exc()))
                return
            if ending.again_s is not None:
                self._assignments.put_aside(row, walk, ending.again_s)
            else:
                self._outbox.take(row, ending)

    def _walk(self, row: int, history: History) -> Walk:
        return Walk(self._items.read(row), history, self._tools)


def _stop_of(error: RunnerError) -> Stop:
    kind = StopKind.WORKERS
    if isinstance(error, ItemFileError | RunChanged | TaskError):
        kind = StopKind.ITEMS
    elif isinstance(error, StoreError | StateError):
        kind = StopKind.STORE
    return Stop(kind=kind, message=error.message, hint=error.hint)
