import threading
import time

import requests
from simulator_bench import Bench

PERIOD_S = 0.3


def hammer(bench: Bench, until_s: float) -> None:
    with requests.Session() as session:
        body = {
            "model": bench.model,
            "messages": [{"role": "user", "content": "x" * 40}],
        }
        while time.monotonic() < until_s:
            session.post(f"{bench.simulator.base_url}/chat/completions", json=body)


def stormed(bench: Bench, periods: float) -> list[float]:
    """When requests were admitted while four clients asked as fast as they could."""
    until_s = time.monotonic() + periods * PERIOD_S
    clients = [threading.Thread(target=hammer, args=(bench, until_s)) for _ in "four"]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    lines = bench.ledger()
    assert "rate_limited" in {line["outcome"] for line in lines}
    return [line["received_unix_s"] for line in lines if line["outcome"] == "answer"]


def test_no_window_holds_more_requests_than_allowed_however_hard_one_asks(
    bench: Bench,
) -> None:
    bench.set(f"rpm=20,time_scale={60 / PERIOD_S}")
    admitted = stormed(bench, 2.5)

    assert 20 < len(admitted) <= 60
    spans = [late - early for early, late in zip(admitted, admitted[20:], strict=False)]
    assert min(spans) >= PERIOD_S


def test_no_window_holds_more_tokens_than_allowed(bench: Bench) -> None:
    bench.set(f"tpm=105,time_scale={60 / PERIOD_S}")
    admitted = stormed(bench, 1.5)

    assert 10 < len(admitted) <= 20  # ten tokens each


def test_waiting_for_retry_after_ms_is_long_enough(bench: Bench) -> None:
    bench.set(f"rpm=1,time_scale={60 / PERIOD_S}")
    assert bench.ask().status_code == 200
    refused = bench.ask()
    assert refused.status_code == 429
    time.sleep(int(refused.headers["retry-after-ms"]) / 1000)

    assert bench.ask().status_code == 200


def test_a_daily_limit_and_rejected_requests_count_as_set(bench: Bench) -> None:
    bench.set("rpd=2,headers=daily,count_rejected=1,window=bucket,tpm_charge=usage")
    replies = [bench.ask() for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].json()["error"]["type"] == "requests"
    assert replies[0].headers["x-ratelimit-reset-requests"] == "12h0m0s"
