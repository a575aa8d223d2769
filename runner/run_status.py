"""The words for a run as a whole: what it does, how it goes, why it ended.

Floor: words. Knows only the records.
"""

import dataclasses
from dataclasses import dataclass, field
from decimal import Context, Decimal
from enum import StrEnum

from runner.records import JsonObject, Totals

_ENOUGH_ITEMS = 10
"""Of fewer nobody can tell what the others cost."""
_AS_A_GUESS = Context(prec=3)


class RunState(StrEnum):
    """What a run is doing, as `status` says it."""

    NEW = "new"
    """No session has worked on it yet."""
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"
    FINISHED = "finished"
    DEAD = "dead"
    """Its process is gone without having said why."""

    @property
    def is_at_work(self) -> bool:
        """Whether a session is at work on it now."""
        return self in (RunState.RUNNING, RunState.DRAINING)


class StopKind(StrEnum):
    """Why a session ended before its items did."""

    LIMIT = "limit"
    """`--limit` reached: as asked."""
    INTERRUPTED = "interrupted"
    """Ctrl-C."""
    TERMINATED = "terminated"
    """SIGTERM or `runner stop`."""
    DENIED = "denied"
    """The key is refused, or its account is empty."""
    NOT_FOUND = "not_found"
    """The server has no such model, or no API at that base URL."""
    BUDGET = "budget"
    OUTAGE = "outage"
    DISK = "disk"
    STORE = "store"
    VALIDATOR = "validator"
    REJECTED = "rejected"
    """Items failed alike: the first of a session, or many in a row."""
    WORKERS = "workers"
    """Workers died again and again before they were ready."""
    ITEMS = "items"
    """The items file, or the task, changed while the run was using it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why a session ended early, in one line, and what to do next."""

    kind: StopKind
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the limiter knows and does at this moment."""

    rpm_limit: int | None = None
    tpm_limit: int | None = None
    rpd_limit: int | None = None
    is_hurried: bool = False
    """The rest of the job fits into what the server has left: no even pace."""
    waiting_for: str | None = None
    """What holds the run back now, in words; None when nothing does."""
    is_proven: bool = False
    """Something has answered in this session."""
    is_out: bool = False
    """Nothing answers: what is left takes nobody knows how long."""
    next_try_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowItem:
    """An item that has been in flight for long."""

    number: int
    attempt: int
    age_s: float
    line: int | None = None
    """Where it stands in the items file; `runner show RUN line:N` finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One look at a run, live or dead."""

    run: str
    state: RunState
    stopped_because: str | None
    items: int
    totals: Totals
    unresolved: int
    """Open attempts whose process is gone."""
    in_flight: int
    in_flight_target: int | None = None
    """How many may be in flight now: as told, or as found so far."""
    requests_per_minute: float | None
    tokens_per_minute: float | None
    pace: Pace = field(default_factory=Pace)
    eta_s: float | None = None
    started_unix_s: float | None = None
    heartbeat_unix_s: float | None = None
    simulated: bool = False
    is_half_judged: bool = False
    """A rejudgement is not finished: verdicts are those of two rules."""
    slowest: tuple[SlowItem, ...] = ()
    anew: int = 0
    """Items with an outcome that are still to be asked anew."""

    @property
    def pending(self) -> int:
        """Items without an outcome."""
        return self.items - self.totals.done

    @property
    def left(self) -> int:
        """Items still to be asked: without an outcome, or anew."""
        return self.pending + self.anew

    @property
    def cost_estimate_usd(self) -> Decimal | None:
        """What the run will have cost if the items left are like those done.

        To three digits. None with nothing left, with fewer than ten items done, and
        where an answer has no price.
        """
        done, cost = self.items - self.left, self.totals.cost_usd
        is_known = cost is not None and not self.totals.unpriced
        if not is_known or not self.left or done < _ENOUGH_ITEMS:
            return None
        return _AS_A_GUESS.divide(self.totals.answers_usd * self.items, Decimal(done))

    def to_json(self) -> JsonObject:
        """`status --json`: these keys are stable."""
        totals = self.totals
        costs_usd = {
            "cost_usd": totals.cost_usd,
            "cost_at_most_usd": totals.at_most_usd,
            "cost_estimate_usd": self.cost_estimate_usd,
        }
        return {
            "run": self.run,
            "state": str(self.state),
            "stopped_because": self.stopped_because,
            "items": {
                "total": self.items,
                "valid": totals.valid,
                "invalid": totals.invalid,
                "failed": totals.failed,
                "pending": self.pending,
                "to_be_asked_anew": self.anew,
            },
            "requests": {
                **totals.requests_to_json(),
                "unresolved": self.unresolved,
            },
            "tokens": totals.tokens_to_json(),
            **{
                name: None if usd is None else f"{usd:f}"
                for name, usd in costs_usd.items()
            },
            "unpriced": totals.unpriced,
            "rate": {
                "requests_per_minute": self.requests_per_minute,
                "tokens_per_minute": self.tokens_per_minute,
                "rpm_limit": self.pace.rpm_limit,
                "tpm_limit": self.pace.tpm_limit,
            },
            "in_flight": self.in_flight,
            "in_flight_target": self.in_flight_target,
            "waiting_for": self.pace.waiting_for,
            "slowest": [dataclasses.asdict(item) for item in self.slowest],
            "eta_s": self.eta_s,
            "started_unix_s": self.started_unix_s,
            "heartbeat_unix_s": self.heartbeat_unix_s,
            "simulated": self.simulated,
            "half_judged": self.is_half_judged,
        }
