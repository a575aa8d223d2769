"""An engine whose workers follow a script: they record for real, and die on cue."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from fake_clock import FakeClock

from runner.checkpoint.entries import Attempt, Outcome, settled
from runner.checkpoint.history import History
from runner.checkpoint.shard import Shard, shard_folder
from runner.checkpoint.store import DATABASE
from runner.itemfile import ItemIndex
from runner.protocols import Died, Event, Said, WorkerSettings
from runner.records import Endpoint, JsonObject, OutcomeState, Reply, Usage
from runner.run_folder import INDEX

ANSWER = Reply(
    status=200, headers={}, body=b"{}", latency_s=0.1, request_id=None, failure=None
)


@dataclass
class Script:
    """What workers do with items, by row."""

    killers: set[int] = field(default_factory=set)
    """Rows that kill their worker once they are begun."""
    kills_unbegun: bool = False
    """A killer kills before its request is begun."""
    settles_first: bool = False
    """A killer's reply is on disk before it kills."""
    begins_at_once: bool = False
    """All items of a worker are at work from the start, as with many threads."""
    struck: Callable[[Sequence[int]], int | None] = lambda _slots: None
    """Which of these slots somebody outside kills at the next poll."""
    untold: set[int] = field(default_factory=set)
    """Rows whose worker dies when their outcome is on disk, before it says so; once."""
    half_seen: set[int] = field(default_factory=set)
    """Rows whose worker dies inside the commit of their outcome: it is whole in the
    -wal file, and not yet in the index that all connections share."""
    never_ready: bool = False
    """Workers die before they say ready."""
    says: Callable[[int], JsonObject] = lambda _row: {}
    """More for the progress message about that row."""


class ScriptedEngine:
    """Workers without processes: one step a poll, in the order of the slots."""

    def __init__(self, script: Script, clock: FakeClock) -> None:
        self.script = script
        self._clock = clock
        self.started: list[tuple[int, int]] = []
        self.asked: list[int] = []
        self.sent: list[tuple[int, int]] = []
        """Row and attempt of every send."""
        self.histories: dict[int, History] = {}
        self._workers: dict[int, _Worker] = {}
        self._events: deque[Event] = deque()

    def start(self, settings: WorkerSettings, _api_key: str) -> None:
        """A worker that is ready at once, or never."""
        self.started.append((settings.slot, settings.threads))
        if self.script.never_ready:
            self._events.append(
                Died(settings.slot, "ended with exit code 1", is_clean=False)
            )
            return
        self._workers[settings.slot] = _Worker(settings)
        self._events.append(Said(settings.slot, {"is": "ready"}))

    def send(self, slot: int, order: JsonObject) -> None:
        """Take items, or end."""
        worker = self._workers.get(slot)
        if worker is None:
            return
        if order["do"] == "work":
            for row in order["rows"]:
                stored = order["histories"].get(str(row))
                history = History.from_json(stored) if stored else History()
                if self.script.begins_at_once and not history.unjudged:
                    worker.begun[row] = worker.begin(row, history)
                worker.queue.append((row, history))
                self.histories[row] = history
            return
        self._end(slot, Died(slot, "ended", is_clean=True))

    def poll(self, _timeout_s: float) -> Sequence[Event]:
        """One item of each worker is walked; that takes half a second."""
        self._clock.now_s += 0.5
        if (slot := self.script.struck(list(self._workers))) is not None:
            self.kill(slot)
        for slot, worker in list(self._workers.items()):
            if worker.queue:
                self._walk(slot, worker)
        events, self._events = list(self._events), deque()
        return events

    def kill(self, slot: int) -> None:
        """The worker is gone at once."""
        self._end(slot, Died(slot, "killed by SIGKILL", is_clean=False))

    def wake(self, slot: int) -> None:
        """Nobody sleeps."""

    def close(self) -> None:
        """Nothing is left open."""
        for slot in list(self._workers):
            self.kill(slot)

    def _walk(self, slot: int, worker: "_Worker") -> None:
        row, history = worker.queue.popleft()
        self.asked.append(row)
        if row in self.script.killers and (
            self.script.kills_unbegun or history.unjudged
        ):
            self._end(slot, Died(slot, "killed by SIGSEGV", is_clean=False))
            return
        attempt = worker.begun.pop(row, None) or worker.begin(row, history)
        self.sent.append((row, attempt.attempt))
        if row in self.script.killers:
            if self.script.settles_first:
                worker.settle(attempt)
            self._end(slot, Died(slot, "killed by SIGSEGV", is_clean=False))
            return
        shared = worker.shared.read_bytes()
        worker.settle(attempt)
        worker.record(attempt, history)
        if row in self.script.half_seen:
            with worker.shared.open("r+b") as stream:
                stream.write(shared)
        if row in self.script.untold | self.script.half_seen:
            self.script.untold.discard(row)
            self._end(slot, Died(slot, "killed by SIGKILL", is_clean=False))
            return
        self._events.append(Said(slot, worker.told(row, self.script.says(row))))

    def _end(self, slot: int, death: Died) -> None:
        worker = self._workers.pop(slot, None)
        if worker:
            worker.shard.close()
            self._events.append(death)


