"""No 60 s window at the server ever holds more than the limit."""

import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limiter_fakes import (
    FakeClock,
    due_s,
    granted,
    limiter_in,
    most_in_a_minute,
    place_in,
    want,
)

from runner.limiter import Permit, RunCeilings
from runner.limiter.admission import Asked, Blocked, admit
from runner.limiter.keystate import KeyState
from runner.limiter.pacing import Bucket, request_spacing
from runner.limiter.runstate import RunState
from runner.limiter.window import REACH_NS, SECOND_NS, Window

JITTERS = ("none", "random", "first half late", "first one late")


def jitter_s(kind: str, draw: random.Random, turn: int, turns: int) -> float:
    if kind == "random":
        return draw.uniform(0, 0.25)
    late = turn < turns // 2 if kind == "first half late" else turn == 0
    return 0.25 if late and kind != "none" else 0.0


@given(
    limit=st.integers(1, 3000),
    seed=st.integers(0, 2**32),
    idle=st.sampled_from([0.0, 0.001, 0.02]),
    jitter=st.sampled_from(JITTERS),
)
@settings(max_examples=60, deadline=None)
def test_a_strict_window_never_holds_more_requests_than_the_limit(
    limit: int, seed: int, idle: float, jitter: str
) -> None:
    draw, bucket, spacing = random.Random(seed), Bucket(), request_spacing(limit)
    now_ns, turns, arrivals = 5_000 * SECOND_NS, int(limit * 1.5) + 3, []
    for turn in range(turns):
        if draw.random() < idle:
            now_ns += int(draw.uniform(0, 90) * SECOND_NS)
        due_ns = bucket.due_ns(1, spacing, now_ns)
        bucket.charge(1, spacing, due_ns)
        now_ns = max(now_ns, due_ns - SECOND_NS // 2)
        late_s = jitter_s(jitter, draw, turn, turns)
        arrivals.append((due_ns / SECOND_NS + late_s, 1))
    assert most_in_a_minute(arrivals) <= limit


@given(
    limit=st.integers(1, 100_000),
    seed=st.integers(0, 2**32),
    largest=st.sampled_from([0.001, 0.1, 0.6, 1.0]),
    jitter=st.sampled_from(JITTERS),
)
@settings(max_examples=60, deadline=None)
def test_a_strict_window_never_holds_more_tokens_than_the_limit(
    limit: int, seed: int, largest: float, jitter: str
) -> None:
    draw, clock_ns, arrivals = random.Random(seed), 5_000 * SECOND_NS, []
    key, run, stop = KeyState(), RunState(is_proven=1), threading.Event()
    for turn in range(300):
        tokens = draw.randint(1, max(1, int(limit * largest * draw.random())))
        asked = Asked(
            want=want(tokens=tokens),
            slot=1,
            ceilings=RunCeilings(tpm=limit),
            stop=stop,
        )
        decision = admit(key, run, asked, clock_ns)
        while isinstance(decision, Blocked):
            assert decision.until_ns is not None
            assert decision.until_ns > clock_ns
            clock_ns = decision.until_ns
            decision = admit(key, run, asked, clock_ns)
        assert isinstance(decision, Permit)
        late_s = jitter_s(jitter, draw, turn, 300)
        arrivals.append((due_s(decision) + late_s, tokens))
    assert most_in_a_minute(arrivals) <= limit


def test_6000_a_minute_are_used_to_99_percent() -> None:
    bucket, spacing, now_ns = Bucket(), request_spacing(6000), 5_000 * SECOND_NS
    count = 0
    while (due_ns := bucket.due_ns(1, spacing, now_ns)) < now_ns + 300 * SECOND_NS:
        bucket.charge(1, spacing, due_ns)
        count += 1
    assert count >= 0.99 * 6000 * 5


def test_five_a_minute_give_49_of_50_in_ten_minutes(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=5))
    limiter.answered(granted(limiter), {}, None, None)
    count, began_s = 1, clock.now_s
    while due_s(granted(limiter)) < began_s + 600:
        count += 1
    assert count >= 49


def test_tokens_of_one_size_are_used_to_98_percent(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(tpm=100_000))
    limiter.answered(granted(limiter), {}, None, None)
    used, began_s = 0, clock.now_s
    while due_s(granted(limiter, want(tokens=300))) < began_s + 600:
        used += 300
    assert used >= 0.98 * 1_000_000


@pytest.mark.parametrize("idle_s", [0.0, 59.0, 3_600.0, 1e7])
def test_an_idle_bucket_never_holds_more_than_one_burst(idle_s: float) -> None:
    """Neither the first second of a run nor a suspended night may burst."""
    bucket, spacing = Bucket(), request_spacing(6000)
    now_ns = 5_000 * SECOND_NS
    for _ in range(100):
        bucket.charge(1, spacing, bucket.due_ns(1, spacing, now_ns))
    now_ns += int((idle_s + 1.5) * SECOND_NS)
    at_once = 0
    while bucket.due_ns(1, spacing, now_ns) == now_ns:
        bucket.charge(1, spacing, now_ns)
        at_once += 1
    assert at_once == 1 + 18


