"""A run that is all but done, without asking a server a million times.

Written through the checkpoint's own committer, record by record, as workers write.
Imported in this project's environment.
"""

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from runner.checkpoint.accounting import (
    Delta,
    add,
    delta_of_attempt,
    delta_of_end,
    delta_of_outcome,
)
from runner.checkpoint.committer import Committer, Write
from runner.checkpoint.entries import (
    Attempt,
    Outcome,
    attempt_key,
    outcome_key,
    settled,
)
from runner.checkpoint.envelope import seal
from runner.checkpoint.history import History
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import shard_folder
from runner.itemfile import ItemIndex
from runner.records import Endpoint, OutcomeState, Reply, Usage
from runner.worker.result import result_json

SLOTS = (1, 2)
_WAIT_EVERY = 2_000
_USAGE = Usage(input_tokens=105, output_tokens=60)
_USD = Decimal("0.00005175")
_WORDS = ("the", "passage", "claims", "that", "items", "are", "read", "in", "order")
_HEADERS = {
    "content-type": "application/json",
    "x-request-id": "req_0123456789abcdef",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "openai-processing-ms": "812",
}


def fill(run_folder: Path, rows: int) -> None:
    """Record a valid answer of 1 KB for each of the first `rows` items."""
    manifest = Manifest.load(run_folder)
    for slot in SLOTS:
        manifest = manifest.with_shard(run_folder, slot)
    index = ItemIndex.open(run_folder / manifest.index)
    known = _known(run_folder, manifest)
    for place, slot in enumerate(SLOTS):
        committer = Committer(shard_folder(run_folder, slot))
        for row in range(place, rows, len(SLOTS)):
            if index.number(row) not in known:
                writes = _writes(index, row, slot)
                _hand_over(committer, writes, is_pause=row % _WAIT_EVERY < len(SLOTS))
        committer.close()
        if committer.failure:
            raise committer.failure


def _known(run_folder: Path, manifest: Manifest) -> set[int]:
    reader = RunReader(run_folder, manifest.run_id, list(manifest.shards), live=False)
    try:
        return {attempt.number for attempt, _ in reader.all_attempts()}
    finally:
        reader.close()


def _hand_over(
    committer: Committer,
    writes: Iterator[tuple[str, bytes, Delta]],
    *,
    is_pause: bool,
) -> None:
    for key, sealed, delta in writes:
        if is_pause:
            committer.write(key, sealed, delta, is_new=True)
        else:
            committer.submit(Write(key, sealed, delta, lambda _error: None, True))


def _writes(
    index: ItemIndex, row: int, slot: int
) -> Iterator[tuple[str, bytes, Delta]]:
    ref = index.ref(row)
    begun = Attempt(
        number=ref.number,
        item_id=f"item-{row:07d}",
        fingerprint=ref.fingerprint.hex(),
        attempt=1,
        slot=slot,
        started_unix_s=1_800_000_000.0,
        endpoint=Endpoint.CHAT,
        request_digest="0123456789abcdef0123456789abcdef",
        worst_usd=Decimal("0.0002"),
    )
    text = " ".join(random.Random(row).choices(_WORDS, k=60))
    ended = settled(
        begun,
        _reply(_body(text)),
        usage=_USAGE,
        cost_usd=_USD,
        model="bench",
        failure_counts=False,
    )
    delta = delta_of_attempt(begun)
    add(delta, delta_of_end(begun, ended))
    key = attempt_key(ref.number, 1)
    yield key, seal(key, ended.to_json(), _body(text)), delta
    outcome = Outcome(
        number=ref.number,
        item_id=begun.item_id,
        fingerprint=begun.fingerprint,
        state=OutcomeState.VALID,
        last_attempt=1,
        answer=(slot, 1),
        requests=1,
        finished_unix_s=1_800_000_001.0,
    )
    result = result_json(outcome, text, None, ended, History())
    key = outcome_key(ref.number)
    yield key, seal(key, outcome.to_json(), result), delta_of_outcome(outcome)


def _body(text: str) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 105, "completion_tokens": 60, "total_tokens": 165}
    answer = {
        "id": "chatcmpl-0123456789abcdef0123456789ab",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "bench",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
    return json.dumps(answer, indent=2).encode()


def _reply(body: bytes) -> Reply:
    return Reply(
        status=200,
        headers=_HEADERS,
        body=body,
        latency_s=0.9,
        request_id="req_0123456789abcdef",
        failure=None,
    )