class _Worker:
    def __init__(self, settings: WorkerSettings) -> None:
        self.shard = Shard(settings.run_folder, settings.slot)
        database = shard_folder(settings.run_folder, settings.slot) / DATABASE
        self.shared = database.with_name(f"{DATABASE}-shm")
        self.index = ItemIndex.open(settings.run_folder / INDEX)
        self.queue: deque[tuple[int, History]] = deque()
        self.begun: dict[int, Attempt] = {}

    def begin(self, row: int, history: History) -> Attempt:
        ref = self.index.ref(row)
        attempt = Attempt(
            number=ref.number,
            item_id=row,
            fingerprint=ref.fingerprint.hex(),
            attempt=history.next_attempt,
            slot=self.shard.slot,
            started_unix_s=1.0,
            endpoint=Endpoint.CHAT,
            request_digest="",
            worst_usd=Decimal("0.01"),
            is_retry=history.requests > 0,
            supersedes=history.unresolved,
        )
        self.shard.begin(attempt)
        return attempt

    def settle(self, attempt: Attempt) -> None:
        done = settled(
            attempt,
            ANSWER,
            usage=Usage(input_tokens=1, output_tokens=1),
            cost_usd=Decimal("0.001"),
            model="m",
            failure_counts=False,
        )
        self.shard.settle(attempt, done, ANSWER.body)

    def record(self, attempt: Attempt, history: History) -> None:
        landed = threading.Event()
        old = history.replaces
        outcome = Outcome(
            number=attempt.number,
            item_id=attempt.item_id,
            fingerprint=attempt.fingerprint,
            state=OutcomeState.VALID,
            generation=old.generation + 1 if old else 0,
            last_attempt=attempt.attempt,
            answer=(attempt.slot, attempt.attempt),
            requests=history.requests + 1,
            finished_unix_s=1.0,
        )
        self.shard.record(outcome, b'{"valid":true}', old, lambda _: landed.set())
        landed.wait()

    def told(self, row: int, more: JsonObject) -> JsonObject:
        return {
            "is": "progress",
            "done": [row],
            "pending": [],
            "failed": [],
            "aside": [],
            "verdicts": [[True, None]],
            "stops": [],
            "crashes": [],
            "totals": self.shard.totals().to_json(),
            "notes": [],
            "blocked_by": None,
            "slowest": [],
            "load": {
                "under_way": 0,
                "waiting": 0,
                "finished": 1,
                "took_s": 0.1,
                "fastest_s": 0.1,
                "throttled": 0,
                "failed": 0,
            },
            **more,
        }
