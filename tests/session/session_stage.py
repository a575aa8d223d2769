"""Whole sessions without a server: workers that record for real, as they are told."""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from fake_clock import FakeClock

from runner.api import Run
from runner.api_records import Finish, Progress
from runner.checkpoint.entries import Attempt, Outcome, settled
from runner.checkpoint.history import History
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard
from runner.config import Pacing, RunConfig, TaskSpec, default_output
from runner.itemfile import ItemIndex
from runner.protocols import Died, Event, Said, WorkerSettings
from runner.records import Endpoint, JsonObject, OutcomeState, Reply, Usage
from runner.run_status import RunStatus
from runner.session.working import Wishes, work

KEY = "sk-canary-0123456789"


class Killed(BaseException):
    """Everything ends here, as by SIGKILL: nobody catches it on the way."""


@dataclass
class Script:
    """What the one worker does."""

    states: Callable[[int], OutcomeState] = lambda _row: OutcomeState.VALID
    """What becomes of an item, by its row."""
    killed_after: int | None = None
    """So many items are recorded; the next is begun, and everything is killed."""
    question: str = ""
    """Stands for all that is asked: prompt, model, parameters."""
    worker_dies_at: int | None = None
    """A row whose first request takes the worker with it."""


class ScriptedEngine:
    """One worker without a process: one item a poll."""

    def __init__(self, script: Script, clock: FakeClock) -> None:
        self._script = script
        self._clock = clock
        self.asked: list[int] = []
        self._worker: _Worker | None = None
        self._events: deque[Event] = deque()

    def start(self, settings: WorkerSettings, _api_key: str) -> None:
        """It is ready at once."""
        self._worker = _Worker(settings)
        self._events.append(Said(settings.slot, {"is": "ready"}))

    def send(self, slot: int, order: JsonObject) -> None:
        """Take items, or end."""
        if self._worker is None:
            return
        if order["do"] != "work":
            self._end(Died(slot, "ended", is_clean=True))
            return
        for row in order["rows"]:
            stored = order["histories"].get(str(row))
            history = History.from_json(stored) if stored else History()
            self._worker.queue.append((row, history))

    def poll(self, _timeout_s: float) -> Sequence[Event]:
        """One item is walked; that takes half a second."""
        self._clock.now_s += 0.5
        if self._worker and self._worker.queue:
            self._walk(self._worker)
        events, self._events = list(self._events), deque()
        return events

    def kill(self, slot: int) -> None:
        """The worker is gone at once."""
        self._end(Died(slot, "killed by SIGKILL", is_clean=False))

    def wake(self, slot: int) -> None:
        """Nobody sleeps."""

    def close(self) -> None:
        """Nothing is left open."""
        if self._worker:
            self.kill(self._worker.shard.slot)

    def _walk(self, worker: "_Worker") -> None:
        script = self._script
        row, history = worker.queue.popleft()
        attempt = worker.begin(row, history, script.question)
        if len(self.asked) == script.killed_after:
            worker.shard.close()
            self._worker = None
            raise Killed
        if row == script.worker_dies_at:
            script.worker_dies_at = None
            self.kill(worker.shard.slot)
            return
        self.asked.append(row)
        self._events.append(worker.answered(row, attempt, history, script.states(row)))

    def _end(self, death: Died) -> None:
        if self._worker:
            self._worker.shard.close()
            self._worker = None
            self._events.append(death)


class _Worker:
    def __init__(self, settings: WorkerSettings) -> None:
        self.shard = Shard(settings.run_folder, settings.slot)
        manifest = Manifest.load(settings.run_folder)
        self._index = ItemIndex.open(settings.run_folder / manifest.index)
        self.queue: deque[tuple[int, History]] = deque()

    def begin(self, row: int, history: History, question: str) -> Attempt:
        ref = self._index.ref(row)
        attempt = Attempt(
            number=ref.number,
            item_id=row,
            fingerprint=ref.fingerprint.hex(),
            attempt=history.next_attempt,
            slot=self.shard.slot,
            started_unix_s=1.0,
            endpoint=Endpoint.CHAT,
            request_digest=question,
            worst_usd=Decimal("0.01"),
            is_retry=history.requests > 0,
            supersedes=history.unresolved,
        )
        self.shard.begin(attempt)
        return attempt

    def answered(
        self, row: int, attempt: Attempt, history: History, state: OutcomeState
    ) -> Said:
        body = _body(_response(row, attempt.attempt))
        reply = Reply(
            status=200, headers={}, body=body, latency_s=0.1, request_id=None,
            failure=None,
        )  # fmt: skip
        done = settled(
            attempt,
            reply,
            usage=Usage(input_tokens=1, output_tokens=1),
            cost_usd=Decimal("0.001"),
            model="gpt-4o-mini",
            failure_counts=False,
        )
        self.shard.settle(attempt, done, body)
        self._record(attempt, history, state)
        return Said(self.shard.slot, self._told(row))

    def _record(self, attempt: Attempt, history: History, state: OutcomeState) -> None:
        landed = threading.Event()
        old = history.replaces
        is_failed = state is OutcomeState.FAILED
        outcome = Outcome(
            number=attempt.number,
            item_id=attempt.item_id,
            fingerprint=attempt.fingerprint,
            state=state,
            generation=old.generation + 1 if old else 0,
            last_attempt=attempt.attempt,
            answer=None if is_failed else (attempt.slot, attempt.attempt),
            requests=history.requests + 1,
            finished_unix_s=1.0,
        )
        response = _response(attempt.item_id, attempt.attempt)
        is_valid = state is OutcomeState.VALID
        result = json.dumps({"response": response, "valid": is_valid}).encode("ascii")
        self.shard.record(outcome, result, old, lambda _: landed.set())
        landed.wait()

    def _told(self, row: int) -> JsonObject:
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
            "blocked_by": None,
        }


