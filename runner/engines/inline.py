"""Workers as threads of this process: notebooks, debugging, tests.

The same worker, checkpoint and group commit as everywhere; only the process
boundary is missing, so a crash of one worker is a crash of all.

Floor: the run.
"""

import contextlib
import queue
import threading
from dataclasses import dataclass

from runner.protocols import Died, Event, Said, WorkerSettings
from runner.records import JsonObject


def create() -> "InlineEngine":
    """A new engine without workers."""
    return InlineEngine()


@dataclass(slots=True)
class _Worker:
    thread: threading.Thread
    orders: "queue.SimpleQueue[JsonObject | None]"


class InlineEngine:
    """One thread per slot, in this process."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def start(self, settings: WorkerSettings, api_key: str) -> None:
        """Start a worker thread in `settings.slot`."""
        # Late: the SDK is imported only where workers run.
        from runner.worker.main import work  # noqa: PLC0415

        slot = settings.slot
        orders: queue.SimpleQueue[JsonObject | None] = queue.SimpleQueue()
        channel = _QueueChannel(slot, orders, self._events)

        def run() -> None:
            why = "ended"
            try:
                work(settings, api_key, channel)
            except BaseException as error:  # noqa: BLE001 - told by `work`, without the key
                why = type(error).__name__
            finally:
                self._events.put(Died(slot, why, is_clean=why == "ended"))

        thread = threading.Thread(target=run, name=f"slot {slot}", daemon=True)
        self._workers[slot] = _Worker(thread, orders)
        thread.start()

    def send(self, slot: int, order: JsonObject) -> None:
        """Queue an order."""
        if slot in self._workers:
            self._workers[slot].orders.put(order)

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened; waits at most `timeout_s` for the first event."""
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(timeout=timeout_s))
            while True:
                events.append(self._events.get_nowait())
        for event in events:
            if isinstance(event, Died):
                self._workers.pop(event.slot).thread.join()
        return events

    def kill(self, slot: int) -> None:
        """A thread cannot be killed: hang up, as if the supervisor had died."""
        if slot in self._workers:
            self._workers[slot].orders.put(None)

    def wake(self, slot: int) -> None:
        """Only processes can be stopped."""

    def close(self) -> None:
        """Hang up on all workers."""
        for slot in list(self._workers):
            self.kill(slot)


@dataclass(slots=True)
class _QueueChannel:
    slot: int
    orders: "queue.SimpleQueue[JsonObject | None]"
    events: "queue.SimpleQueue[Event]"

    def receive(self, timeout_s: float) -> list[JsonObject] | None:
        """Orders that have come; None once the supervisor has hung up."""
        try:
            order = self.orders.get(timeout=timeout_s)
        except queue.Empty:
            return []
        return None if order is None else [order]

    def send(self, message: JsonObject) -> None:
        """Hand a message to the supervisor."""
        self.events.put(Said(self.slot, message))
