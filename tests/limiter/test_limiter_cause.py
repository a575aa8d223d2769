"""Refusals that slowing down does not make fewer do not slow a run down."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import FakeClock, granted, limiter_in, throttled

from runner.limiter import Limiter, Permit
from runner.limiter.cause import Cause
from runner.limiter.window import SECOND_NS

ANSWER_S = 0.1


@dataclass
class Callers:
    """So many, each with one request under way after the other."""

    limiter: Limiter
    clock: FakeClock
    callers: int
    refuses: Callable[[float], bool]
    """The moment a request comes → whether it is a 429."""
    asked: dict[str, str] = field(default_factory=dict)
    """Headers of a 429."""
    answered: int = 0
    sent: int = 0
    _under_way: list[tuple[float, int, Permit, bool]] = field(default_factory=list)

    def go(self, seconds: float) -> float:
        """For so long; how many a second were answered."""
        # Until something has answered there is one request at a time.
        self.limiter.answered(granted(self.limiter), {}, None, None)
        self.limiter.settle()
        began_s, answered = self.clock.now_s, self.answered
        while self.clock.now_s < began_s + seconds:
            if len(self._under_way) == self.callers:
                self._come_back()
            permit = granted(self.limiter)
            while self._under_way and self._under_way[0][0] <= self.clock.now_s:
                self._come_back()
            if not self.limiter.is_fresh(permit):
                self.limiter.give_back(permit)
                continue
            is_refused = self.refuses(self.clock.now_s)
            took_s = ANSWER_S / 4 if is_refused else ANSWER_S
            self.sent += 1
            due = (self.clock.now_s + took_s, self.sent, permit, is_refused)
            heapq.heappush(self._under_way, due)
        return (self.answered - answered) / (self.clock.now_s - began_s)

    def _come_back(self) -> None:
        at_s, _, permit, is_refused = heapq.heappop(self._under_way)
        self.clock.now_s = max(self.clock.now_s, at_s)
        if is_refused:
            why = throttled(self.asked)
            self.limiter.failed(permit, why, self.asked, Decimal(0))
        else:
            self.limiter.answered(permit, {}, None, None)
            self.limiter.settle()
            self.answered += 1


def by_chance(share: float) -> Callable[[float], bool]:
    draw = random.Random(3)
    return lambda _now_s: draw.random() < share


def over(per_minute: int) -> Callable[[float], bool]:
    """A bucket that refills evenly and holds two seconds of it."""
    left, seen_s = [per_minute / 30], [0.0]

    def refuses(now_s: float) -> bool:
        refilled = left[0] + (now_s - seen_s[0]) * per_minute / 60
        left[0], seen_s[0] = min(per_minute / 30, refilled), now_s
        if left[0] < 1:
            return True
        left[0] -= 1
        return False

    return refuses


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("asked", [{}, {"retry-after": "1"}], ids=["", "one second"])
def test_429s_by_chance_cost_a_minute_at_most_and_then_themselves_only(
    tmp_path: Path, share: float, asked: dict[str, str]
) -> None:
    """A gateway that refuses some, whatever is asked."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    run = Callers(limiter, clock, 4, by_chance(share), asked)
    run.go(60)
    assert run.go(15) >= 0.9 * (1 - share) * 4 / ANSWER_S
    assert limiter.pace().waiting_for is None


def refused_of_a_full_server(run: Callers) -> float:
    """Share, in a minute; what it has room for is used by three quarters."""
    run.refuses = over(1_200)
    run.go(30)
    sent, answered = run.sent, run.answered
    assert run.go(60) >= 0.75 * 20
    return 1 - (run.answered - answered) / (run.sent - sent)


@pytest.mark.parametrize("asked", [{}, {"retry-after-ms": "20"}], ids=["", "soon"])
def test_429s_that_come_from_the_pace_still_lower_it(
    tmp_path: Path, asked: dict[str, str]
) -> None:
    """The server has 1,200 a minute, and 16 callers would ask for 9,600."""
    clock = FakeClock()
    run = Callers(limiter_in(tmp_path, clock), clock, 16, over(1_200), asked)
    assert refused_of_a_full_server(run) < 0.05


def test_what_is_known_to_be_chance_is_over_when_a_server_is_full(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    run = Callers(limiter_in(tmp_path, clock), clock, 8, by_chance(0.05))
    run.go(60)
    assert refused_of_a_full_server(run) < 0.05


@pytest.mark.parametrize(("asked_s", "answers"), [(None, 0), (20.0, 1)])
def test_a_server_that_refuses_all_or_asks_for_long_is_not_taken_for_a_whim(
    asked_s: float | None, answers: int
) -> None:
    cause, now_ns = Cause(), 10**12
    cause.slowed(now_ns)
    for _ in range(100):
        now_ns += SECOND_NS
        cause.refused(now_ns, asked_s, now_ns)
        for _ in range(answers):
            assert not cause.answered(now_ns + 1, now_ns + 1)
    assert not cause.is_chance(now_ns)
