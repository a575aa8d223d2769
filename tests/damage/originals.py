"""Two runs as they are before anything happens to them: a finished and a killed one.

Made through the production Shard, without a server.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from runner.answers import read_answer
from runner.api import Run
from runner.checkpoint.entries import (
    Attempt,
    InvalidAnswer,
    Outcome,
    attempt_key,
    settled,
)
from runner.checkpoint.envelope import seal
from runner.checkpoint.history import history_of
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.rescue import RescueFile
from runner.checkpoint.shard import Shard, shard_folder
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.itemfile import ItemIndex
from runner.records import (
    Endpoint,
    Failure,
    FailureKind,
    JsonObject,
    OutcomeState,
    Reply,
    Totals,
    Usage,
)
from runner.run_status import RunState, RunStatus
from runner.supervisor.heartbeat import write_heartbeat
from runner.worker.result import result_json

ITEMS = 48
SLOTS = (0, 1, 2)
_FAILURE = Failure(kind=FailureKind.SERVER, message="HTTP 500", status=500)
_SESSION: JsonObject = {
    "session": 1,
    "started_unix_s": 1.0,
    "workers": 2,
    "threads": 1,
    "rpm": None,
    "tpm": None,
    "totals_before": {},
}
_LATE = Failure(kind=FailureKind.TIMEOUT, message="no reply", possibly_billed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A run before the damage."""

    name: str
    folder: Path
    """Its folder, with the -wal files of a run that was killed."""
    earlier: Path
    """The same folder, earlier: what an old backup holds."""


class Maker:
    """Fills a run as its workers would."""

    def __init__(self, home: Path, name: str, items: int = ITEMS) -> None:
        """Create the run; its items file is `home/<name>.jsonl`."""
        items_path = home / f"{name}.jsonl"
        lines = [
            json.dumps({"id": f"{name}-{n}", "text": "x" * n}) for n in range(items)
        ]
        items_path.write_text("\n".join(lines) + "\n")
        config = RunConfig(
            items_path=items_path,
            task=TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
            service=Service(scenario="latency=0"),
            pacing=Pacing(workers=1, threads=1, min_free_bytes=0),
            output=default_output(items_path),
            engine="inline",
        )
        run = Run.start(config, name=name, state_dir=home / "state")
        self.name = name
        self.folder = run.folder
        self.manifest = Manifest.load(self.folder)
        for slot in SLOTS:
            self.manifest = self.manifest.with_shard(self.folder, slot)
        self._index = ItemIndex.open(self.folder / self.manifest.index)
        self._past: dict[int, list[Attempt]] = {}
        self._outcomes: dict[int, Outcome] = {}
        self.shards = {slot: Shard(self.folder, slot) for slot in SLOTS}
        self.shards[0].note("s/000001", _SESSION)

    def begin(self, number: int) -> Attempt:
        """The next request of an item is about to be sent."""
        past = self._past.setdefault(number, [])
        history = history_of(past)
        answers = [a for a in past if a.is_answer]
        untold = answers[-1] if answers and past[-1] is answers[-1] else None
        attempt = Attempt(
            number=number,
            item_id=f"{self.name}-{number}",
            fingerprint=self._index.ref(number).fingerprint.hex(),
            attempt=history.next_attempt,
            slot=1 + number % 2,
            started_unix_s=float(number),
            endpoint=Endpoint.CHAT,
            request_digest="ab",
            worst_usd=Decimal("0.01"),
            is_retry=history.requests > 0,
            supersedes=history.unresolved,
            follows_invalid=InvalidAnswer(
                attempt=untold.attempt, cost_usd=untold.cost_usd
            )
            if untold
            else None,
        )
        self.shards[attempt.slot].begin(attempt)
        past.append(attempt)
        return attempt

    def settle(self, attempt: Attempt, failure: Failure | None = None) -> Attempt:
        """Something came back."""
        done, body = _settled(attempt, failure)
        self.shards[attempt.slot].settle(attempt, done, body)
        self._past[attempt.number][-1] = done
        return done

    def rescue(self, attempt: Attempt) -> None:
        """An answer came back that the database did not take."""
        done, body = _settled(attempt, None)
        key = attempt_key(attempt.number, attempt.attempt)
        file = RescueFile(shard_folder(self.folder, attempt.slot), 4096)
        file.keep(key, seal(key, done.to_json(), body))
        file.close()

    def record(
        self, number: int, state: OutcomeState, *, slot: int | None = None
    ) -> None:
        """The item has its outcome, perhaps another one than before."""
        past = self._past[number]
        history = history_of(past)
        answers = [a for a in past if a.is_answer]
        last = answers[-1] if answers and state is not OutcomeState.FAILED else None
        invalid = answers if state is not OutcomeState.VALID else answers[:-1]
        outcome = Outcome(
            number=number,
            item_id=f"{self.name}-{number}",
            fingerprint=past[-1].fingerprint,
            state=state,
            generation=0 if slot is None else 1,
            last_attempt=past[-1].attempt,
            answer=(last.slot, last.attempt) if last else None,
            requests=history.requests,
            invalid_answers=len(invalid),
            invalid_answers_usd=Decimal("0.001") * len(invalid),
            told_invalid_answers=history.told_invalid_answers,
            told_invalid_usd=history.told_invalid_usd,
            finished_unix_s=9.0,
        )
        replaced = None if slot is None else self._outcomes[number]
        self._outcomes[number] = outcome
        answer = read_answer(Endpoint.CHAT, _body(last)) if last else None
        result = result_json(outcome, answer and answer.response, answer, last, history)
        where = past[-1].slot if slot is None else slot
        self.shards[where].record_now(outcome, result, replaced)

    def mark(self) -> None:
        """As the supervisor does once a minute."""
        self.manifest = self.manifest.with_marks(self.totals())
        self.manifest.save(self.folder)

    def beat(self, state: RunState) -> None:
        """As the supervisor does once a second."""
        totals = sum(self.totals().values(), Totals())
        status = RunStatus(
            run=self.name,
            state=state,
            stopped_because=None,
            items=len(self._index),
            totals=totals,
            unresolved=totals.open,
            in_flight=0,
            requests_per_minute=None,
            tokens_per_minute=None,
        )
        write_heartbeat(self.folder, status)

    def totals(self) -> dict[int, Totals]:
        """Those of each shard."""
        return {slot: shard.totals() for slot, shard in self.shards.items()}

    def work(self, numbers: Sequence[int]) -> None:
        """Ask these items: most are valid, some need several requests."""
        for number in numbers:
            done = self.settle(
                self.begin(number), _FAILURE if number % 7 == 3 else None
            )
            if done.failure:
                self.settle(self.begin(number))
            if number % 5 == 4:
                self.settle(self.begin(number))
            if number % 11 == 10:
                self.settle(self.begin(number), _LATE)
                self.record(number, OutcomeState.FAILED)
            elif number % 13 == 12:
                self.record(number, OutcomeState.INVALID)
                self.record(number, OutcomeState.VALID, slot=0)  # rejudged
            else:
                self.record(number, OutcomeState.VALID)

    def close(self) -> None:
        """All databases are closed, their -wal files taken in."""
        for shard in self.shards.values():
            shard.close()


