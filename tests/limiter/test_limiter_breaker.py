"""An outage stops the run, costs no item anything, and ends by itself."""

import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import (
    FakeClock,
    due_s,
    failure,
    granted,
    limiter_in,
    place_in,
    throttled,
    want,
)

from runner.limiter import Limiter, Permit, RefusalKind, RunCeilings, rebuild_slot
from runner.records import Failure, FailureKind

NOTHING = Decimal(0)
SERVER = failure(FailureKind.SERVER, "503 from the server")
TIMEOUT = failure(FailureKind.TIMEOUT, "no reply in 60 s")
THROTTLED = failure(FailureKind.THROTTLED, "429")
UNSENT = failure(FailureKind.NOT_SENT, "connection refused")


def proven(folder: Path, clock: FakeClock, give_up_after_s: float = 1e9) -> Limiter:
    ceilings = RunCeilings(give_up_after_s=give_up_after_s)
    limiter = limiter_in(folder, clock, ceilings=ceilings)
    limiter.answered(granted(limiter), {}, None, None)
    return limiter


def fail_all(limiter: Limiter, numbers: list[int], what: object = SERVER) -> list[bool]:
    permits = [granted(limiter, want(number)) for number in numbers]
    assert isinstance(what, type(SERVER))
    return [limiter.failed(permit, what, {}, NOTHING) for permit in permits]


