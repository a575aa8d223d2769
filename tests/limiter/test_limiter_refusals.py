"""429s, slow-downs and daily limits hold back the whole fleet, and only as long."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import (
    FakeClock,
    due_s,
    failure,
    granted,
    limiter_in,
    throttled,
    want,
)

from runner.limiter import Limiter, Permit, RunCeilings
from runner.limiter.throttle import Cut, Pause, Slower
from runner.limiter.window import SECOND_NS
from runner.records import FailureKind, Usage

NOTHING = Decimal(0)


def headers(
    limit: int, remaining: int, reset: str, kind: str = "requests"
) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(remaining),
        f"x-ratelimit-reset-{kind}": reset,
    }


def proven(folder: Path, clock: FakeClock, slot: int = 1) -> Limiter:
    limiter = limiter_in(folder, clock, slot)
    limiter.answered(granted(limiter), {}, None, None)
    return limiter


def throttle(limiter: Limiter, permit: Permit, said: dict[str, str]) -> bool:
    return limiter.failed(permit, throttled(said), said, NOTHING)


def wait_s(limiter: Limiter, clock: FakeClock) -> float:
    began_s = clock.now_s
    limiter.answered(granted(limiter), {}, None, None)
    return clock.now_s - began_s


def test_one_429_pauses_every_process_and_every_run_on_the_key(tmp_path: Path) -> None:
    clock = FakeClock()
    one = proven(tmp_path, clock)
    other = limiter_in(tmp_path, clock, slot=2)
    permit, waiting = granted(one), granted(other)
    assert other.is_fresh(waiting)
    assert not throttle(one, permit, {"retry-after": "20"})
    assert not other.is_fresh(waiting)
    other.give_back(waiting)
    assert other.pace().waiting_for == "the server asked for a pause (429)"
    assert 20 <= wait_s(other, clock) <= 22.1


def test_a_permit_from_before_a_pause_is_worthless_after_it(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    before, refused = granted(limiter), granted(limiter)
    throttle(limiter, refused, {"retry-after": "0.2"})
    clock.now_s += 0.3
    assert limiter.pace().waiting_for is None
    assert not limiter.is_fresh(before)


def test_429s_of_one_round_count_once(tmp_path: Path) -> None:
    """A hundred requests were under way: that is one refusal, not a hundred."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    for permit in [granted(limiter) for _ in range(100)]:
        throttle(limiter, permit, {})
    assert 1 <= wait_s(limiter, clock) <= 1.11


def test_rounds_in_a_row_double_up_to_a_minute_and_a_success_resets(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    waits = []
    permit = granted(limiter)
    for _ in range(9):
        throttle(limiter, permit, {})
        began_s = clock.now_s
        permit = granted(limiter)
        waits.append(clock.now_s - began_s)
    for waited, least in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        # Ten per cent of jitter, and it looks again every twentieth of a second.
        assert least <= waited <= least * 1.1 + 0.06
    limiter.answered(permit, {}, None, None)
    throttle(limiter, granted(limiter), {})
    assert 1 <= wait_s(limiter, clock) <= 1.1 + 0.06


def test_the_reset_counts_only_when_nothing_remains(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    throttle(limiter, granted(limiter), headers(9_999_999, 5, "40s"))
    assert wait_s(limiter, clock) <= 1.2
    throttle(limiter, granted(limiter), headers(9_999_999, 0, "40s"))
    assert 40 <= wait_s(limiter, clock) <= 44.2


def test_retry_after_zero_again_and_again_does_not_hammer() -> None:
    pause, now_ns = Pause(), 10**12
    for _ in range(10):
        pause.refused(epoch=pause.epoch, asked_s=0.0, now_ns=now_ns, draw=0.0)
        now_ns = pause.until_ns
    assert now_ns - 10**12 > 60 * SECOND_NS


def test_a_server_that_answers_some_of_each_round_is_paused_for_as_it_asks() -> None:
    """Their refusals come before their answers, and begin the next round."""
    pause, now_ns = Pause(), 10**12
    for _ in range(10):
        round_epoch = pause.epoch
        pause.refused(epoch=round_epoch, asked_s=0.2, now_ns=now_ns, draw=0.0)
        pause.succeeded(round_epoch)
        now_ns = pause.until_ns
    assert now_ns - 10**12 == 2 * SECOND_NS


def test_a_limit_in_the_headers_corrects_an_rpm_that_was_too_high(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=60_000))
    limiter.answered(granted(limiter), headers(60, 59, "1s"), None, None)
    began_s = clock.now_s
    for _ in range(60):
        limiter.answered(granted(limiter), headers(60, 59, "1s"), None, None)
    assert 59 <= clock.now_s - began_s <= 62
    assert limiter.pace().rpm_limit == 60


def test_a_limit_of_unclear_period_is_not_learned(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    unclear = headers(5_000, 4_990, "6m0s")
    limiter.answered(granted(limiter), unclear, None, None)
    assert limiter.pace().rpm_limit is None
    limiter.answered(granted(limiter), headers(60, 59, "1s"), None, None)
    limiter.answered(granted(limiter), unclear, None, None)
    assert limiter.pace().rpm_limit == 60


def test_a_limit_per_day_is_not_taken_for_one_per_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), headers(10_000, 9_999, "8.64s"), None, None)
    assert limiter.pace().rpm_limit is None
    assert limiter.pace().rpd_limit == 10_000


