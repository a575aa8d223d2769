"""Attempts and outcomes to put into a store."""

from decimal import Decimal
from typing import Any

from runner.checkpoint.entries import Attempt, Outcome, settled
from runner.records import Endpoint, Failure, OutcomeState, Reply, Usage


def begun(number: int = 0, attempt: int = 1, **more: Any) -> Attempt:
    """An attempt that is about to be sent, at most $0.01."""
    fields = {
        "number": number,
        "item_id": f"item-{number}",
        "fingerprint": "ab" * 16,
        "attempt": attempt,
        "slot": 1,
        "started_unix_s": 1.5,
        "endpoint": Endpoint.CHAT,
        "request_digest": "cd",
        "worst_usd": Decimal("0.01"),
        "is_retry": attempt > 1,
        **more,
    }
    return Attempt(**fields)


def answered(attempt: Attempt, cost: str | None = "0.001") -> Attempt:
    """The same with an answer of 7 + 3 tokens."""
    return settled(
        attempt,
        reply(),
        usage=Usage(input_tokens=7, output_tokens=3),
        cost_usd=None if cost is None else Decimal(cost),
        model="gpt-4o-mini",
        failure_counts=False,
    )


def failed(attempt: Attempt, failure: Failure, *, counts: bool = True) -> Attempt:
    """The same with a failure."""
    return settled(
        attempt,
        reply(failure),
        usage=None,
        cost_usd=None,
        model=None,
        failure_counts=counts,
    )


def reply(failure: Failure | None = None) -> Reply:
    """What came back."""
    return Reply(
        status=500 if failure else 200,
        headers={"x-request-id": "req_1"},
        body=b"{}",
        latency_s=0.25,
        request_id="req_1",
        failure=failure,
    )


def outcome(number: int = 0, **more: Any) -> Outcome:
    """A valid item after one request."""
    fields = {
        "number": number,
        "item_id": f"item-{number}",
        "fingerprint": "ab" * 16,
        "state": OutcomeState.VALID,
        "last_attempt": 1,
        "answer": (1, 1),
        "requests": 1,
        "finished_unix_s": 2.5,
        **more,
    }
    return Outcome(**fields)
