"""What a run came to: how many answers, how many requests, which bill.

Only what the state on disk determines, so that two exports of the same state are
byte-identical. The bill adds up: the sessions' parts are the whole.

Floor: words. Knows records.
"""

from dataclasses import dataclass
from decimal import Decimal

from runner.records import JsonObject, Totals
from runner.run_status import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    """One exported file, as it was written."""

    name: str
    """Without its folder: the summary stays true when all three move together."""
    lines: int
    size_bytes: int
    sha256: str
    """64 hexadecimal digits."""

    def to_json(self) -> JsonObject:
        """One entry of `files`."""
        return {
            "name": self.name,
            "lines": self.lines,
            "bytes": self.size_bytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """What one start or resume added to the run."""

    session: int
    """From 1."""
    started_unix_s: float
    ended_unix_s: float | None
    """None: it died, or is still at work."""
    duration_s: float | None
    """None: it died, or the wall clock was set back meanwhile."""
    stopped_because: str | None
    workers: int | None
    threads: int | None
    """Calls in flight per worker, at most."""
    rpm: int | None
    """Requests per minute it was allowed; None: as many as the key allows."""
    tpm: int | None
    """Tokens per minute it was allowed."""
    totals: Totals
    """Its part of the run's totals: all sessions add up to them."""

    @property
    def requests_per_minute(self) -> float | None:
        """Requests sent, over its whole duration."""
        return self._per_minute(self.totals.sent)

    @property
    def tokens_per_minute(self) -> float | None:
        """Tokens in and out, over its whole duration."""
        return self._per_minute(self.totals.input_tokens + self.totals.output_tokens)

    def to_json(self) -> JsonObject:
        """One entry of `sessions`."""
        totals = self.totals
        return {
            "session": self.session,
            "started_unix_s": self.started_unix_s,
            "ended_unix_s": self.ended_unix_s,
            "duration_s": self.duration_s,
            "stopped_because": self.stopped_because,
            "workers": self.workers,
            "threads": self.threads,
            "rpm": self.rpm,
            "tpm": self.tpm,
            "requests": totals.requests_to_json(),
            "tokens": totals.tokens_to_json(),
            "cost_usd": _money(totals.cost_usd),
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        }

    def _per_minute(self, count: int) -> float | None:
        return round(count * 60 / self.duration_s, 2) if self.duration_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One export: what is in its files, and what the run has cost so far."""

    run: str
    state: RunState
    stopped_because: str | None
    format: str
    """As `--format` calls it: `jsonl`, `answers` or `batch`."""
    items: int
    """Items of the items file; rejected lines are none."""
    valid: int
    """Items exported with a valid answer."""
    invalid: int
    """Items exported whose answers stayed invalid."""
    failed: int
    """Items exported to the failed file."""
    rejected_lines: int
    """Lines that could not be items (`--on-bad-line skip`)."""
    totals: Totals
    sessions: tuple[SessionSummary, ...]
    models: tuple[str, ...]
    """Asked; empty when each Batch-API line names its own."""
    price_source: str
    simulated: bool
    """True: answers and prices are the simulator's."""
    processed_file: WrittenFile
    failed_file: WrittenFile
    summary_name: str
    overtaken: bool = False
    """An export that began later has written these files before: they were kept, and
    hold all that was recorded when this one began. What this one saw is in no file."""

    @property
    def pending(self) -> int:
        """Items without an outcome: they are in neither file."""
        return self.items - self.valid - self.invalid - self.failed

    @property
    def complete(self) -> bool:
        """Whether every item has an outcome."""
        return not self.pending

    @property
    def unresolved(self) -> int:
        """Requests without a known outcome; while the run works, also in flight."""
        return self.totals.open

    @property
    def cost_usd(self) -> Decimal | None:
        """Recorded cost; None when answers came but none of them has a price."""
        return self.totals.cost_usd

    @property
    def invalid_answers_usd(self) -> Decimal | None:
        """What of `cost_usd` went into answers judged invalid."""
        return None if self.cost_usd is None else self.totals.invalid_answers_usd

    @property
    def possibly_billed_usd(self) -> Decimal | None:
        """Failures after the request had left, at their worst case."""
        return self.totals.possibly_billed_at_most_usd

    @property
    def unresolved_usd(self) -> Decimal | None:
        """Requests without a known outcome, at their worst case."""
        return self.totals.open_at_most_usd

    @property
    def lost_usd(self) -> Decimal | None:
        """Unresolved requests that were asked again, at their worst case."""
        return self.totals.lost_at_most_usd

    @property
    def cost_at_most_usd(self) -> Decimal | None:
        """The bill cannot be higher; None when any part has no price."""
        return self.totals.at_most_usd

    def to_json(self) -> JsonObject:
        """`<stem>_summary.json`: these keys are stable."""
        return {
            "run": self.run,
            "state": str(self.state),
            "complete": self.complete,
            "stopped_because": self.stopped_because,
            "items": self._items(),
            "requests": self._requests(),
            "tokens": self.totals.tokens_to_json(),
            "cost_usd": _money(self.cost_usd),
            "invalid_answers_usd": _money(self.invalid_answers_usd),
            "possibly_billed_usd": _money(self.possibly_billed_usd),
            "unresolved_usd": _money(self.unresolved_usd),
            "lost_usd": _money(self.lost_usd),
            "cost_at_most_usd": _money(self.cost_at_most_usd),
            "unpriced": self.totals.unpriced,
            "price_source": self.price_source,
            "simulated": self.simulated,
            "models": list(self.models),
            "sessions": [session.to_json() for session in self.sessions],
            "format": self.format,
            "files": {
                "processed": self.processed_file.to_json(),
                "failed": self.failed_file.to_json(),
                "summary": {"name": self.summary_name},
            },
        }

    def _items(self) -> JsonObject:
        return {
            "total": self.items,
            "valid": self.valid,
            "invalid": self.invalid,
            "failed": self.failed,
            "pending": self.pending,
            "rejected_lines": self.rejected_lines,
        }

    def _requests(self) -> JsonObject:
        totals = self.totals
        return {
            **totals.requests_to_json(),
            "not_sent": totals.not_sent,
            "unresolved": self.unresolved,
            "possibly_billed": totals.possibly_billed,
        }


def _money(usd: Decimal | None) -> str | None:
    """Every digit there is, never an exponent."""
    if usd is None:
        return None
    return format(usd, "f") if usd else "0"
