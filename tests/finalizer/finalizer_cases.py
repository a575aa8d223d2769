"""A run as the workers leave it: real shards, a real index, real items."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner.checkpoint.entries import Attempt, Outcome, Superseded, settled
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard, create_shard
from runner.config import RunConfig, Service, TaskSpec, default_output
from runner.finalizer import export
from runner.itemfile import ItemIndex, ItemReader, RejectedFile, scan
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
from runner.run_folder import INDEX, REJECTED
from runner.run_status import RunState
from runner.summary import Summary

RUN_ID = "abc123"
CUT = Failure(kind=FailureKind.CUT, message="cut off", possibly_billed=True)


@dataclass
class Night:
    """One run over `items.jsonl`; every method does what a session would."""

    folder: Path
    config: RunConfig
    index: ItemIndex
    shards: dict[int, Shard]
    _attempts: dict[int, int] = field(default_factory=dict)
    _is_live: bool = True

    @property
    def items_path(self) -> Path:
        """Where the items are."""
        return self.config.items_path

    @property
    def processed(self) -> bytes:
        """The processed file."""
        return self.config.output.processed_path.read_bytes()

    @property
    def failed(self) -> bytes:
        """The failed file."""
        return self.config.output.failed_path.read_bytes()

    @property
    def summary(self) -> JsonObject:
        """The summary file, parsed."""
        stored: JsonObject = json.loads(self.config.output.summary_path.read_bytes())
        return stored

    def totals(self) -> Totals:
        """The run's totals, as its shards have them."""
        counts = (shard.totals() for shard in self.shards.values())
        return sum(counts, Totals())

    def begin(self, row: int, slot: int = 1, **more: Any) -> Attempt:
        """About to send."""
        ref = self.index.ref(row)
        attempt = Attempt(
            **{
                "number": ref.number,
                "item_id": self._item_id(row),
                "fingerprint": ref.fingerprint.hex(),
                "attempt": self._attempts.get(ref.number, 0) + 1,
                "slot": slot,
                "started_unix_s": 1.5,
                "endpoint": Endpoint.CHAT,
                "request_digest": "cd",
                "worst_usd": Decimal("0.01"),
                "is_retry": ref.number in self._attempts,
                **more,
            }
        )
        self._attempts[ref.number] = attempt.attempt
        self.shards[slot].begin(attempt)
        return attempt

    def settle(
        self,
        begun: Attempt,
        *,
        body: bytes = b"{}",
        usage: Usage | None = None,
        cost: str | None = "0.001",
        failure: Failure | None = None,
        status: int | None = 200,
    ) -> Attempt:
        """Received: an answer, or a failure."""
        reply = Reply(
            status=status,
            headers={},
            body=body,
            latency_s=0.25,
            request_id=f"req_{begun.number}_{begun.attempt}",
            failure=failure,
        )
        done = settled(
            begun,
            reply,
            usage=None if failure else usage or Usage(input_tokens=7, output_tokens=3),
            cost_usd=None if failure or cost is None else Decimal(cost),
            model="gpt-4o-mini",
            failure_counts=failure is not None,
        )
        self.shards[begun.slot].settle(begun, done, body)
        return done

    def record(
        self,
        row: int,
        state: OutcomeState = OutcomeState.VALID,
        *,
        slot: int = 1,
        generation: int = 0,
        result: bytes | None = None,
        answer: Attempt | None = None,
        replaced: Outcome | None = None,
        **more: Any,
    ) -> Outcome:
        """What became of the item in that row."""
        ref = self.index.ref(row)
        outcome = Outcome(
            **{
                "number": ref.number,
                "item_id": self._item_id(row),
                "fingerprint": ref.fingerprint.hex(),
                "state": state,
                "generation": generation,
                "answer": answer and (answer.slot, answer.attempt),
                "last_attempt": self._attempts.get(ref.number, 0),
                "finished_unix_s": 2.5,
                **more,
            }
        )
        made = result_of(f"{ref.line}.{generation}", valid=state is OutcomeState.VALID)
        self.shards[slot].record_now(
            outcome, made if result is None else result, replaced
        )
        return outcome

    def answer(self, row: int, *, slot: int = 1, body: bytes = b"{}") -> Outcome:
        """Ask, receive, judge valid, record."""
        done = self.settle(self.begin(row, slot), body=body)
        return self.record(row, slot=slot, answer=done)

    def close(self) -> None:
        """End all writing: no thread is left, as in a later `runner export`."""
        self._is_live = False
        for shard in self.shards.values():
            shard.close()

    def note_session(self, number: int, **fields: Any) -> None:
        """Note a session, as the supervisor does."""
        stored = {"session": number, "workers": 2, "threads": 8, **fields}
        self.shards[0].note(f"s/{number:06d}", stored)

    def rescan(self) -> None:
        """What --accept-changes does with a changed items file."""
        self.index = scanned(self.folder, self.config, self.index)

    def export(
        self, prepare: Callable[[], None] = lambda: None, **more: Any
    ) -> Summary:
        """Write the three files; `prepare` is called when all is open."""
        with self.reading() as reader:
            prepare()
            return export(
                **{
                    "run_folder": self.folder,
                    "manifest": self.manifest(),
                    "index": self.index,
                    "reader": reader,
                    "output": self.config.output,
                    "state": RunState.FINISHED,
                    "stopped_because": None,
                    "price_source": "--price m",
                    "now_unix_s": 100.0,
                    **more,
                }
            )

    def items(self) -> ItemReader:
        """The items' bytes."""
        return ItemReader(self.items_path, self.index, self.config.id_field)

    @contextlib.contextmanager
    def reading(self) -> Iterator[RunReader]:
        """What is recorded."""
        reader = RunReader(self.folder, RUN_ID, list(self.shards), live=False)
        yield reader
        reader.close()

    def manifest(self) -> Manifest:
        """The run's manifest as it would be now."""
        return Manifest(
            run="night",
            run_id=RUN_ID,
            created_unix_s=1.0,
            config=self.config,
            identity={},
            items=len(self.index),
            items_sha256="",
            items_bytes=0,
            next_number=self.index.next_number,
            shards=tuple(self.shards),
        )

    def use(self, **changes: Any) -> None:
        """Change the config."""
        self.config = replace(self.config, **changes)

    def _item_id(self, row: int) -> Any:
        with self.items() as items:
            return items.read(row).item_id


