"""The words: what an item, a request, a reply, an outcome and a total are.

Durations end in `_s` (monotonic seconds), wall-clock stamps in `_unix_s`, money
in `_usd` (Decimal, a string in JSON), counts of tokens in `_tokens`. Unknown is
None, never 0.

Floor: words. Knows nobody.
"""

import dataclasses
import operator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

JsonObject = dict[str, Any]
JsonScalar = str | int | float | bool
MOST_RETRY_AFTER_S = 900.0
"""A server may ask for a day; after 15 minutes we look whether it meant it."""


class Endpoint(StrEnum):
    """Which shape a request and its answer have."""

    CHAT = "chat"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    OTHER = "other"
    """A Batch-API line for some other path: any well-formed 200 is valid."""


PATHS = {
    Endpoint.CHAT: "/chat/completions",
    Endpoint.RESPONSES: "/responses",
    Endpoint.EMBEDDINGS: "/embeddings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRef:
    """Where an item stands in the items file, and which item it is."""

    row: int
    """Position among the accepted items, from 0: the order of the export."""
    number: int
    """Given once in a run and never to another item."""
    line: int
    """Line in the file, from 1."""
    offset: int
    """First byte of the item in the file."""
    length: int
    """Bytes, without the line end."""
    id_digest: bytes
    """16 bytes over the id, its JSON type included."""
    fingerprint: bytes
    """16 bytes over the item's own bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item as the user wrote it."""

    ref: ItemRef
    item_id: JsonScalar
    fields: JsonObject
    raw: bytes
    """The line without its line end (and without a BOM)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request body, and what pacing and the dollar cap need to know of it."""

    endpoint: Endpoint
    path: str
    """Below the base URL, e.g. `/chat/completions`."""
    body: JsonObject
    content: bytes = field(repr=False)
    """The body as JSON in UTF-8: sent verbatim."""
    model: str
    text_characters: int
    """Characters of the prompt's text."""
    output_limit_tokens: int | None
    """The body's own cap on output tokens; 0 for embeddings; None: no cap."""
    is_bounded: bool
    """False when parts (images, files, tools run by the server) may cost more
    input tokens than the body has bytes."""

    @property
    def body_bytes(self) -> int:
        """Bytes of the JSON body: at most one token each."""
        return len(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, or of several added up."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    """Part of `input_tokens`."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Part of `output_tokens`."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    def to_json(self) -> JsonObject:
        """The `usage` object of a processed line."""
        # Not `asdict`, which copies deeply: it is asked for several times an item.
        return {
            "input_tokens": self.input_tokens,
            "cached_input_tokens": self.cached_input_tokens,
            "output_tokens": self.output_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


class FailureKind(StrEnum):
    """Why a call gave no answer. `retrying` says what follows from each."""

    NOT_SENT = "not_sent"
    """Provably never left: DNS, refused, connect timeout, no descriptor."""
    HELD_BACK = "held_back"
    """It never left either: when it could have, it was not allowed to any more."""
    THROTTLED = "throttled"
    """429 rate limit."""
    SLOW_DOWN = "slow_down"
    """429 or 503 asking for less traffic."""
    SERVER = "server"
    """5xx, 408, 409, or a 403/404 that is not the provider's own."""
    TIMEOUT = "timeout"
    """No complete reply in time: possibly billed."""
    CUT = "cut"
    """The connection broke after the request had left: possibly billed."""
    GARBLED = "garbled"
    """A 200 that is not a JSON object, or an error inside it: possibly billed."""
    REJECTED = "rejected"
    """400, 413, 422, or larger than the limit: this request never succeeds."""
    DENIED = "denied"
    """401, 403, 402, empty account: no request can succeed."""
    NOT_FOUND = "not_found"
    """Unknown model, wrong base URL: no request can succeed, whoever pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a call gave no answer, in words for a person."""

    kind: FailureKind
    message: str
    """One line, free of secrets."""
    status: int | None = None
    code: str | None = None
    """The provider's `error.code` (or `error.type`)."""
    retry_after_s: float | None = None
    """What the server asked for, at most `MOST_RETRY_AFTER_S`."""
    possibly_billed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back from one send: an answer (`failure` None) or a failure."""

    status: int | None
    """HTTP status; None when no response line arrived."""
    headers: dict[str, str]
    """Lower-case names: rate limits, request id, processing time. No secrets."""
    body: bytes
    """As received."""
    latency_s: float
    request_id: str | None
    failure: Failure | None
    parsed: JsonObject | None = field(default=None, repr=False)
    """The body's JSON object, where it was read already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply's body, read."""

    response: Any
    """Text; the tool calls when there is no text; vectors for embeddings; the
    whole body for `Endpoint.OTHER`."""
    finish_reason: str | None
    refusal: str | None
    model: str | None
    """The model that answered, as the server names it."""
    usage: Usage | None
    body: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an answer is one the user can use."""

    valid: bool | None
    """None: the user's rule raised, so nobody knows."""
    reason: str | None = None
    """One line; None when valid."""
    ask_again: bool = True
    """False when another request cannot be expected to help (truncation ...)."""
    response: Any = field(default=None, compare=False)
    """What stands in the output, always JSON; no part of what was decided."""


class AttemptState(StrEnum):
    """How far one send is known to have come."""

    OPEN = "open"
    SETTLED = "settled"
    NOT_SENT = "not_sent"


class OutcomeState(StrEnum):
    """What became of an item."""

    VALID = "valid"
    INVALID = "invalid"
    FAILED = "failed"
    REMOVED = "removed"
    """No longer in the items file; what it cost stays counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of one shard, or of a whole run: everything adds up."""

    valid: int = 0
    invalid: int = 0
    failed: int = 0
    records: int = field(default=0, compare=False)
    """How often one was written; it only grows, so that an older copy shows. Not
    compared: what is there now does not tell how often it was written."""
    keys: int = field(default=0, compare=False)
    """Attempts and outcomes that stand there, each counted once."""
    keys_check: int = field(default=0, compare=False)
    """A sum over their keys: one that vanished, or was altered, shows."""
    begun: int = 0
    """Attempts recorded before their send."""
    not_sent: int = 0
    retried: int = 0
    """Attempts begun for an item that had one before."""
    open: int = 0
    """Begun, no outcome yet: in flight, or unresolved once their process died."""
    lost: int = 0
    """Unresolved ones that have been asked again."""
    answered: int = 0
    invalid_answers: int = 0
    possibly_billed: int = 0
    """Failures after the request had left, such as a read timeout."""
    possibly_billed_unpriced: int = 0
    unpriced: int = 0
    """Answers whose price is unknown."""
    unpriced_usd: Decimal = Decimal(0)
    """At their worst case, where that is known: the dollar cap counts them so."""
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    uncounted: int = field(default=0, compare=False)
    """Answers that did not say how many tokens they took. Not compared: not counted in
    shards of before it was."""
    answers_usd: Decimal = Decimal(0)
    """Recorded cost: each answer priced by itself."""
    invalid_answers_usd: Decimal = Decimal(0)
    """Part of `answers_usd`."""
    possibly_billed_usd: Decimal = Decimal(0)
    """At their worst case."""
    open_usd: Decimal = Decimal(0)
    """At their worst case."""
    open_unpriced: int = 0
    lost_usd: Decimal = Decimal(0)
    """At their worst case."""
    lost_unpriced: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        values = map(operator.add, _TOTAL_VALUES(self), _TOTAL_VALUES(other))
        return Totals(**dict(zip(_TOTAL_NAMES, values, strict=True)))

    def __neg__(self) -> "Totals":
        values = map(operator.neg, _TOTAL_VALUES(self))
        return Totals(**dict(zip(_TOTAL_NAMES, values, strict=True)))

    @property
    def sent(self) -> int:
        """Requests that left, or may have."""
        return self.begun - self.not_sent

    @property
    def done(self) -> int:
        """Items with an outcome."""
        return self.valid + self.invalid + self.failed

    @property
    def failures(self) -> int:
        """Requests that ended without an answer: 429, 5xx, timeout, refused."""
        return self.sent - self.answered - self.open - self.lost

    @property
    def cost_usd(self) -> Decimal | None:
        """Recorded cost; None when answers came but none of them has a price."""
        if self.answered and self.unpriced >= self.answered:
            return None
        return self.answers_usd

    @property
    def at_most_usd(self) -> Decimal | None:
        """Recorded + possibly billed + lost + open; None when any is unpriced."""
        unknown = self.unpriced + self.possibly_billed_unpriced
        unknown += self.open_unpriced + self.lost_unpriced
        return None if unknown else self.committed_usd

    @property
    def committed_usd(self) -> Decimal:
        """What the dollar cap must count, over all that has a price."""
        return (
            self.answers_usd
            + self.unpriced_usd
            + self.possibly_billed_usd
            + self.lost_usd
            + self.open_usd
        )

    @property
    def open_at_most_usd(self) -> Decimal | None:
        """Unresolved ones at their worst case; None when one has no price."""
        return None if self.open_unpriced else self.open_usd

    @property
    def lost_at_most_usd(self) -> Decimal | None:
        """Those asked again, likewise."""
        return None if self.lost_unpriced else self.lost_usd

    @property
    def possibly_billed_at_most_usd(self) -> Decimal | None:
        """Those that failed after they had left, likewise."""
        return None if self.possibly_billed_unpriced else self.possibly_billed_usd

    @property
    def are_tokens_known(self) -> bool:
        """Whether any answer said how many tokens it took, or there is none."""
        return not self.answered or self.uncounted < self.answered

    def requests_to_json(self) -> JsonObject:
        """Counts of requests, as `status` and the summary have them."""
        return {
            "sent": self.sent,
            "answered": self.answered,
            "invalid": self.invalid_answers,
            "failures": self.failures,
            "retried": self.retried,
            "lost": self.lost,
        }

    def tokens_to_json(self) -> JsonObject:
        """As `status --json` and the summary tell them; null where nobody said."""
        numbers = {
            "input": self.input_tokens,
            "cached_input": self.cached_input_tokens,
            "output": self.output_tokens,
            "reasoning": self.reasoning_tokens,
        }
        known = numbers if self.are_tokens_known else dict.fromkeys(numbers)
        return {**known, "uncounted": self.uncounted}

    def to_json(self) -> JsonObject:
        """Only what is not zero, money as strings."""
        return {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in zip(_TOTAL_NAMES, _TOTAL_VALUES(self), strict=True)
            if value
        }

    @classmethod
    def from_json(cls, stored: JsonObject) -> "Totals":
        """The inverse of `to_json`; refuses names it does not know."""
        values: dict[str, Any] = {
            name: Decimal(value) if name.endswith("_usd") else int(value)
            for name, value in stored.items()
        }
        return cls(**values)


# Asked for once: totals are added up many times a second, whatever the run does.
_TOTAL_NAMES = tuple(field.name for field in dataclasses.fields(Totals))
_TOTAL_VALUES = operator.attrgetter(*_TOTAL_NAMES)
