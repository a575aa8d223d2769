"""What is asked of the limiter and what it says: wants, permits, refusals.

Owns the types of the door; must not know cells, buckets or clocks.

Floor: doors and rules. Knows nobody.
"""

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

STALE_AFTER_S = 1.0
"""A disk or a machine that sleeps must not let out what its window has forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterPlace:
    """Which two cells a process shares, and which line of them is its own."""

    key_cell: Path
    """Shared by all runs on the key; see `key_cell_path`."""
    run_cell: Path
    """Shared by the processes of one run."""
    slot: int
    """Line of this process; no two living processes may have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCeilings:
    """What the user allows this run, beside what the key allows anyway."""

    rpm: int | None = None
    tpm: int | None = None
    max_cost_usd: Decimal | None = None
    give_up_after_s: float = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One request that somebody would like to send now."""

    number: int
    """The item's number: tells a sick item from a sick server."""
    tokens: int
    """Charged at admission, the way the provider does."""
    input_tokens_estimate: int = 0
    """Before `token_ratio()` is applied; 0: nothing to learn from it."""
    worst_usd: Decimal | None = None
    """The most it can cost; None: unknown, impossible under a dollar cap."""
    failed_before_s: float | None = None
    """Monotonic second of the item's first failure that counts; None: none yet."""
    has_failed: bool = False
    """In an earlier session the server failed at it."""


class RefusalKind(StrEnum):
    """Why a request will not be sent, however long one waits."""

    STOPPED = "stopped"
    BUDGET = "budget"
    """Nothing is in flight anywhere and one more worst case does not fit."""
    GIVEN_UP = "given_up"
    """Only outage or refusal for longer than `give_up_after_s`."""
    TOO_LARGE = "too_large"
    """More tokens than the key or the run may use in a whole minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A final no, with one line for a person."""

    kind: RefusalKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one permit moved in one bucket, so that it can be moved back."""

    amount: int
    tat_before_ns: int
    tat_after_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """The four buckets a permit is taken from."""

    key_requests: Charge
    key_tokens: Charge
    run_requests: Charge
    run_tokens: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to send one request, now: stale `stale_after_s` after `granted_ns`."""

    want: Want
    granted_ns: int
    """Monotonic moment from which it may be sent."""
    epoch: int
    """The key's pause epoch; a later pause makes the permit worthless."""
    is_probe: bool
    """The one request that finds out whether an outage is over."""
    is_paced: bool
    """Whether any limit spaced it: only then it matters when exactly it goes."""
    charges: Charges
    key_requests_before: int
    """Requests charged to the key in the window up to this one, it included."""
    key_tokens_before: int
    """Tokens, likewise."""
    stale_after_s: float = STALE_AFTER_S
    others_in_flight_tokens: int
    """Tokens of this run under way at the grant, without its own."""
    stop: threading.Event = field(repr=False, compare=False)
    """The caller's own: a permit is worthless once it is set."""
