"""Concurrency finds itself: what the governor makes of what it sees."""

import math
import random

import pytest
from governed import Model, Server, batching, full_at, spread, steady

from runner.supervisor.governor import MOST, Governor, Seen

RATES = (60, 300, 1_000, 3_000, 6_000, 10_000)
LATENCIES_S = (0.2, 1.0, 6.0, 20.0)
REACHABLE = [
    (rpm, latency_s)
    for rpm in RATES
    for latency_s in LATENCIES_S
    if rpm / 60 * latency_s <= 1_000
]


@pytest.mark.parametrize(("rpm", "latency_s"), REACHABLE)
def test_a_known_rate_is_reached_a_minute_after_the_first_answer(
    rpm: int, latency_s: float
) -> None:
    """Whatever an answer takes; within two in a hundred."""
    run = Model(steady(latency_s), per_s=rpm / 60).go(latency_s + 60)
    since_s = run.now_s
    run.go(60)

    assert run.rate_per_s(since_s) >= 0.98 * rpm / 60
    assert run.under_way <= rpm / 60 * (latency_s + 0.1) + 2


@pytest.mark.parametrize(("rpm", "median_s"), [(600, 2.0), (3_000, 5.0), (3_000, 14.0)])
@pytest.mark.parametrize("sigma", [0.4, 0.8])
def test_a_known_rate_is_reached_with_unequal_answers_too(
    rpm: int, median_s: float, sigma: float
) -> None:
    """The short ones come back first, and tell too little."""
    run = Model(spread(median_s, sigma, seed=1), per_s=rpm / 60)
    while not run.is_proven:
        run.go(1)
    since_s = run.go(60).now_s
    run.go(60)

    assert run.rate_per_s(since_s) >= 0.98 * rpm / 60


def test_five_requests_a_minute_stay_five() -> None:
    """Ten minutes of them, answered slowly."""
    run = Model(steady(20.0), per_s=5 / 60).go(600)

    assert 49 <= len(run.sent) <= 51


