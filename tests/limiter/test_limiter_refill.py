"""A server that refills evenly is asked at its very rate, no other one is."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import pytest
from limiter_fakes import FakeClock, due_s, failure, granted, limiter_in

from runner.limiter import Limiter, RunCeilings
from runner.limiter.refill import Kind, Refill
from runner.limiter.window import SECOND_NS
from runner.records import FailureKind

LIMIT = 1_200


class Server(Protocol):
    """Takes a request at its moment, or not; then says how much is used."""

    def takes(self, at_s: float) -> bool:
        """Whether there was room for it."""
        ...

    def used(self, at_s: float) -> int:
        """What its headers show."""
        ...


@dataclass
class Even:
    """A token bucket that holds a second's worth."""

    level: float = LIMIT / 60
    last_s: float = 0.0

    def takes(self, at_s: float) -> bool:
        """Whether there was room for it."""
        self._refill(at_s)
        self.level -= int(self.level >= 1)
        return self.level >= 0

    def used(self, at_s: float) -> int:
        """What its headers show."""
        self._refill(at_s)
        return int(LIMIT / 60 - self.level)

    def _refill(self, at_s: float) -> None:
        level = self.level + max(0.0, at_s - self.last_s) * LIMIT / 60
        self.level, self.last_s = min(LIMIT / 60, level), max(at_s, self.last_s)


@dataclass
class Sliding:
    """No 60 s hold more than the limit."""

    taken: deque[float] = field(default_factory=deque)

    def takes(self, at_s: float) -> bool:
        """Whether there was room for it."""
        if self.used(at_s) >= LIMIT:
            return False
        self.taken.append(at_s)
        return True

    def used(self, at_s: float) -> int:
        """What its headers show."""
        while self.taken and self.taken[0] <= at_s - 60:
            self.taken.popleft()
        return len(self.taken)


@dataclass
class ByTheClock:
    """Each minute of the clock has the limit anew."""

    minute: int = 0
    count: int = 0

    def takes(self, at_s: float) -> bool:
        """Whether there was room for it."""
        if self.used(at_s) >= LIMIT:
            return False
        self.count += 1
        return True

    def used(self, at_s: float) -> int:
        """What its headers show."""
        if int(at_s // 60) != self.minute:
            self.minute, self.count = int(at_s // 60), 0
        return self.count


def headers(server: Server, at_s: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(LIMIT),
        "x-ratelimit-remaining-requests": str(LIMIT - server.used(at_s)),
        "x-ratelimit-reset-requests": f"{server.used(at_s) / LIMIT * 60:.3f}s",
    }


def night(limiter: Limiter, clock: FakeClock, server: Server) -> Iterator[bool]:
    """Ask on and on: whether each request was taken."""
    chance = random.Random(7)
    while True:
        permit = granted(limiter)
        # A request takes up to a fifth of a second longer than another to arrive.
        at_s = max(clock.now_s, due_s(permit)) + 0.2 * chance.random()
        is_taken = server.takes(at_s)
        if is_taken:
            limiter.answered(permit, headers(server, at_s), None, None)
        else:
            limiter.failed(permit, failure(FailureKind.THROTTLED), {}, Decimal(0))
        yield is_taken


def taken_in(
    seconds: float, limiter: Limiter, clock: FakeClock, server: Server
) -> tuple[int, int]:
    """Requests taken and refused from now on."""
    end_s, taken, refused = clock.now_s + seconds, 0, 0
    for is_taken in night(limiter, clock, server):
        taken, refused = taken + is_taken, refused + (not is_taken)
        if clock.now_s >= end_s:
            return taken, refused
    raise AssertionError


def test_a_limit_that_refills_evenly_is_used_to_a_thousandth(tmp_path: Path) -> None:
    clock, server = FakeClock(), Even()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=LIMIT))
    taken_in(30, limiter, clock, server)
    taken, refused = taken_in(300, limiter, clock, server)
    assert taken >= 0.998 * 5 * LIMIT
    assert 0 == refused


@pytest.mark.parametrize("server", [Sliding(), ByTheClock()])
def test_a_limit_that_counts_minutes_keeps_its_margin(
    tmp_path: Path, server: Server
) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=LIMIT))
    taken, refused = taken_in(600, limiter, clock, server)
    assert 0.99 * 10 * LIMIT <= taken <= 0.995 * 10 * LIMIT
    assert 0 == refused


def test_one_that_looks_even_and_refuses_is_not_trusted_again() -> None:
    refill = watched(used=0)
    assert refill.is_even
    refill.refused(115 * SECOND_NS)
    assert Kind.REFUTED == Refill.from_bytes(refill.to_bytes()).kind
    assert not watched(used=0, refill=refill).is_even


def test_what_others_use_of_it_makes_it_look_like_one_that_counts_minutes() -> None:
    assert not watched(used=150).is_even


def test_a_handful_of_answers_tells_nothing() -> None:
    assert not watched(used=0, every_s=4.0).is_known


def test_answers_that_hardly_touch_the_limit_tell_nothing() -> None:
    assert not watched(used=0, amount=1, limit=100_000).is_known


def test_after_a_minute_of_a_handful_the_careful_answer_is_taken() -> None:
    refill = watched(used=0, every_s=4.0)
    refill.saw(0, 1, LIMIT, 300 * SECOND_NS)
    assert Kind.BY_MINUTE == refill.kind


def test_once_it_is_known_to_be_even_it_may_show_more_as_used() -> None:
    assert not watched(used=100).is_even
    assert watched(used=100, refill=watched(used=0)).is_even
    assert not watched(used=300, refill=watched(used=0)).is_even


def watched(
    used: int,
    *,
    every_s: float = 0.05,
    amount: int = 1,
    limit: int = LIMIT,
    refill: Refill | None = None,
) -> Refill:
    """After a quarter of a minute of answers, or of more of them."""
    begins_s = 200 if refill is None else 220
    refill = refill or Refill()
    for number in range(int(15 / every_s)):
        now_ns = int((begins_s + number * every_s) * SECOND_NS)
        refill.saw(used, amount, limit, now_ns)
    return refill