def test_permits_used_late_still_keep_the_window(tmp_path: Path) -> None:
    """Up to a second late they are charged again; later they are worthless."""
    draw, clock = random.Random(7), FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=120))
    limiter.answered(granted(limiter), {}, None, None)
    waiting: list[tuple[float, Permit]] = []
    arrivals = [(clock.now_s, 1)]
    stale = 0
    while len(arrivals) < 500:
        permit = granted(limiter)
        # The worst case: a minute of late ones, then a minute of punctual ones.
        is_late = int(clock.now_s / 60) % 2 == 0
        delay_s = draw.uniform(0, 1.3) if is_late else 0.0
        waiting.append((due_s(permit) + delay_s, permit))
        for entry in [e for e in waiting if e[0] <= clock.now_s]:
            waiting.remove(entry)
            if limiter.is_fresh(entry[1]):
                arrivals.append((clock.now_s + draw.uniform(0, 0.1), 1))
            else:
                stale += 1
                limiter.give_back(entry[1])
    assert stale > 0
    assert most_in_a_minute(arrivals) <= 120


@pytest.mark.parametrize(("rpm", "is_charged_again"), [(120, True), (None, False)])
def test_a_late_request_is_charged_again_only_where_a_limit_spaces_it(
    tmp_path: Path, rpm: int | None, is_charged_again: bool
) -> None:
    """Without any it is nothing to anybody, and half of a busy run's are late."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=rpm))
    cell = place_in(tmp_path).run_cell
    permit = granted(limiter)
    before = cell.read_bytes()

    clock.now_s += 0.5

    assert limiter.is_fresh(permit)
    assert (cell.read_bytes() != before) is is_charged_again


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    """Small ones wait too while the window empties for it."""
    key, run, stop = KeyState(), RunState(is_proven=1), threading.Event()
    now_ns = 5_000 * SECOND_NS

    def asks(tokens: int) -> bool:
        asked = Asked(
            want=want(tokens=tokens),
            slot=1,
            ceilings=RunCeilings(tpm=1000),
            stop=stop,
        )
        return isinstance(admit(key, run, asked, now_ns), Permit)

    began_ns, is_sent = now_ns, False
    while not is_sent and now_ns - began_ns < 300 * SECOND_NS:
        small = sum(asks(10) for _ in range(8))
        assert small <= 8
        is_sent = now_ns - began_ns > 60 * SECOND_NS and asks(900)
        now_ns += SECOND_NS // 10
    assert is_sent
    assert now_ns - began_ns < 130 * SECOND_NS


def test_a_clock_that_ran_ahead_holds_nobody_for_more_than_two_windows() -> None:
    bucket, spacing = Bucket(), request_spacing(60)
    ahead_ns = 10**9 * SECOND_NS
    bucket.charge(1, spacing, ahead_ns)
    bucket.mend(5_000 * SECOND_NS)
    assert bucket.due_ns(1, spacing, 5_000 * SECOND_NS) <= 5_121 * SECOND_NS
    assert bucket.window.total(5_000 * SECOND_NS) == 1


@given(
    amounts=st.lists(
        st.tuples(st.integers(0, 200 * SECOND_NS), st.integers(1, 50)), max_size=60
    )
)
@settings(deadline=None)
def test_the_ring_counts_at_least_what_may_share_a_window(
    amounts: list[tuple[int, int]],
) -> None:
    """And nothing that is more than half a second out of reach."""
    window, past = Window(), []
    for at_ns, amount in sorted(amounts):
        window.add(amount, at_ns)
        past.append((at_ns, amount))
        least = sum(n for t, n in past if at_ns - t < REACH_NS)
        most = sum(n for t, n in past if at_ns - t < REACH_NS + SECOND_NS // 2)
        assert least <= window.total(at_ns) <= most
    assert Window.from_bytes(window.to_bytes()).counts == window.counts


def test_a_lower_ceiling_counts_what_was_sent_under_the_higher_one(
    tmp_path: Path,
) -> None:
    """`resume --rpm 30` a moment after 60 requests: nothing for a minute and more."""
    clock = FakeClock()
    before = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=600))
    before.answered(granted(before), {}, None, None)
    arrivals = [(due_s(granted(before)), 1) for _ in range(60)]
    after = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=30))
    late = [(due_s(granted(after)), 1) for _ in range(70)]
    assert late[0][0] >= arrivals[30][0] + 60
    assert most_in_a_minute(late) <= 30