def unresolved(attempt: Attempt) -> Superseded:
    """The attempt as a later one names it that asks again."""
    return Superseded(attempt=attempt.attempt, worst_usd=attempt.worst_usd)


def result_of(response: Any, *, valid: bool = True) -> bytes:
    """A finished result object, as it is stored."""
    return json.dumps(
        {"response": response, "valid": valid}, separators=(",", ":")
    ).encode("ascii")


def new_night(
    folder: Path, items: bytes, *, slots: int = 2, **config: Any
) -> Iterator[Night]:
    """A run that has not sent anything yet."""
    items_path = folder / "items.jsonl"
    items_path.write_bytes(items)
    made = RunConfig(
        **{
            "items_path": items_path,
            "task": TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
            "service": Service(simulated=True),
            "output": default_output(items_path),
            **config,
        }
    )
    run_folder = folder / "state" / "night"
    run_folder.mkdir(parents=True)
    index = scanned(run_folder, made, None)
    with contextlib.ExitStack() as opened:
        shards: dict[int, Shard] = {}
        for slot in range(slots + 1):
            create_shard(run_folder, RUN_ID, slot)
            shards[slot] = opened.enter_context(
                contextlib.closing(Shard(run_folder, slot))
            )
        yield Night(run_folder, made, index, shards)


def scanned(run_folder: Path, config: RunConfig, known: ItemIndex | None) -> ItemIndex:
    """Index the items, as start and --accept-changes do."""
    with RejectedFile(run_folder / REJECTED) as rejected:
        found = scan(
            config.items_path,
            id_field=config.id_field,
            result_key=config.output.result_key,
            on_bad_line=config.on_bad_line,
            known=known,
            on_rejected=rejected.write,
        )
    found.index.save(run_folder / INDEX)
    return found.index


def lines_of(data: bytes) -> list[JsonObject]:
    """Every line, parsed strictly."""
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line, parse_constant=_refuse) for line in data.split(b"\n")[:-1]]


def responses(data: bytes, key: str = "llm") -> list[Any]:
    """The response in every line."""
    return [line[key]["response"] for line in lines_of(data)]


def texts(*texts: str) -> bytes:
    """Items with a text and no id."""
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def numbered(count: int) -> bytes:
    """Items with ids from 0."""
    return b"".join(b'{"id": %d}\n' % number for number in range(count))


def folder_content(folder: Path) -> Mapping[str, bytes]:
    """Every file in a folder, hidden ones too."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def _refuse(name: str) -> None:
    raise ValueError(name)