def finished(home: Path) -> Original:
    """Every item has its outcome."""
    maker = Maker(home, "finished")
    maker.work(range(20))
    maker.mark()
    earlier = home / "finished-earlier"
    shutil.copytree(maker.folder, earlier)
    maker.work(range(20, ITEMS))
    maker.close()
    maker.mark()
    maker.beat(RunState.FINISHED)
    return Original(name="finished", folder=maker.folder, earlier=earlier)


def killed(home: Path) -> Original:
    """Half of them have; some requests are open, some replies not judged."""
    maker = Maker(home, "killed")
    maker.work(range(10))
    maker.mark()
    earlier = home / "killed-earlier"
    shutil.copytree(maker.folder, earlier)
    maker.work(range(10, 24))
    for number in (24, 25, 26):
        maker.settle(maker.begin(number))  # not judged
    maker.begin(27)
    maker.begin(28)
    maker.settle(maker.begin(29), _FAILURE)
    for number in (30, 31):
        maker.rescue(maker.begin(number))
    maker.beat(RunState.RUNNING)
    frozen = home / "frozen"
    shutil.copytree(maker.folder, frozen)
    maker.close()
    shutil.rmtree(maker.folder)
    frozen.rename(maker.folder)  # as SIGKILL leaves it, -wal files and all
    return Original(name="killed", folder=maker.folder, earlier=earlier)


def _settled(attempt: Attempt, failure: Failure | None) -> tuple[Attempt, bytes]:
    body = b"" if failure else _body(attempt)
    reply = Reply(
        status=failure.status if failure else 200,
        headers={},
        body=body,
        latency_s=0.5,
        request_id=f"req-{attempt.number}-{attempt.attempt}",
        failure=failure,
    )
    done = settled(
        attempt,
        reply,
        usage=None if failure else Usage(input_tokens=3, output_tokens=2),
        cost_usd=None if failure else Decimal("0.001"),
        model=None if failure else "gpt-4o-mini",
        failure_counts=failure is not None,
    )
    return done, body


def _body(attempt: Attempt) -> bytes:
    text = f"answer {attempt.attempt} to item {attempt.number}: {'y' * 300}"
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    reply = {"model": "gpt-4o-mini", "choices": [choice], "usage": usage}
    return json.dumps(reply).encode("ascii")
