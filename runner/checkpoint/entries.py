"""What stands in the checkpoint: attempts and outcomes, and their JSON.

Keys sort in item order, so that a scan is a merge:
`a/<item number>/<attempt>` one send · `o/<item number>` what became of an item ·
`m/...` facts about the shard · `s/<session>` one start or resume (shard 0).

Floor: doors and rules.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from runner.records import (
    AttemptState,
    Endpoint,
    Failure,
    FailureKind,
    JsonObject,
    JsonScalar,
    OutcomeState,
    Reply,
    Usage,
)

TOTALS_KEY = "m/totals"
IDENTITY_KEY = "m/identity"
CARRIED_KEY = "m/carried"
RECORD_VERSION = 3
"""What records mean; raised when an older program would misread them."""


_SPREAD, _PRIME = 1_000_003, 2_147_483_629
KEY_CHECK_SQL = f"""
    SELECT count(*), coalesce(sum(folded * folded % {_PRIME}), 0) FROM (
        SELECT (CAST(substr(key, 3, 10) AS INTEGER) * {_SPREAD}
            + CAST(substr(key, 14) AS INTEGER)) % {_PRIME} AS folded
        FROM Cache WHERE key > ? AND key < ? AND raw = 1
    )
"""  # noqa: S608 - two numbers of ours
"""How many keys stand between two, and the sum of their checks."""


def attempt_key(number: int, attempt: int) -> str:
    """Where one send of item `number` stands."""
    return f"a/{number:010d}/{attempt:06d}"


def outcome_key(number: int) -> str:
    """Where the outcome of item `number` stands."""
    return f"o/{number:010d}"


def number_of(key: str) -> int:
    """The item number inside an attempt's or outcome's key."""
    return int(key[2:12])


def key_check(number: int, attempt: int = 0) -> int:
    """What one key adds to the check over all keys; attempt 0 is the outcome.

    Squared, so that no two altered keys make up for each other by chance; small
    enough that SQLite can add up as many as there can be. `KEY_CHECK_SQL` is the
    same for a whole shard.
    """
    folded = (number * _SPREAD + attempt) % _PRIME
    return folded * folded % _PRIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An unresolved attempt that a later one asks again."""

    attempt: int
    worst_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidAnswer:
    """An answer judged not valid; the send that follows it tells of it."""

    attempt: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One send of one item: begun on disk before it leaves, then settled."""

    number: int
    item_id: JsonScalar
    fingerprint: str
    attempt: int
    state: AttemptState = AttemptState.OPEN
    slot: int
    started_unix_s: float
    endpoint: Endpoint
    request_digest: str
    worst_usd: Decimal | None
    """The highest price this send can have; None: unknown."""
    is_retry: bool = False
    failures_before: int = 0
    """Failures that counted against the item when this send began."""
    supersedes: tuple[Superseded, ...] = ()
    follows_invalid: InvalidAnswer | None = None
    """The answer that this send asks again for, where none before has told of it."""
    latency_s: float | None = None
    status: int | None = None
    request_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    failure_counts: bool = False
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    model: str | None = None

    @property
    def is_answer(self) -> bool:
        """Whether a reply of any worth is on disk."""
        return self.state is AttemptState.SETTLED and self.failure is None

    def to_json(self) -> JsonObject:
        """Stored fields; what is empty is left out."""
        always: JsonObject = {
            "v": RECORD_VERSION,
            "number": self.number,
            "item_id": self.item_id,
            "fingerprint": self.fingerprint,
            "attempt": self.attempt,
            "state": str(self.state),
            "slot": self.slot,
            "started_unix_s": self.started_unix_s,
            "endpoint": str(self.endpoint),
            "request_digest": self.request_digest,
        }
        perhaps: JsonObject = {
            "worst_usd": _text(self.worst_usd),
            "is_retry": self.is_retry,
            "failures_before": self.failures_before,
            "supersedes": [[s.attempt, _text(s.worst_usd)] for s in self.supersedes],
            "follows_invalid": self.follows_invalid
            and [self.follows_invalid.attempt, _text(self.follows_invalid.cost_usd)],
            "latency_s": self.latency_s,
            "status": self.status,
            "request_id": self.request_id,
            "headers": self.headers,
            "failure": self.failure and _failure_json(self.failure),
            "failure_counts": self.failure_counts,
            "usage": self.usage and self.usage.to_json(),
            "cost_usd": _text(self.cost_usd),
            "model": self.model,
        }
        # An item's id may be `false`: that is not empty.
        return always | {n: v for n, v in perhaps.items() if not _is_empty(v)}

    @classmethod
    def from_json(cls, stored: JsonObject) -> "Attempt":
        """The inverse of `to_json`."""
        fields = {name: value for name, value in stored.items() if name != "v"}
        fields["state"] = AttemptState(stored["state"])
        fields["endpoint"] = Endpoint(stored["endpoint"])
        fields["worst_usd"] = _money(stored.get("worst_usd"))
        fields["cost_usd"] = _money(stored.get("cost_usd"))
        fields["supersedes"] = tuple(
            Superseded(attempt=attempt, worst_usd=_money(worst))
            for attempt, worst in stored.get("supersedes", ())
        )
        if "follows_invalid" in fields:
            before, cost_usd = fields["follows_invalid"]
            fields["follows_invalid"] = InvalidAnswer(
                attempt=before, cost_usd=_money(cost_usd)
            )
        if "failure" in fields:
            failure = dict(fields["failure"])
            failure["kind"] = FailureKind(failure["kind"])
            fields["failure"] = Failure(**failure)
        if "usage" in fields:
            fields["usage"] = Usage(**fields["usage"])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an item; the finished result object is stored beside it."""

    number: int
    item_id: JsonScalar
    fingerprint: str
    state: OutcomeState
    generation: int = 0
    """A later one (rejudged, retried) has a higher number, and wins."""
    last_attempt: int = 0
    answer: tuple[int, int] | None = None
    """Slot and attempt whose reply became the response."""
    requests: int = 0
    invalid_answers: int = 0
    invalid_answers_usd: Decimal = Decimal(0)
    told_invalid_answers: int = 0
    """Those that the item's attempts have added to the totals already."""
    told_invalid_usd: Decimal = Decimal(0)
    reason: str | None = None
    finished_unix_s: float

    def to_json(self) -> JsonObject:
        """Stored fields; what is empty is left out."""
        stored: JsonObject = {
            "v": RECORD_VERSION,
            "number": self.number,
            "item_id": self.item_id,
            "fingerprint": self.fingerprint,
            "state": str(self.state),
            "generation": self.generation,
            "last_attempt": self.last_attempt,
            "answer": list(self.answer) if self.answer else None,
            "requests": self.requests,
            "invalid_answers": self.invalid_answers,
            "invalid_answers_usd": str(self.invalid_answers_usd),
            "told_invalid_answers": self.told_invalid_answers,
            "told_invalid_usd": str(self.told_invalid_usd),
            "reason": self.reason,
            "finished_unix_s": self.finished_unix_s,
        }
        return {name: value for name, value in stored.items() if value is not None}

    @classmethod
    def from_json(cls, stored: JsonObject) -> "Outcome":
        """The inverse of `to_json`."""
        fields = dict(stored)
        del fields["v"]
        fields["state"] = OutcomeState(stored["state"])
        fields["invalid_answers_usd"] = Decimal(stored["invalid_answers_usd"])
        fields["told_invalid_usd"] = Decimal(stored["told_invalid_usd"])
        if "answer" in fields:
            slot, attempt = fields["answer"]
            fields["answer"] = (slot, attempt)
        return cls(**fields)


