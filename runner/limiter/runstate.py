"""What the processes of one run share: its own ceilings, its dollars, its breaker.

A working copy of the run cell's bytes: read under the lock, changed, written back.

Floor: doors and rules. State only; the rules are in `admission`, `settling` and
`session`.
"""

import math
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

from runner.limiter.breaker import BREAKER_BYTES, Breaker
from runner.limiter.budget import Lines
from runner.limiter.cell import Stored
from runner.limiter.keystate import (
    KeyState,
    request_spacing_of,
    starts_ns,
    token_spacing_of,
)
from runner.limiter.pacing import BUCKET_BYTES, Bucket, Spacing
from runner.limiter.window import REACH_NS

_BREAKER_AT = 2 * BUCKET_BYTES
TEXT_BYTES = 240
UNKNOWN = -1
"""The server has not said it."""
_LAYOUT = struct.Struct(f"<qqqqqqqqqqqdqd{TEXT_BYTES}s")
_VALUES = attrgetter(
    "is_begun",
    "is_proven",
    "trouble_ns",
    "trouble_last_ns",
    "budget_wait_ns",
    "starts_ns",
    "left_requests",
    "left_tokens",
    "burst_requests",
    "burst_tokens",
    "burst_until_ns",
    "token_ratio",
    "token_ratios",
    "dearer",
    "last_failure",
)
_RATIO_AT = 11
"""Which of these values the ratio is."""
_LEAST_WEIGHT = 0.02
"""Of one more answer in the ratio: it follows a change within some 50 answers."""
_RATIO_RANGE = (0.2, 4.0)
_MOST_DEARER = 1e6
"""Whatever a server says it has generated."""