@dataclass
class Stage:
    """One run of a few items, and sessions on it."""

    folder: Path
    clock: FakeClock
    engines: list[ScriptedEngine] = field(default_factory=list)
    script: Script = field(default_factory=Script)

    @property
    def items_path(self) -> Path:
        """The items file."""
        return self.folder / "items.jsonl"

    @property
    def state_dir(self) -> Path:
        """Where runs live."""
        return self.folder / "state"

    @property
    def run(self) -> Run:
        """The run, as a command opens it."""
        return Run.open("items", self.state_dir)

    @property
    def manifest(self) -> Manifest:
        """What the run is, on disk."""
        return Manifest.load(self.run.folder)

    def write_items(self, *texts: str) -> None:
        """One item a text; equal texts are equal items."""
        lines = [json.dumps({"id": text, "text": text}) + "\n" for text in texts]
        self.items_path.write_text("".join(lines))

    def config(self, **changes: Any) -> RunConfig:
        """What is asked here."""
        config = RunConfig(
            items_path=self.items_path,
            task=TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
            pacing=Pacing(workers=1, threads=1, min_free_bytes=0),
            output=default_output(self.items_path),
        )
        return replace(config, **changes)

    def start(self, *texts: str, **changes: Any) -> None:
        """Create the run; nothing is asked yet."""
        self.write_items(*texts)
        Run.start(self.config(**changes), state_dir=self.state_dir)

    def session(
        self,
        script: Script | None = None,
        *,
        on_status: Callable[[RunStatus], None] = lambda _: None,
        on_progress: Progress | None = None,
        **wishes: Any,
    ) -> Finish:
        """Work on the run as a start or resume does."""
        self.script = script or Script()
        return work(
            self.run.folder,
            api_key=KEY,
            wishes=Wishes(**wishes),
            clock=self.clock,
            on_status=on_status,
            on_progress=on_progress,
        )

    @property
    def asked(self) -> list[int]:
        """Rows that were answered in the last session with a worker."""
        return sorted(self.engines[-1].asked)

    def states(self) -> list[OutcomeState]:
        """The outcome of each item, by number."""
        return [outcome.state for outcome in self.outcomes()]

    def outcomes(self) -> list[Outcome]:
        """The latest outcomes, by number."""
        manifest = self.manifest
        reader = RunReader(
            self.run.folder, manifest.run_id, list(manifest.shards), live=True
        )
        found = [outcome for outcome, _ in reader.outcomes()]
        reader.close()
        return found

    def sessions(self) -> list[JsonObject]:
        """The sessions that were noted."""
        manifest = self.manifest
        reader = RunReader(
            self.run.folder, manifest.run_id, list(manifest.shards), live=True
        )
        found = reader.sessions()
        reader.close()
        return found

    def next_engine(self, _name: str) -> ScriptedEngine:
        """In the place of `engines.load`."""
        self.engines.append(ScriptedEngine(self.script, self.clock))
        return self.engines[-1]


def valid_but(*rows: int, state: OutcomeState) -> Callable[[int], OutcomeState]:
    """These rows come to that state, all others are valid."""
    return lambda row: state if row in rows else OutcomeState.VALID


def _response(row: object, attempt: int) -> str:
    return f"row {row}, attempt {attempt}"


def _body(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    reply = {"model": "gpt-4o-mini", "choices": [choice], "usage": usage}
    return json.dumps(reply).encode("ascii")
