"""A short job does not wait for smoothness, where the server says there is room."""

from decimal import Decimal
from pathlib import Path

from limiter_fakes import (
    FakeClock,
    due_s,
    failure,
    granted,
    limiter_in,
    most_in_a_minute,
    want,
)

from runner.limiter import Limiter, LimiterPlace, RunCeilings
from runner.records import FailureKind


def left(requests: int, **more: int) -> dict[str, str]:
    """What a server says of itself."""
    told = {"requests": requests, **more}
    return {f"x-ratelimit-remaining-{what}": str(n) for what, n in told.items()} | {
        f"x-ratelimit-limit-{what}": "6000" for what in told
    }


def answered(folder: Path, clock: FakeClock, headers: dict[str, str]) -> Limiter:
    """A limiter of 6,000 a minute whose first request was answered."""
    limiter = limiter_in(folder, clock, ceilings=RunCeilings(rpm=6_000))
    limiter.answered(granted(limiter), headers, None, None)
    return limiter


def sent_s(limiter: Limiter, clock: FakeClock, requests: int) -> float:
    """How long so many requests take; all of them are answered."""
    began_s = clock.now_s
    for _ in range(requests):
        limiter.answered(granted(limiter), {}, None, None)
    return clock.now_s - began_s


def two_runs(folder: Path, clock: FakeClock, ceilings: RunCeilings) -> list[Limiter]:
    """On one key."""
    key_cell = folder / "limits" / "key.cell"
    return [
        Limiter(
            LimiterPlace(key_cell=key_cell, run_cell=folder / name, slot=1),
            ceilings,
            clock,
        )
        for name in ("one", "other")
    ]


def test_a_job_that_fits_goes_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = answered(tmp_path, clock, left(5_999))
    assert limiter.hurry(3_000)
    assert sent_s(limiter, clock, 3_000) < 1


def test_a_longer_job_keeps_the_even_pace(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = answered(tmp_path, clock, left(5_999))
    assert limiter.hurry(5_800) is False
    assert sent_s(limiter, clock, 3_000) > 28


def test_nothing_is_hurried_before_an_answer_or_without_headers(tmp_path: Path) -> None:
    clock = FakeClock()
    fresh = limiter_in(tmp_path / "fresh", clock, ceilings=RunCeilings(rpm=6_000))
    assert fresh.hurry(10) is None
    assert answered(tmp_path, clock, {}).hurry(10) is False


def test_a_full_minute_of_tokens_is_no_room(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=6_000))
    some = want(tokens=100)
    limiter.answered(granted(limiter, some), left(5_999, tokens=500), None, None)
    assert limiter.hurry(10) is False
    assert limiter.hurry(4)


def test_the_first_refusal_brings_the_even_pace_back(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = answered(tmp_path, clock, left(5_999))
    assert limiter.hurry(3_000)
    assert sent_s(limiter, clock, 200) < 1
    limiter.failed(granted(limiter), failure(FailureKind.THROTTLED), {}, Decimal(0))
    assert sent_s(limiter, clock, 2_000) > 19


def test_a_hurried_job_stays_below_its_ceiling_in_every_minute(tmp_path: Path) -> None:
    """The server promises more than the user allows, and items are asked again."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=100))
    limiter.answered(granted(limiter), left(5_999), None, None)
    assert limiter.hurry(90)
    arrivals = [(clock.now_s, 1)]
    for _ in range(300):
        permit = granted(limiter)
        arrivals.append((due_s(permit), 1))
        limiter.answered(permit, {}, None, None)
    assert most_in_a_minute(arrivals) <= 100


def test_two_hurried_runs_share_what_the_key_has_left(tmp_path: Path) -> None:
    """Each is told that all of it is left, before the other has sent anything."""
    clock = FakeClock()
    of_a_hundred = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "600ms",
    }
    runs = two_runs(tmp_path, clock, RunCeilings())
    arrivals = []
    for limiter in runs:
        permit = granted(limiter)
        arrivals.append((due_s(permit), 1))
        limiter.answered(permit, of_a_hundred, None, None)
    assert all(limiter.hurry(80) for limiter in runs)
    for _ in range(80):
        for limiter in runs:
            permit = granted(limiter)
            arrivals.append((due_s(permit), 1))
            limiter.answered(permit, {}, None, None)
    assert most_in_a_minute(arrivals) <= 100


def test_two_runs_told_the_keys_limit_share_it_before_its_period_is_clear(
    tmp_path: Path,
) -> None:
    """The server shows all of it as left again by the end of each answer."""
    clock = FakeClock()
    full_again = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "600",
        "x-ratelimit-reset-requests": "0s",
    }
    runs = two_runs(tmp_path, clock, RunCeilings(rpm=600))
    for limiter in runs:
        limiter.answered(granted(limiter), full_again, None, None)
    began_s = clock.now_s
    last_s = max(due_s(granted(limiter)) for _ in range(30) for limiter in runs)
    # Ten a second, not ten a second for each.
    assert last_s - began_s > 5.5
