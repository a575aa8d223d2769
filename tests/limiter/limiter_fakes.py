"""A clock that is told the time, and short words for wants and failures."""

import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from runner.client.headers import retry_after_s
from runner.limiter import Limiter, LimiterPlace, Permit, RunCeilings, Want
from runner.records import Failure, FailureKind

_FOR_EVER_S = 1e6


class FakeClock:
    """Waiting takes no time but moves the clock; starts well after the boot."""

    def __init__(self, start_s: float = 1_000.0) -> None:
        self.now_s = start_s

    def monotonic_s(self) -> float:
        """As told."""
        return self.now_s

    def unix_s(self) -> float:
        """Some day in 2027."""
        return 1_800_000_000.0 + self.now_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Move the clock on, at once."""
        if not stop.is_set():
            # A sleep never ends early, and always takes a moment.
            self.now_s += max(1e-6, seconds)
            assert self.now_s < _FOR_EVER_S, "somebody waits for ever"
        return stop.is_set()


def place_in(folder: Path, slot: int = 1) -> LimiterPlace:
    return LimiterPlace(
        key_cell=folder / "limits" / "key.cell",
        run_cell=folder / "run.cell",
        slot=slot,
    )


def limiter_in(
    folder: Path,
    clock: FakeClock,
    slot: int = 1,
    ceilings: RunCeilings | None = None,
) -> Limiter:
    return Limiter(place_in(folder, slot), ceilings or RunCeilings(), clock)


def want(number: int = 1, tokens: int = 0, usd: str | None = None) -> Want:
    worst_usd = None if usd is None else Decimal(usd)
    return Want(number=number, tokens=tokens, worst_usd=worst_usd)


def granted(limiter: Limiter, what: Want | None = None) -> Permit:
    """A permit, without which the test makes no sense."""
    permit = limiter.reserve(what or want(), threading.Event())
    assert isinstance(permit, Permit), permit
    return permit


def due_s(permit: Permit) -> float:
    """The moment from which it may be sent."""
    return permit.granted_ns / 1e9


def failure(kind: FailureKind, message: str = "it went wrong") -> Failure:
    return Failure(kind=kind, message=message)


def throttled(headers: dict[str, str]) -> Failure:
    """A 429, as the client tells it."""
    wait_s = retry_after_s(headers, FakeClock().unix_s())
    return replace(failure(FailureKind.THROTTLED), retry_after_s=wait_s)


def most_in_a_minute(arrivals: list[tuple[float, int]]) -> int:
    """Largest sum of amounts in any half-open 60 s window."""
    arrivals = sorted(arrivals)
    most = total = first = 0
    for at_s, amount in arrivals:
        total += amount
        while at_s - arrivals[first][0] >= 60.0 - 1e-9:
            total -= arrivals[first][1]
            first += 1
        most = max(most, total)
    return most