def test_three_failures_of_different_items_open_it_and_the_last_is_free(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    assert fail_all(limiter, [1, 2, 3]) == [True, True, False]
    assert limiter.pace().waiting_for == "nothing answers: 503 from the server"
    assert limiter.pace().is_out


def test_with_many_in_flight_it_takes_twenty(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    others = [granted(limiter) for _ in range(50)]
    counted = fail_all(limiter, list(range(20)))
    assert counted == [True] * 19 + [False]
    assert not any(limiter.is_fresh(permit) for permit in others)


def test_what_fails_while_a_pause_lets_calls_run_out_is_no_outage(
    tmp_path: Path,
) -> None:
    """Nothing newer is sent that could be answered and end the row of failures."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    under_way = [granted(limiter, want(number)) for number in range(160)]
    said = {"retry-after": "20"}
    limiter.failed(under_way.pop(), throttled(said), said, NOTHING)
    for number, permit in enumerate(under_way):
        clock.now_s += 0.1
        if number % 7 == 0:
            assert limiter.failed(permit, SERVER, {}, NOTHING)
        else:
            limiter.answered(permit, {}, None, None)
    assert limiter.pace().waiting_for == "the server asked for a pause (429)"
    clock.now_s += 20
    assert limiter.pace().waiting_for is None


def test_answers_to_older_requests_do_not_hide_an_outage(tmp_path: Path) -> None:
    """What is asked now fails, while what was asked before is still answered."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    under_way = [granted(limiter, want(number)) for number in range(100, 160)]
    for number in range(20):
        clock.now_s += 0.1
        assert limiter.pace().waiting_for is None
        fail_all(limiter, [number])
        limiter.answered(under_way.pop(), {}, None, None)
    assert "nothing answers" in (limiter.pace().waiting_for or "")


def test_calls_that_all_end_in_silence_are_an_outage_before_newer_ones_do(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    under_way = [granted(limiter, want(number)) for number in range(50)]
    clock.now_s += 60
    counted = [limiter.failed(permit, TIMEOUT, {}, NOTHING) for permit in under_way]
    assert counted == [True] * 19 + [False] * 31


def test_failures_shortly_before_the_opening_are_forgiven(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    long_ago_s = clock.now_s - 31
    just_before_s = clock.now_s - 29
    assert limiter.forgiven([just_before_s]) == []
    fail_all(limiter, [1, 2, 3])
    during_s = clock.now_s
    probe = granted(limiter)
    limiter.answered(probe, {}, None, None)
    after_s = clock.now_s + 1
    times = [long_ago_s, just_before_s, during_s, after_s]
    assert limiter.forgiven(times) == [just_before_s, during_s]


def test_one_sick_item_is_not_taken_for_an_outage(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    counted = []
    for _ in range(6):
        counted += fail_all(limiter, [7])
    assert counted == [True] * 6
    assert limiter.pace().waiting_for is None
    assert limiter.is_alone(7)
    assert limiter.forgiven([clock.now_s]) == []


def test_a_sick_item_followed_by_others_becomes_an_outage(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    assert fail_all(limiter, [7, 7, 7]) == [True, True, True]
    first_s = clock.now_s
    clock.now_s += 300
    assert fail_all(limiter, [8]) == [False]
    assert not limiter.is_alone(7)
    # Nothing was answered in those five minutes: the first failures are forgiven too.
    assert limiter.forgiven([first_s - 100, first_s]) == [first_s]


def test_items_that_failed_while_others_were_answered_are_no_outage(
    tmp_path: Path,
) -> None:
    """Five sick items are left at the end of a run: each is failed for itself."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    first_s = {}
    for number in range(5):
        fail_all(limiter, [number])
        first_s[number] = clock.now_s
        clock.now_s += 1
        limiter.answered(granted(limiter), {}, None, None)
    for _ in range(5):
        for number, failed_s in first_s.items():
            clock.now_s += 1
            again = replace(want(number), failed_before_s=failed_s)
            assert limiter.failed(granted(limiter, again), SERVER, {}, NOTHING)
    assert limiter.pace().waiting_for is None


def test_items_that_failed_before_hide_no_outage_from_those_that_did_not(
    tmp_path: Path,
) -> None:
    """They are asked as well, and no more likely to be answered than the others."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    for number in (7, 8, 9):
        fail_all(limiter, [number])
        limiter.answered(granted(limiter), {}, None, None)
    failed_s = clock.now_s
    clock.now_s += 1
    for number in (1, 2, 3):
        assert not limiter.pace().is_out
        fail_all(limiter, [number])
        for known in (7, 8, 9):
            again = replace(want(known), failed_before_s=failed_s)
            limiter.failed(granted(limiter, again), SERVER, {}, NOTHING)
    assert limiter.pace().is_out


@pytest.mark.parametrize("is_proven", [True, False])
def test_items_that_an_earlier_session_failed_are_told_of_themselves(
    tmp_path: Path, is_proven: bool
) -> None:
    """Three that are asked again get a 5xx again: that has to end, as it did before."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock) if is_proven else limiter_in(tmp_path, clock)
    again = [replace(want(number), has_failed=True) for number in (1, 2, 3)]
    for _ in range(6):
        for one in again:
            assert limiter.failed(granted(limiter, one), SERVER, {}, NOTHING)
            again[one.number - 1] = replace(one, failed_before_s=clock.now_s)
    assert not limiter.pace().is_out


def test_many_that_are_asked_again_and_fail_after_others_were_answered_are_an_outage(
    tmp_path: Path,
) -> None:
    """Some of them were well by now, and then not one of twenty is."""
    limiter = proven(tmp_path, FakeClock())
    for number in range(20):
        assert not limiter.pace().is_out
        one = replace(want(number), has_failed=True)
        limiter.failed(granted(limiter, one), SERVER, {}, NOTHING)
    assert limiter.pace().is_out


@pytest.mark.parametrize("what", [TIMEOUT, UNSENT])
def test_silence_towards_items_asked_again_is_an_outage(
    tmp_path: Path, what: Failure
) -> None:
    """Each try may be billed, or never left: they wait like any others."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    for number in (1, 2, 3):
        one = replace(want(number), has_failed=True)
        assert not limiter.failed(granted(limiter, one), what, {}, NOTHING)
    assert limiter.pace().is_out


def test_silence_towards_the_only_item_left_is_an_outage(tmp_path: Path) -> None:
    """Nobody was answered since it was sent, so nobody can tell."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    clock.now_s += 1
    counted = []
    for _ in range(9):
        permit = granted(limiter, want(7))
        clock.now_s += 60
        counted += [limiter.failed(permit, TIMEOUT, {}, NOTHING)]
    assert counted[2:] == [False] * 7
    assert limiter.forgiven([clock.now_s - 600]) == [clock.now_s - 600]


def test_silence_while_others_are_answered_is_the_items_own(tmp_path: Path) -> None:
    """A request that always takes too long, and outlives all the others."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    permit = granted(limiter, want(7))
    clock.now_s += 30
    limiter.answered(granted(limiter, want(1)), {}, None, None)
    for _ in range(6):
        clock.now_s += 30
        assert limiter.failed(permit, TIMEOUT, {}, NOTHING)
        permit = granted(limiter, want(7))
        assert not permit.is_probe


def test_the_silence_of_one_item_ends_with_an_error_told_to_it(tmp_path: Path) -> None:
    """From then on its failures are its own."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    clock.now_s += 1
    for _ in range(3):
        limiter.failed(granted(limiter, want(7)), TIMEOUT, {}, NOTHING)
    assert limiter.pace().waiting_for is not None
    assert limiter.failed(granted(limiter, want(7)), SERVER, {}, NOTHING)
    assert "nothing answers" not in (limiter.pace().waiting_for or "")
    assert not limiter.pace().is_out


def test_never_sent_throttled_and_slow_down_never_count(tmp_path: Path) -> None:
    limiter = proven(tmp_path, FakeClock())
    for kind in (FailureKind.NOT_SENT, FailureKind.THROTTLED, FailureKind.SLOW_DOWN):
        assert not limiter.failed(granted(limiter), failure(kind), {}, NOTHING)


def test_an_answer_between_keeps_it_closed(tmp_path: Path) -> None:
    limiter = proven(tmp_path, FakeClock())
    for number in range(30):
        assert fail_all(limiter, [number]) == [True]
        limiter.answered(granted(limiter), {}, None, None)
    assert limiter.pace().waiting_for is None


def test_a_two_hour_outage_is_probed_once_every_half_to_whole_minute(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    fail_all(limiter, [1, 2, 3])
    opened_s, probes = clock.now_s, 0
    while clock.now_s < opened_s + 7200:
        before_s = clock.now_s
        probe = granted(limiter)
        assert probe.is_probe
        assert 30 <= clock.now_s - before_s <= 60.1
        assert not limiter.failed(probe, SERVER, {}, NOTHING)
        probes += 1
    assert 120 <= probes <= 240


def test_a_short_blip_in_which_nothing_left_is_asked_about_after_5_s(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    fail_all(limiter, [1, 2, 3], UNSENT)
    waits = []
    for _ in range(8):
        before_s = clock.now_s
        limiter.failed(granted(limiter), UNSENT, {}, NOTHING)
        waits.append(clock.now_s - before_s)
    assert all(5 <= waited < 5.1 for waited in waits[:5])
    assert all(30 <= waited < 60.1 for waited in waits[6:])


def test_a_server_that_is_restarted_is_asked_about_soon_as_well(
    tmp_path: Path,
) -> None:
    """It cut off what was under way first: that was sent."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    under_way = [granted(limiter, want(number)) for number in range(8)]
    for permit in under_way[:4]:
        limiter.failed(permit, failure(FailureKind.CUT), {}, NOTHING)
    for permit in under_way[4:]:
        limiter.failed(permit, UNSENT, {}, NOTHING)
    before_s = clock.now_s
    assert granted(limiter).is_probe
    assert 5 <= clock.now_s - before_s < 5.1


def test_only_one_probe_at_a_time_and_a_dead_prober_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    fail_all(limiter, [1, 2, 3])
    assert granted(limiter).is_probe
    other = limiter_in(tmp_path, clock, slot=2)
    stop = threading.Event()
    ends_s, wait = clock.now_s + 500, clock.wait

    def wait_until_the_end(stopped: threading.Event, seconds: float) -> bool:
        if clock.now_s > ends_s:
            stop.set()
        return wait(stopped, seconds)

    monkeypatch.setattr(clock, "wait", wait_until_the_end)
    refusal = other.reserve(want(), stop)
    assert not isinstance(refusal, Permit)
    assert refusal.kind is RefusalKind.STOPPED
    rebuild_slot(place_in(tmp_path), 1, NOTHING, clock)
    assert granted(other).is_probe


def test_a_probe_that_was_not_sent_does_not_block_the_next(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    fail_all(limiter, [1, 2, 3])
    limiter.give_back(granted(limiter))
    assert granted(limiter).is_probe


def test_late_answers_to_old_requests_do_not_close_it(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock)
    old = granted(limiter)
    fail_all(limiter, [1, 2, 3])
    limiter.answered(old, {}, None, None)
    assert granted(limiter).is_probe


def test_after_an_outage_the_rate_is_back_to_90_percent_within_a_minute(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    ceilings = RunCeilings(rpm=600)
    limiter = limiter_in(tmp_path, clock, ceilings=ceilings)
    limiter.answered(granted(limiter), {}, None, None)
    for _ in range(1200):
        limiter.answered(granted(limiter), {}, None, None)
    fail_all(limiter, [1, 2, 3])
    for _ in range(5):
        limiter.failed(granted(limiter), SERVER, {}, NOTHING)
    limiter.answered(granted(limiter), {}, None, None)
    closed_s, moments = clock.now_s, []
    while clock.now_s < closed_s + 75:
        permit = granted(limiter)
        moments.append(due_s(permit) - closed_s)
        limiter.answered(permit, {}, None, None)
    first_5_s = [s for s in moments if s <= 5]
    settled = [s for s in moments if 45 <= s < 75]
    assert 3 <= len(first_5_s) <= 15
    assert len(settled) >= 0.9 * 10 * 30


@pytest.mark.parametrize(("span_s", "span"), [(6 * 3600.0, "6 h"), (10.0, "10 s")])
def test_it_gives_up_in_words_after_only_outage_for_too_long(
    tmp_path: Path, span_s: float, span: str
) -> None:
    """And not as much later as probes are apart by then."""
    clock = FakeClock()
    limiter = proven(tmp_path, clock, give_up_after_s=span_s)
    fail_all(limiter, [1, 2, 3])
    began_s = clock.now_s
    while isinstance(got := limiter.reserve(want(), threading.Event()), Permit):
        limiter.failed(got, SERVER, {}, NOTHING)
    assert got.kind is RefusalKind.GIVEN_UP
    last = "503 from the server"
    assert got.message == f"nothing has answered for {span}: last was {last}"
    assert span_s <= clock.now_s - began_s <= span_s + 1


def test_a_process_that_slept_for_long_does_not_give_up_unasked(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = proven(tmp_path, clock, give_up_after_s=60.0)
    fail_all(limiter, [1])
    clock.now_s += 1e6
    assert isinstance(limiter.reserve(want(), threading.Event()), Permit)


def test_until_the_first_answer_each_worker_asks_one_question(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = limiter_in(tmp_path, clock), limiter_in(tmp_path, clock, slot=2)
    first = granted(one)
    granted(other)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    refusal = one.reserve(want(), stop)
    assert not isinstance(refusal, Permit)
    assert one.pace().waiting_for == "the first answer"
    one.answered(first, {}, None, None)
    granted(one)
    granted(other)