@dataclass(slots=True)
class RunState:
    """The run's cell, taken apart. Flags are 0 or 1."""

    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)
    breaker: Breaker = field(default_factory=Breaker)
    is_begun: int = 0
    """Dollars were put in by `begin_session`."""
    is_proven: int = 0
    """Something has answered in this session."""
    trouble_ns: int = 0
    """First failure since the last answer; 0: none."""
    trouble_last_ns: int = 0
    """Latest of them: a stopped process does not give up for having slept."""
    budget_wait_ns: int = 0
    """When somebody last waited for dollars."""
    starts_ns: int = 0
    left_requests: int = UNKNOWN
    """What the latest answer said may still come."""
    left_tokens: int = UNKNOWN
    burst_requests: int = 0
    """May go before their turn, see `bursts`."""
    burst_tokens: int = 0
    burst_until_ns: int = 0
    token_ratio: float = 1.0
    """Real input tokens for each estimated one."""
    token_ratios: int = 0
    """Answers it was learned from."""
    dearer: float = 1.0
    """How many times its highest price an answer has cost at most: above 1 where the
    server generates more than the limit it was told."""
    last_failure: bytes = b""
    lines: Lines = field(default_factory=Lines)

    def is_hurried(self, now_ns: int) -> bool:
        """Whether requests may go before their turn now."""
        return self.burst_requests > 0 and now_ns < self.burst_until_ns

    def request_spacing(self, key: KeyState) -> Spacing | None:
        """How this run's own ceiling spaces requests; like the key's if it is that."""
        limit = self.requests.limit
        if not limit:
            return None
        is_even = key.request_refill.is_even and limit == key.requests.limit
        return request_spacing_of(limit, is_even=is_even)

    def token_spacing(self, key: KeyState) -> Spacing | None:
        """How this run's own ceiling spaces tokens, likewise."""
        limit = self.tokens.limit
        if not limit:
            return None
        is_even = key.token_refill.is_even and limit == key.tokens.limit
        return token_spacing_of(limit, is_even=is_even)

    def set_ceilings(self, rpm: int | None, tpm: int | None, now_ns: int) -> bool:
        """Work with these ceilings; whether they are others: a resume may say so."""
        if (rpm or 0, tpm or 0) == (self.requests.limit, self.tokens.limit):
            return False
        if (rpm or 0) != self.requests.limit:
            spacing = request_spacing_of(rpm) if rpm else None
            self.requests.set_limit(rpm or 0, spacing, now_ns)
        if (tpm or 0) != self.tokens.limit:
            spacing = token_spacing_of(tpm) if tpm else None
            self.tokens.set_limit(tpm or 0, spacing, now_ns)
        return True

    def learn_ratio(self, estimated_tokens: int, real_tokens: int) -> None:
        """Follow how many input tokens an estimated one really is."""
        if estimated_tokens <= 0 or real_tokens <= 0:
            return
        low, high = _RATIO_RANGE
        seen = min(high, max(low, real_tokens / estimated_tokens))
        self.token_ratios += 1
        weight = max(_LEAST_WEIGHT, 1 / self.token_ratios)
        self.token_ratio += weight * (seen - self.token_ratio)

    def note_cost(self, worst_usd: Decimal | None, cost_usd: Decimal | None) -> None:
        """See whether the highest price of a request was one."""
        if worst_usd and cost_usd is not None and cost_usd > worst_usd:
            seen = min(_MOST_DEARER, float(cost_usd / worst_usd))
            self.dearer = max(self.dearer, seen)

    def at_worst_pico(self, pico: int) -> int:
        """What so much of highest prices can come to, by what was seen."""
        return pico if self.dearer <= 1 else math.ceil(pico * self.dearer)

    def note_trouble(self, message: str, now_ns: int) -> None:
        """One more failure with no answer between."""
        self.trouble_ns = self.trouble_ns or now_ns
        self.trouble_last_ns = now_ns
        text = message.encode("utf-8", "replace")[:TEXT_BYTES]
        self.last_failure = text.replace(b"\0", b" ")

    @property
    def last_failure_words(self) -> str:
        """The latest failure, as the client put it."""
        # Cut at a byte, so perhaps within a character.
        return self.last_failure.rstrip(b"\0").decode("utf-8", "ignore")

    def to_bytes(self) -> bytes:
        """The inverse of `load`."""
        return b"".join(
            (
                self.requests.to_bytes(),
                self.tokens.to_bytes(),
                self.breaker.to_bytes(),
                _LAYOUT.pack(*_VALUES(self)),
                self.lines.to_bytes(),
            )
        )

    @classmethod
    def load(cls, stored: Stored, now_ns: int) -> "RunState":
        """What the cell says; of another boot only the learned ratio is kept."""
        if not stored.payload:
            return cls(starts_ns=starts_ns(stored, now_ns))
        state = cls._from_bytes(stored.payload)
        if not stored.is_this_boot:
            return cls(
                token_ratio=state.token_ratio,
                token_ratios=state.token_ratios,
                starts_ns=starts_ns(stored, now_ns),
            )
        state.requests.mend(now_ns)
        state.tokens.mend(now_ns)
        state.starts_ns = min(state.starts_ns, now_ns + REACH_NS)
        return state

    @classmethod
    def breaker_in(cls, stored: Stored, now_ns: int) -> Breaker:
        """Only the breaker: all that is asked just before each send."""
        if not stored.payload or not stored.is_this_boot:
            return cls.load(stored, now_ns).breaker
        end = _BREAKER_AT + BREAKER_BYTES
        return Breaker.from_bytes(stored.payload[_BREAKER_AT:end])

    @classmethod
    def token_ratio_in(cls, stored: Stored, now_ns: int) -> float:
        """Only the learned ratio: all that is asked before each item."""
        if not stored.payload:
            return cls.load(stored, now_ns).token_ratio
        numbers = _LAYOUT.unpack_from(stored.payload, _BREAKER_AT + BREAKER_BYTES)
        ratio: float = numbers[_RATIO_AT]
        return ratio

    @classmethod
    def _from_bytes(cls, stored: bytes) -> "RunState":
        breaker = _BREAKER_AT
        numbers = breaker + BREAKER_BYTES
        lines = numbers + _LAYOUT.size
        values = [
            Bucket.from_bytes(stored[:BUCKET_BYTES]),
            Bucket.from_bytes(stored[BUCKET_BYTES:breaker]),
            Breaker.from_bytes(stored[breaker:numbers]),
            *_LAYOUT.unpack_from(stored, numbers),
            Lines.from_bytes(stored[lines:]),
        ]
        return cls(*values)
