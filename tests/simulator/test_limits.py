import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.limit_headers import go_duration, limit_headers, retry_headers
from runner.simulator.limits import Limits
from runner.simulator.meters import Bucket, Limit, SlidingWindow
from runner.simulator.refusals import Refusal
from runner.simulator.scenario_text import parse

TEN = Limit(label="", kind="requests", amount=10, period_s=60.0)
arrivals = st.lists(st.floats(0, 20), max_size=120)


def limits(text: str) -> Limits:
    return Limits("gpt-4o-mini", parse(text))


def message(refusal: Refusal | None) -> str:
    assert refusal is not None
    return str(json.loads(refusal.body)["error"]["message"])


@given(gaps=arrivals)
def test_no_window_ever_holds_more_than_the_limit(gaps: list[float]) -> None:
    meter, admitted, now_s = SlidingWindow(), [], 1000.0
    for gap in gaps:
        now_s += gap
        if meter.wait_s(TEN, 1, now_s) == 0:
            meter.add(1, now_s)
            admitted.append(now_s)

    spans = [late - early for early, late in zip(admitted, admitted[10:], strict=False)]
    assert all(span >= 60 for span in spans)


@given(gaps=arrivals)
def test_a_bucket_admits_at_most_its_size_and_its_rate(gaps: list[float]) -> None:
    meter, admitted, now_s = Bucket(), 0, 1000.0
    for gap in gaps:
        now_s += gap
        if meter.wait_s(TEN, 1, now_s) == 0:
            meter.add(1, now_s)
            admitted += 1

    assert admitted <= 10 + (now_s - 1000.0) / 6 + 1e-6


@pytest.mark.parametrize("meter", [SlidingWindow(), Bucket()])
def test_waiting_as_long_as_told_is_exactly_long_enough(
    meter: SlidingWindow | Bucket,
) -> None:
    for _ in range(10):
        meter.used(TEN, 1000.0)
        meter.add(1, 1000.0)
    wait_s = meter.wait_s(TEN, 1, 1003.0)

    assert wait_s > 0
    assert meter.wait_s(TEN, 1, 1003.0 + wait_s - 0.01) > 0
    assert meter.wait_s(TEN, 1, 1003.0 + wait_s + 1e-6) == 0


def test_a_sliding_window_frees_what_is_a_minute_old() -> None:
    minute = limits("rpm=2")
    assert [minute.admit(1, at_s) for at_s in (0.0, 30.0)] == [None, None]

    assert minute.admit(1, 59.99) is not None
    assert minute.admit(1, 60.01) is None
    assert minute.admit(1, 60.02) is not None


def test_a_bucket_gives_back_evenly() -> None:
    minute = limits("rpm=2,window=bucket")
    assert [minute.admit(1, at_s) for at_s in (0.0, 0.0)] == [None, None]

    assert minute.admit(1, 29.9) is not None
    assert minute.admit(1, 30.1) is None


def test_rejected_requests_count_only_when_told_to() -> None:
    kind, strict = limits("rpm=1"), limits("rpm=1,count_rejected=1")
    for one in (kind, strict):
        assert one.admit(1, 0.0) is None
        assert one.admit(1, 30.0) is not None

    assert kind.admit(1, 61.0) is None
    assert strict.admit(1, 61.0) is not None


def test_a_429_says_what_openai_says() -> None:
    minute = limits("rpm=3,tpm=1000")
    for _ in range(3):
        minute.admit(10, 0.0)
    refusal = minute.admit(10, 40.0)

    assert message(refusal) == (
        "Rate limit reached for gpt-4o-mini in organization org-simulator on requests"
        " per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20.001s."
        " Visit https://platform.openai.com/account/rate-limits to learn more."
    )
    assert refusal is not None
    error = json.loads(refusal.body)["error"]
    assert (refusal.status, error["type"], error["code"], error["param"]) == (
        429,
        "requests",
        "rate_limit_exceeded",
        None,
    )
    assert refusal.headers == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "970",
        "x-ratelimit-reset-tokens": "1.8s",
        "retry-after": "21",
        "retry-after-ms": "20001",
    }


def test_tokens_are_charged_at_admission_and_not_given_back() -> None:
    minute = limits("tpm=1000")
    assert minute.admit(700, 0.0) is None
    minute.charge(5, 1.0)
    refusal = minute.admit(301, 1.0)

    assert "tokens per min (TPM): Limit 1000, Used 700, Requested 301" in message(
        refusal
    )
    assert minute.admit(300, 1.0) is None


def test_tokens_may_be_charged_when_they_are_used_instead() -> None:
    minute = limits("tpm=1000,tpm_charge=usage")
    assert minute.admit(700, 0.0) is None
    assert minute.admit(700, 0.0) is None
    minute.charge(400, 1.0)

    assert minute.admit(700, 2.0) is not None
    assert minute.admit(600, 2.0) is None


def test_a_request_beyond_the_whole_limit_never_succeeds() -> None:
    refusal = limits("tpm=1000").admit(1001, 0.0)

    assert message(refusal).startswith(
        "Request too large for gpt-4o-mini in organization org-simulator on tokens per"
        " min (TPM): Limit 1000, Requested 1001. The input or output tokens must be"
    )
    assert refusal is not None
    assert "retry-after" not in refusal.headers


def test_headers_may_show_the_daily_limit_as_real_servers_do() -> None:
    daily = limits("rpm=500,rpd=10000,headers=daily")
    daily.admit(1, 0.0)

    assert daily.headers(0.0) == {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "8.64s",
    }
    assert limits("rpm=500,rpd=10000").headers(0.0)["x-ratelimit-limit-requests"] == (
        "500"
    )


def test_a_used_up_day_is_named_as_such() -> None:
    daily = limits("rpd=2")
    for at_s in (0.0, 100.0):
        daily.admit(1, at_s)

    assert "requests per day (RPD): Limit 2, Used 2" in message(daily.admit(1, 200.0))
    assert "try again in 23h56m40.001s" in message(daily.admit(1, 200.0))


def test_time_can_be_scaled() -> None:
    fast = limits("rpm=1,time_scale=60")
    assert fast.admit(1, 0.0) is None

    assert fast.admit(1, 0.9) is not None
    assert fast.admit(1, 1.1) is None


def test_what_was_used_stays_used_when_a_limit_changes() -> None:
    minute = limits("rpm=5")
    for _ in range(4):
        minute.admit(1, 0.0)
    minute.follow(parse("rpm=4"))

    assert minute.admit(1, 1.0) is not None


def test_retry_after_can_be_any_text() -> None:
    minute = limits("rpm=1,retry_after=soon")
    minute.admit(1, 0.0)
    refusal = minute.admit(1, 0.0)

    assert refusal is not None
    assert refusal.headers["retry-after"] == "soon"
    assert "retry-after-ms" not in refusal.headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.983, "59.983s"),
        (90.5, "1m30.5s"),
        (360, "6m0s"),
        (7500, "2h5m0s"),
        (59.9999, "1m0s"),
    ],
)
def test_durations_look_like_gos(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_waits_are_rounded_up() -> None:
    assert retry_headers(1.0001) == {"retry-after": "2", "retry-after-ms": "1001"}


def test_remaining_is_never_negative() -> None:
    headers = limit_headers(TEN, 12.0)

    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "1m0s"
