"""Tokens at a server that refills evenly and at one that counts minutes.

Each charges in one of two ways: at admission the larger of the output limit and the
input, or the input at admission and the output at the end.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import pytest
from limiter_fakes import FakeClock, due_s, failure, granted, limiter_in, place_in

from runner.limiter import Limiter, Permit, RunCeilings, Want
from runner.limiter.pair import CellPair
from runner.records import FailureKind, Usage

LIMIT = 600_000
LATENCY_S = 1.0


class Server(Protocol):
    """Counts tokens, in its own way."""

    def takes(self, amount: int, at_s: float) -> bool:
        """Whether there was room for them."""
        ...

    def add(self, amount: int, at_s: float) -> None:
        """Count what cannot be refused any more."""
        ...

    def used(self, at_s: float) -> int:
        """What its headers show."""
        ...


@dataclass
class Even:
    """A token bucket that holds ten seconds' worth."""

    level: float = LIMIT / 6
    last_s: float = 0.0

    def takes(self, amount: int, at_s: float) -> bool:
        """Whether there was room for them."""
        if self.used(at_s) + amount > LIMIT / 6:
            return False
        self.add(amount, at_s)
        return True

    def add(self, amount: int, at_s: float) -> None:
        """Count what cannot be refused any more."""
        self.used(at_s)
        self.level -= amount

    def used(self, at_s: float) -> int:
        """What its headers show."""
        level = self.level + max(0.0, at_s - self.last_s) * LIMIT / 60
        self.level, self.last_s = min(LIMIT / 6, level), max(at_s, self.last_s)
        return int(LIMIT / 6 - self.level)


@dataclass
class Sliding:
    """No 60 s hold more than the limit."""

    taken: deque[tuple[float, int]] = field(default_factory=deque)

    def takes(self, amount: int, at_s: float) -> bool:
        """Whether there was room for them."""
        if self.used(at_s) + amount > LIMIT:
            return False
        self.add(amount, at_s)
        return True

    def add(self, amount: int, at_s: float) -> None:
        """Count what cannot be refused any more."""
        self.taken.append((at_s, amount))

    def used(self, at_s: float) -> int:
        """What its headers show."""
        while self.taken and self.taken[0][0] <= at_s - 60:
            self.taken.popleft()
        return sum(amount for _, amount in self.taken)


@dataclass
class Night:
    """Items of unequal size, asked on and on."""

    folder: Path
    server: Server
    is_by_usage: bool
    output_limit: int = 300
    admitted: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.limiter: Limiter = limiter_in(
            self.folder, self.clock, ceilings=RunCeilings(tpm=LIMIT)
        )
        self._flying: deque[tuple[float, Permit, Usage]] = deque()
        self._chance = random.Random(7)
        self._ask()  # until it is answered nobody else may
        self.clock.now_s += 2 * LATENCY_S

    def tokens_in(self, seconds: float) -> tuple[int, int]:
        """Tokens that were charged, and requests refused, from now on."""
        self.admitted = self.refused = 0
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self._land()
            self._ask()
        return self.admitted, self.refused

    def _ask(self) -> None:
        asked = min(5_000, int(150 * self._chance.lognormvariate(0, 1)))
        said = int(self.output_limit * (0.05 + 0.9 * self._chance.random() ** 3))
        tokens = max(self.output_limit, asked)
        permit = granted(
            self.limiter,
            Want(number=1, tokens=tokens, worst_usd=None, input_tokens_estimate=asked),
        )
        # A request takes up to a fifth of a second longer than another to arrive.
        at_s = max(self.clock.now_s, due_s(permit)) + 0.2 * self._chance.random()
        charge = asked if self.is_by_usage else tokens
        if self.server.takes(charge, at_s):
            self.admitted += charge
            usage = Usage(input_tokens=asked, output_tokens=said)
            self._flying.append((at_s + LATENCY_S, permit, usage))
        else:
            self.refused += 1
            slow = failure(FailureKind.THROTTLED)
            self.limiter.failed(permit, slow, self._headers(at_s), Decimal(0))

    def _land(self) -> None:
        while self._flying and self._flying[0][0] <= self.clock.now_s:
            at_s, permit, usage = self._flying.popleft()
            if self.is_by_usage:
                self.server.add(usage.output_tokens, at_s)
                self.admitted += usage.output_tokens
            self.limiter.answered(permit, self._headers(at_s), usage, None)

    def _headers(self, at_s: float) -> dict[str, str]:
        used = self.server.used(at_s)
        return {
            "x-ratelimit-limit-tokens": str(LIMIT),
            "x-ratelimit-remaining-tokens": str(LIMIT - used),
            "x-ratelimit-reset-tokens": f"{used / LIMIT * 60:.3f}s",
        }


@pytest.fixture(params=[Even, Sliding])
def server(request: pytest.FixtureRequest) -> Server:
    """One of each."""
    made: Server = request.param()
    return made


@pytest.mark.parametrize("is_by_usage", [False, True])
@pytest.mark.parametrize(("output_limit", "least"), [(300, 0.96), (3_000, 0.9)])
def test_a_limit_of_tokens_is_used_and_nothing_is_refused(
    tmp_path: Path,
    server: Server,
    output_limit: int,
    least: float,
    *,
    is_by_usage: bool,
) -> None:
    night = Night(tmp_path, server, is_by_usage, output_limit)
    _, refused = night.tokens_in(120)
    tokens, more_refused = night.tokens_in(600)
    assert tokens >= least * 10 * LIMIT
    assert 0 == refused + more_refused


@pytest.mark.parametrize("is_by_usage", [False, True])
def test_only_one_that_refills_evenly_is_taken_for_it(
    tmp_path: Path, server: Server, *, is_by_usage: bool
) -> None:
    night = Night(tmp_path, server, is_by_usage)
    night.tokens_in(120)
    key, _ = CellPair(place_in(tmp_path), night.clock).peek()
    assert isinstance(server, Even) == key.token_refill.is_even
