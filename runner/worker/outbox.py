"""What a worker has to tell its supervisor: gathered by threads, sent in one go.

Only counts and names travel; what is told as done is on disk already.

Floor: the work.
"""

import dataclasses
import threading

from runner.checkpoint.shard import Shard
from runner.errors import StoreClosed, StoreError
from runner.records import JsonObject, OutcomeState, Verdict
from runner.run_status import Stop, StopKind
from runner.worker.meter import Meter
from runner.worker.walk import Ending

_QUIET_TICKS = 20
_BUSY_TICKS = 4
"""How often it is told that more or fewer calls are under way, and nothing else."""


class Outbox:
    """Filled by the calling threads and the committer, emptied by the main thread."""

    def __init__(self, shard: Shard, stop: threading.Event, meter: Meter) -> None:
        self._shard = shard
        self._meter = meter
        self._busy_told = (0, 0)
        self._stop = stop
        self._lock = threading.Lock()
        self._done: list[int] = []
        self._pending: list[int] = []
        self._failed: list[str] = []
        self._verdicts: list[list[object]] = []
        self._stops: list[Stop] = []
        self._crashes: list[str] = []
        self._notes: list[str] = []
        self._quiet_ticks = 0

    def take(self, row: int, ending: Ending) -> None:
        """Record how a walk ended; it is told once that is on disk."""
        with self._lock:
            self._verdicts += [_brief(verdict) for verdict in ending.verdicts]
            if ending.outcome is None:
                self._pending.append(row)
            elif ending.outcome.state is OutcomeState.FAILED:
                self._failed.append(ending.outcome.reason or "")
        if ending.stop:
            self.stop(ending.stop)
        if ending.outcome:
            self._shard.record(
                ending.outcome,
                ending.result,
                ending.replaces,
                lambda error: self._recorded(row, error),
            )

    def stop(self, stop: Stop) -> None:
        """The run has to stop: this worker starts nothing new from here on."""
        self._stop.set()
        with self._lock:
            if not self._stops:
                self._stops.append(stop)

    def crashed(self, trace: str) -> None:
        """A thread met a bug of ours."""
        self._stop.set()
        with self._lock:
            self._crashes.append(trace)

    def note(self, line: str) -> None:
        """Something for the run's log, told once."""
        with self._lock:
            self._notes.append(line)

    def give_back(self, rows: list[int]) -> None:
        """These were handed out, and nothing was done with them."""
        with self._lock:
            self._pending += rows

    def collect(self, slowest: list[list[float]]) -> JsonObject | None:
        """The next message, emptying the box; None when there is nothing to say."""
        with self._lock:
            self._quiet_ticks += 1
            has_news = self._done or self._pending or self._stops or self._crashes
            is_busier = self._meter.busy != self._busy_told
            quiet_ticks = _BUSY_TICKS if is_busier else _QUIET_TICKS
            if not has_news and self._quiet_ticks < quiet_ticks:
                return None
            self._quiet_ticks = 0
            self._busy_told = self._meter.busy
            # After the list of what is done: totals never lag behind it.
            totals = self._shard.totals()
            message: JsonObject = {
                "is": "progress",
                "done": self._done,
                "pending": self._pending,
                "failed": self._failed,
                "verdicts": self._verdicts,
                "stops": [dataclasses.asdict(stop) for stop in self._stops],
                "crashes": self._crashes,
                "notes": self._notes,
                "totals": totals.to_json(),
                "slowest": slowest,
                "load": self._meter.take(),
            }
            self._done, self._pending, self._failed = [], [], []
            self._verdicts, self._stops = [], []
            self._crashes, self._notes = [], []
            return message

    def _recorded(self, row: int, error: StoreError | None) -> None:
        if isinstance(error, StoreClosed):
            return  # judged too late: its answer is on disk, the item stays pending
        if error:
            self.stop(Stop(kind=StopKind.STORE, message=error.message, hint=error.hint))
            return
        with self._lock:
            self._done.append(row)


def _brief(verdict: Verdict) -> list[object]:
    return [verdict.valid, verdict.reason]