@pytest.mark.parametrize("latency_s", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("calls", [4, 30, 100, 300])
def test_a_server_without_known_limit_is_kept_full_and_not_drowned(
    calls: int, latency_s: float
) -> None:
    """It answers so many at once, and what is more waits."""
    run = Model(full_at(calls, latency_s)).go(400)
    settled = [target for at_s, target in run.targets if at_s > 100]

    assert sum(settled) / len(settled) <= 2.4 * calls + 2
    assert sorted(settled)[len(settled) // 20] >= 0.7 * calls
    assert run.governor.target <= 2.5 * calls


def test_a_server_that_batches_gets_slower_a_call_and_is_filled_all_the_same() -> None:
    """Far more than one that queues from the second call on would be given."""
    run = Model(batching(2.0, doubles_at=256, full=100_000)).go(400)

    assert run.governor.target >= 400


@pytest.mark.parametrize(("calls", "told_per_s"), [(10, 100), (50, 100), (16, 50)])
def test_a_rate_that_the_server_cannot_keep_up_with_does_not_drown_it(
    calls: int, told_per_s: float
) -> None:
    """Told 6,000 a minute, it manages 600: some minutes later it has no queue."""
    run = Model(full_at(calls, 1.0), per_s=told_per_s).go(300)

    assert run.governor.target <= 1.6 * calls
    assert run.rate_per_s(200) >= 0.9 * calls


def test_refusals_of_a_server_without_known_limit_make_it_fewer() -> None:
    """It answers 429 to more than 40 at once, and tells no limit."""
    server = Server(lambda _now_s, _n: 1.0, refuses=lambda under_way: under_way >= 40)
    run = Model(server).go(300)
    settled = [target for at_s, target in run.targets if at_s > 60]

    assert max(settled) <= 60
    assert sorted(settled)[len(settled) // 2] >= 20


@pytest.mark.parametrize("share", [0.06, 0.12, 0.3])
def test_failures_that_come_by_chance_cost_no_callers(share: float) -> None:
    """A server of 0.4 s that fails so many calls whatever the load, for half an hour.

    Fewer callers get fewer answers there, and as many of them are refused.
    """
    chance = random.Random(1)
    governor, now_s, due, finished = Governor(8, 400, 0.0), 0.0, 0.0, 0
    while now_s < 1_800:
        now_s += 0.2
        due += governor.target * 0.2 / 0.4
        calls, due = int(due), due % 1
        finished += calls
        governor.look(
            Seen(
                now_s=now_s,
                under_way=governor.target,
                waiting=0,
                finished=calls,
                took_s=calls * 0.4,
                fastest_s=0.39 if calls else math.inf,
                throttled=0,
                failed=sum(chance.random() < share for _ in range(calls)),
                per_s=None,
                has_more=True,
            )
        )
    assert finished >= 0.9 * 1_800 * 400 / 0.4


def test_a_server_that_becomes_slower_for_our_sake_gets_fewer() -> None:
    """Somebody else takes three quarters of it from the third minute on."""
    run = Model(
        Server(lambda now_s, n: max(1.0, (n + 1) / (80 if now_s < 180 else 20)))
    )
    run.go(180)
    before = run.governor.target
    run.go(420)

    assert before >= 60
    assert run.governor.target <= 45


def test_answers_that_become_longer_by_themselves_cost_no_caller() -> None:
    """The second half of the items needs long answers; the server is not full."""
    run = Model(Server(lambda now_s, _n: 1.0 if now_s < 180 else 3.0))
    run.go(180)
    before = run.governor.target
    run.go(300)

    assert run.governor.target >= 0.75 * before


def test_there_are_never_more_than_the_bound() -> None:
    """However well it goes."""
    run = Model(steady(20.0), per_s=1_000.0).go(120)

    assert max(target for _, target in run.targets) == MOST
    assert Model(steady(1.0), most=3).go(60).governor.target == 3


def test_nothing_is_concluded_while_items_are_wanting() -> None:
    """The end of a run is not a server that is full."""
    governor = Governor(8, 100, 0.0)
    seen = {
        "under_way": 8,
        "waiting": 0,
        "finished": 8,
        "took_s": 8.0,
        "fastest_s": 1.0,
        "throttled": 0,
        "failed": 0,
        "per_s": None,
    }
    for second in range(1, 120):
        governor.look(Seen(now_s=float(second), has_more=False, **seen))  # type: ignore[arg-type]  # numbers by name

    assert governor.target == 8
    assert math.isfinite(governor.target)


def after_an_outage(answer_s: float, refusal_s: float, lasts_s: float) -> Governor:
    """3,000 a minute are allowed; a minute after the first answer that came again.

    From the twelfth second on 20 calls fail at once, then nobody asks; and after it
    the limiter lets a tenth of the rate through, and more and more for 45 s.
    """
    governor, now_s, due, under_way = Governor(8, 1_280, 0.0), 0.0, 0.0, 0.0
    back_s = 12.2 + lasts_s
    while now_s < back_s + 60:
        now_s += 0.2
        failed = 20 if 12 < now_s <= 12.2 else 0
        ramp = 0.1 + 0.9 * (now_s - back_s) / 45
        share = 1.0 if now_s <= 12 else max(0.0, min(1.0, ramp))
        allowed_per_s = 50 * share if now_s >= back_s or now_s <= 12 else 0.0
        most_per_s = governor.target / answer_s
        due += min(allowed_per_s, most_per_s) * 0.2
        answered, due = int(due), due % 1
        under_way = min(allowed_per_s * answer_s, governor.target)
        finished = answered + failed
        governor.look(
            Seen(
                now_s=now_s,
                under_way=round(under_way),
                waiting=round(governor.target - under_way),
                finished=finished,
                took_s=answered * answer_s + failed * refusal_s,
                fastest_s=answer_s if answered else math.inf,
                throttled=0,
                failed=failed,
                per_s=50.0,
                has_more=True,
            )
        )
    return governor


@pytest.mark.parametrize("lasts_s", [45.0, 100.0])
@pytest.mark.parametrize("answer_s", [0.1, 1.0])
@pytest.mark.parametrize("refusal_s", [0.001, 0.05])
def test_an_outage_leaves_the_known_rate_in_reach(
    lasts_s: float, answer_s: float, refusal_s: float
) -> None:
    """Errors that come at once tell nothing of how long an answer takes."""
    governor = after_an_outage(answer_s, refusal_s, lasts_s)

    assert governor.target >= 50 * answer_s
