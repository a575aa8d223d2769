"""A limit that was learned may be wrong by now: it must not hold a key for ever."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import FakeClock, failure, granted, limiter_in, want

from runner.limiter import Limiter, Refusal, RefusalKind, RunCeilings
from runner.records import Failure, FailureKind

NOTHING = Decimal(0)


def shown(limit: int, kind: str = "tokens") -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(limit),
        f"x-ratelimit-remaining-{kind}": str(limit - limit // 10),
        f"x-ratelimit-reset-{kind}": "6s",
    }


def taught(folder: Path, clock: FakeClock, said: dict[str, str]) -> Limiter:
    limiter = limiter_in(folder, clock)
    limiter.answered(granted(limiter, want(tokens=30)), said, None, None)
    return limiter


def takes_s(limiter: Limiter, clock: FakeClock, said: dict[str, str]) -> float:
    """Until a request of 400 tokens is granted, and answered with these headers."""
    began_s = clock.now_s
    limiter.answered(granted(limiter, want(tokens=400)), said, None, None)
    limiter.settle()
    return clock.now_s - began_s


def too_large(status: int, kind: FailureKind) -> Failure:
    return Failure(kind=kind, message="Request too large", status=status)


def refused(limiter: Limiter, tokens: int) -> Refusal | None:
    asked = limiter.reserve(want(tokens=tokens), threading.Event())
    return asked if isinstance(asked, Refusal) else None


def test_a_request_larger_than_what_was_learned_finds_out_alone_what_is_true_now(
    tmp_path: Path,
) -> None:
    """The account was upgraded: one answer tells, and all others go at once."""
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(100))
    assert 59 <= takes_s(limiter, clock, shown(1_000_000)) <= 63
    assert limiter.pace().tpm_limit == 1_000_000
    assert sum(takes_s(limiter, clock, shown(1_000_000)) for _ in range(10)) < 1


def test_larger_ones_wait_for_each_other_while_nothing_new_is_known(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(100))
    takes_s(limiter, clock, {})
    assert takes_s(limiter, clock, {}) > 59


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, FailureKind.REJECTED),
        (429, FailureKind.REJECTED),
        (429, FailureKind.THROTTLED),
    ],
)
def test_what_the_server_refused_as_too_large_is_not_asked_again_for_ten_minutes(
    tmp_path: Path, status: int, kind: FailureKind
) -> None:
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(100))
    permit = granted(limiter, want(tokens=400))
    limiter.failed(permit, too_large(status, kind), shown(100), NOTHING)
    refusal = refused(limiter, 401)
    assert refusal is not None
    assert refusal.kind is RefusalKind.TOO_LARGE
    assert "401 tokens at once, the key allows 100" in refusal.message
    clock.now_s += 601
    assert refused(limiter, 401) is None


def test_what_was_refused_as_too_large_leaves_the_minute_to_others(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(100))
    permit = granted(limiter, want(tokens=400))
    rejected = too_large(413, FailureKind.REJECTED)
    limiter.failed(permit, rejected, {}, NOTHING)
    began_s = clock.now_s
    granted(limiter, want(tokens=50))
    assert clock.now_s - began_s < 1


def test_a_request_refused_for_what_it_says_tells_nothing_of_sizes(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(100))
    permit = granted(limiter, want(tokens=400))
    limiter.failed(permit, failure(FailureKind.REJECTED), {}, NOTHING)
    assert refused(limiter, 400) is None


def test_more_than_the_users_own_ceiling_is_refused_at_once(tmp_path: Path) -> None:
    limiter = limiter_in(tmp_path, FakeClock(), ceilings=RunCeilings(tpm=30_000))
    refusal = refused(limiter, 30_001)
    assert refusal is not None
    assert refusal.kind is RefusalKind.TOO_LARGE
    assert "30,001 tokens at once, --tpm allows 30,000" in refusal.message


def test_a_limit_that_ten_minutes_of_answers_do_not_show_is_forgotten(
    tmp_path: Path,
) -> None:
    """One reply of a gateway said 1 a minute, and no other one anything."""
    clock = FakeClock()
    said = shown(1, "requests") | {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }
    limiter = taught(tmp_path, clock, said)
    began_s = clock.now_s
    for _ in range(100):
        limiter.answered(granted(limiter), {}, None, None)
    assert limiter.pace().rpm_limit is None
    assert 600 <= clock.now_s - began_s <= 800


def test_a_limit_shown_now_and_then_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = taught(tmp_path, clock, shown(60, "requests"))
    for turn in range(60):
        said = {} if turn % 9 else shown(60, "requests")
        clock.now_s += 60
        limiter.answered(granted(limiter), said, None, None)
    assert limiter.pace().rpm_limit == 60


def test_a_limit_nobody_has_seen_for_a_day_is_forgotten(tmp_path: Path) -> None:
    clock = FakeClock()
    taught(tmp_path, clock, shown(100) | shown(60, "requests")).close()
    clock.now_s += 86_000
    pace = limiter_in(tmp_path, clock).pace()
    assert (pace.rpm_limit, pace.tpm_limit) == (60, 100)
    clock.now_s += 400
    pace = limiter_in(tmp_path, clock).pace()
    assert (pace.rpm_limit, pace.tpm_limit) == (None, None)
