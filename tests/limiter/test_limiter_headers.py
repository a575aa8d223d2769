"""Servers' headers are believed as far as they make sense, and no further."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.limiter.headers import (
    ShownLimit,
    duration_s,
    exhausted_reset_s,
    read_meters,
    said_wait_s,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1m30s", 90.0),
        ("59.983s", 59.983),
        ("6m0s", 360.0),
        ("2h5m0s", 7500.0),
        ("0s", 0.0),
        ("850µs", 0.00085),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-1", None),
        ("-5s", None),
        ("1800000000", None),
        ("1700000000123", None),
        ("2026-01-02T03:04:05Z", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("5 s", None),
        ("s", None),
        ("\u0661s", None),
    ],
)
def test_a_reset_is_a_duration_or_unknown(text: str, seconds: float | None) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset_s", "period_s"),
    [
        (60, 59, 1.0, 60),
        (10_000, 9_999, 8.64, 86_400),
        (10_000, 9_999, 0.006, 60),
        (30_000, 29_999, 0.002, 60),
        (14_400, 14_370, 179.56, 86_400),
        (150_000, 149_984, 360.0, None),
        (6_000, 5_990, 1.0, None),
        (60, 60, 0.0, None),
        (60, None, 1.0, None),
        (60, 59, None, None),
        (60, 59, 0.0, None),
    ],
)
def test_the_period_of_a_limit_is_inferred_or_not_learned(
    limit: int, remaining: int | None, reset_s: float | None, period_s: int | None
) -> None:
    meter = ShownLimit(limit=limit, remaining=remaining, reset_s=reset_s)
    assert period_s == meter.period_s()


def test_a_429_says_its_limit_and_wait_in_words() -> None:
    message = (
        "Rate limit reached for gpt-4o in organization org-x on tokens per min "
        "(TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms."
    )
    meters = read_meters({}, message)
    assert meters.tokens == (ShownLimit(limit=30_000, said_period_s=60),)
    assert said_wait_s(message) == pytest.approx(0.644)
    assert said_wait_s(message.replace("644ms", "9h")) == 900.0
    day = "Rate limit reached on requests per day (RPD): Limit 200, Used 200"
    assert read_meters({}, day).requests[0].period_s() == 86_400


def test_a_zero_or_unlimited_limit_is_no_limit() -> None:
    for text in ("0", "-1", "unlimited", "9" * 16, ""):
        assert read_meters({"x-ratelimit-limit-requests": text}).requests == ()


def test_only_a_used_up_limit_says_how_long_to_wait() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "48s",
        "x-ratelimit-limit-project-tokens": "1000",
        "x-ratelimit-remaining-project-tokens": "0",
        "x-ratelimit-reset-project-tokens": "31s",
    }
    assert exhausted_reset_s(read_meters(headers)) == 31.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_the_reading(one: str, other: str) -> None:
    headers = {
        "x-ratelimit-limit-requests": one,
        "x-ratelimit-remaining-requests": other,
        "x-ratelimit-reset-requests": one,
    }
    read_meters(headers, one)
    seconds = said_wait_s(other)
    assert seconds is None or 0 <= seconds <= 900