def test_a_used_up_day_is_named_with_its_next_try_and_is_no_outage(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    patient = RunCeilings(give_up_after_s=60.0)
    limiter = limiter_in(tmp_path, clock, ceilings=patient)
    limiter.answered(granted(limiter), headers(200, 199, "432s"), None, None)
    for _ in range(8):
        throttle(limiter, granted(limiter), headers(200, 0, "20h0m0s"))
        pace = limiter.pace()
        assert pace.waiting_for == "the key's 200 requests a day are used up"
        assert pace.next_try_s == pytest.approx(900, abs=1)
    assert isinstance(limiter.reserve(want(), threading.Event()), Permit)


def test_somebody_else_on_the_key_is_given_way_to(tmp_path: Path) -> None:
    """They use 40 of 60 a minute: we come down to the other 20, and up again."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    sent: list[float] = []

    def rate(others: int, minutes: int) -> float:
        began_s, count = clock.now_s, 0
        while clock.now_s < began_s + 60 * minutes:
            permit = granted(limiter)
            sent.append(due_s(permit))
            used = others + sum(s > due_s(permit) - 60 for s in sent)
            left = max(0, 60 - used)
            limiter.answered(permit, headers(60, left, f"{60 - left}s"), None, None)
            count += 1
        return count / minutes

    # This server never refuses, so nothing but its figures holds us back.
    assert 18 <= rate(others=40, minutes=10) <= 27
    rate(others=0, minutes=2)
    assert 57 <= rate(others=0, minutes=5) <= 61


def test_tokens_come_back_only_when_the_server_counts_less(tmp_path: Path) -> None:
    def second_wait(remaining: int | None, other_tokens: int = 0) -> float:
        clock = FakeClock()
        limiter = limiter_in(tmp_path / f"{remaining} {other_tokens}", clock)
        said = headers(10_000, 9_990, "60ms", "tokens")
        for _ in range(2):  # for a minute: until then nothing comes back
            few = Usage(input_tokens=5, output_tokens=5)
            limiter.answered(granted(limiter, want(tokens=10)), said, few, None)
            clock.now_s += 61
        granted(limiter, want(tokens=other_tokens))
        permit = granted(limiter, want(tokens=9_000 - other_tokens))
        clock.now_s += 5
        later = {} if remaining is None else headers(10_000, remaining, "1s", "tokens")
        usage = Usage(input_tokens=100, output_tokens=100)
        limiter.answered(permit, later, usage, None)
        began_s = clock.now_s
        granted(limiter, want(tokens=5_000))
        return clock.now_s - began_s

    assert second_wait(None) > 50
    assert second_wait(990) > 50
    assert second_wait(9_990) < 10
    # What else was under way may not have reached the server yet.
    assert second_wait(5_490, other_tokens=4_500) > 20


def test_tokens_over_the_charge_are_charged_afterwards(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(tpm=10_000))
    permit = granted(limiter, want(tokens=10))
    usage = Usage(input_tokens=5_000, output_tokens=4_000)
    limiter.answered(permit, {}, usage, None)
    began_s = clock.now_s
    granted(limiter, want(tokens=5_000))
    assert clock.now_s - began_s > 50


def test_slow_down_halves_the_rate_and_it_grows_back_by_a_tenth_a_minute() -> None:
    cut, now_ns = Cut(), 10**12
    cut.cut(Slower(to=0.5, growth=0.1), 1000, now_ns)
    assert cut.per_minute(now_ns) == 500
    assert cut.per_minute(now_ns + 60 * SECOND_NS) == pytest.approx(600, abs=1)
    assert cut.per_minute(now_ns + 301 * SECOND_NS) is None
    cut.cut(Slower(to=0.9, growth=0.02), 1000, now_ns)
    assert cut.per_minute(now_ns) == 450


def test_slow_down_slows_a_run_far_below_its_limit(tmp_path: Path) -> None:
    """Half of what was really sent, not half of a limit nobody reaches."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=120))
    for _ in range(120):
        limiter.answered(granted(limiter), headers(6000, 5999, "10ms"), None, None)
    slow = failure(FailureKind.SLOW_DOWN)
    assert not limiter.failed(granted(limiter), slow, {}, NOTHING)
    granted(limiter)
    began_s = clock.now_s
    for _ in range(20):
        granted(limiter)
    assert 18 <= clock.now_s - began_s <= 22


def test_429s_within_the_limit_lower_the_rate_by_a_tenth(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    for _ in range(240):
        limiter.answered(granted(limiter), headers(120, 119, "500ms"), None, None)
    for _ in range(2):
        throttle(limiter, granted(limiter), {"retry-after": "1"})
        for _ in range(20):
            limiter.answered(granted(limiter), {}, None, None)
    began_s = clock.now_s
    for _ in range(30):
        granted(limiter)
    rate = 30 * 60 / (clock.now_s - began_s)
    assert 100 <= rate <= 113


def hundred_take_s(limiter: Limiter, clock: FakeClock) -> float:
    began_s = clock.now_s
    for _ in range(100):
        granted(limiter)
    return clock.now_s - began_s


def answer(limiter: Limiter, clock: FakeClock, requests: int) -> None:
    """At 100 a second."""
    for _ in range(requests):
        clock.now_s += 0.01
        limiter.answered(granted(limiter), {}, None, None)


@pytest.mark.parametrize("requests", [(2_000,) * 5, (3_000, 3_000, 50, 50, 3_000)])
def test_a_rare_429_that_no_limit_explains_costs_its_pause_and_no_more(
    tmp_path: Path, requests: tuple[int, ...]
) -> None:
    """The pace is not the reason, even where two come close together."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    for many in requests:
        answer(limiter, clock, many)
        throttle(limiter, granted(limiter), {"retry-after": "0.1"})
    wait_s(limiter, clock)
    assert hundred_take_s(limiter, clock) < 0.1


@pytest.mark.parametrize(
    ("requests", "pause"), [((3_000, 300, 300, 300, 300), "0.1"), ((2_000,) * 3, "20")]
)
def test_a_429_that_is_not_rare_or_asks_for_a_long_pause_means_the_pace(
    tmp_path: Path, requests: tuple[int, ...], pause: str
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    for many in requests:
        answer(limiter, clock, many)
        throttle(limiter, granted(limiter), {"retry-after": pause})
        wait_s(limiter, clock)
    assert hundred_take_s(limiter, clock) > 1


def test_429s_in_a_row_do_not_make_it_crawl_afterwards(tmp_path: Path) -> None:
    """While everybody paused next to nothing was sent: that is not the pace."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    for _ in range(6):
        throttle(limiter, granted(limiter), {})
    limiter.answered(granted(limiter), {}, None, None)
    throttle(limiter, granted(limiter), {})
    began_s = clock.now_s
    for _ in range(30):
        granted(limiter)
    assert clock.now_s - began_s < 45


def test_the_token_ratio_follows_the_answers(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    assert limiter.token_ratio() == 1.0
    for real, ratio in ((60, 0.6), (100_000, 2.3)):
        permit = limiter.reserve(
            type(want())(number=1, tokens=0, input_tokens_estimate=100),
            threading.Event(),
        )
        assert isinstance(permit, Permit)
        limiter.answered(permit, {}, Usage(input_tokens=real), None)
        limiter.settle()
        assert limiter.token_ratio() == pytest.approx(ratio)


def test_a_limit_known_as_a_days_stays_one_though_told_as_a_minutes(
    tmp_path: Path,
) -> None:
    """The last reply of the day does not say when there will be more."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=10_000))
    of_a_day = {"x-ratelimit-limit-requests": "10000"}
    first = {
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "8.64s",
    }
    limiter.answered(granted(limiter), of_a_day | first, None, None)
    last = {"x-ratelimit-remaining-requests": "0", "retry-after": "600"}
    throttle(limiter, granted(limiter), of_a_day | last)
    waiting_for = limiter.pace().waiting_for or ""
    assert waiting_for == "the key's 10,000 requests a day are used up"