def settled(
    attempt: Attempt,
    reply: Reply,
    *,
    usage: Usage | None,
    cost_usd: Decimal | None,
    model: str | None,
    failure_counts: bool,
) -> Attempt:
    """The attempt with what came back."""
    not_sent = reply.failure is not None and reply.failure.kind is FailureKind.NOT_SENT
    return replace(
        attempt,
        state=AttemptState.NOT_SENT if not_sent else AttemptState.SETTLED,
        latency_s=round(reply.latency_s, 4),
        status=reply.status,
        request_id=reply.request_id,
        headers=reply.headers,
        failure=reply.failure,
        failure_counts=failure_counts,
        usage=usage,
        cost_usd=cost_usd,
        model=model,
    )


def _is_empty(value: object) -> bool:
    # By identity: 0 is equal to False, and item number 0 is not empty.
    return value is None or value is False or (not value and value in ([], {}))


def _failure_json(failure: Failure) -> JsonObject:
    stored = {
        "kind": str(failure.kind),
        "message": failure.message,
        "status": failure.status,
        "code": failure.code,
        "retry_after_s": failure.retry_after_s,
        "possibly_billed": failure.possibly_billed,
    }
    return {name: value for name, value in stored.items() if value is not None}


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)


def _money(stored: str | None) -> Decimal | None:
    return None if stored is None else Decimal(stored)
