"""What is left, how fast it goes, and when going on would burn money."""

import random
import signal
import threading

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from runner.checkpoint.history import History
from runner.records import Totals
from runner.run_status import StopKind
from runner.supervisor.backlog import Backlog
from runner.supervisor.guards import Guards
from runner.supervisor.pulse import Pulse
from runner.supervisor.signals import Signals, listening


def backlog(rows: int = 5) -> Backlog:
    """Rows that have no past."""
    return Backlog(rows, lambda row: History(next_attempt=row + 2))


@given(st.integers(0, 30), st.integers(0, 2**32))
def test_every_item_is_handed_out_until_it_is_done_and_never_after(
    rows: int, seed: int
) -> None:
    """In any order of finishing, giving back and setting aside."""
    draw = random.Random(seed)
    left = backlog(rows)
    done: list[int] = []
    out: list[int] = []
    aside: list[int] = []
    while len(left) or left.out:
        out += [a.row for a in left.take(draw.randint(0, 3))]
        if aside and draw.random() < 0.5:
            out.append(left.take_aside(aside.pop()).row)
        if not out:
            continue
        row = out.pop(draw.randrange(len(out)))
        match draw.randrange(4):
            case 0:
                left.give_back(row)
            case 1:
                left.set_aside(row)
                aside.append(row)
            case _:
                left.mark_done(row)
                done.append(row)
        assert len(set(out)) == len(out)
        assert len(left) + left.out + len(done) == rows

    assert sorted(done) == list(range(rows))


def test_items_given_back_come_first_and_with_their_past() -> None:
    """Their worker may have touched them."""
    left = backlog()
    taken = left.take(2)
    assert [a.history for a in taken] == [None, None]
    left.give_back(0)

    again = left.take(1)[0]

    assert again.row == 0
    assert again.history == History(next_attempt=2)


def test_a_finished_item_can_be_asked_anew() -> None:
    """As --retry-failed does."""
    left = backlog(2)
    left.mark_done(0)
    left.mark_done(1)
    left.mark_undone(1)

    assert [a.row for a in left.take(5)] == [1]


def test_the_time_left_counts_only_this_session() -> None:
    """After a resume 900 of 1,000 items are done, but none at this pace."""
    before = Totals(valid=900, begun=900, input_tokens=9_000)
    pulse = Pulse(100.0, before)
    assert pulse.eta_s(100) is None

    pulse.beat(110.0, before + Totals(valid=20, begun=25, input_tokens=200), 20)

    assert pulse.eta_s(80) == pytest.approx(40)
    assert pulse.requests_per_minute == 150
    assert pulse.tokens_per_minute == 1_200


def test_a_first_answer_promises_nothing_yet() -> None:
    """One in twelve seconds would be nine hours for what is over in two minutes."""
    pulse = Pulse(0.0, Totals())
    pulse.beat(12.0, Totals(begun=11, valid=1), 1)

    assert pulse.eta_s(2_999) is None


def test_waiting_for_the_first_answer_is_not_part_of_the_pace() -> None:
    """Its answers take ten seconds each, and come by the dozen then."""
    pulse = Pulse(0.0, Totals())
    pulse.beat(10.0, Totals(begun=40), 0)
    pulse.beat(14.0, Totals(begun=80, valid=40), 40)

    assert pulse.eta_s(100) == pytest.approx(10)


def test_a_slow_run_has_a_time_left_after_a_minute() -> None:
    """Fewer than ten items, but a whole minute of them."""
    pulse = Pulse(0.0, Totals())
    lefts = []
    for second in range(1, 101):
        finished = second // 10
        pulse.beat(float(second), Totals(begun=20, valid=finished), finished)
        lefts.append(pulse.eta_s(10))

    assert lefts[29] is None
    assert lefts[99] == pytest.approx(100, rel=0.2)


def test_what_is_asked_anew_has_a_time_left_too() -> None:
    """Its new outcomes replace others, so the totals of outcomes stand still."""
    before = Totals(invalid=100, begun=100)
    pulse = Pulse(0.0, before)
    pulse.beat(10.0, before + Totals(begun=20), 20)

    assert pulse.eta_s(80) == pytest.approx(40)


def test_a_pause_comes_before_the_rest_of_the_time_left() -> None:
    """While nobody may send for ten minutes, nothing is over in forty seconds."""
    pulse = Pulse(0.0, Totals())
    pulse.beat(10.0, Totals(begun=20), 20)

    assert pulse.eta_s(80, wait_s=600.0) == pytest.approx(640)


def test_rates_are_those_of_the_last_minute() -> None:
    """A fast first hour says nothing of now."""
    pulse = Pulse(0.0, Totals())
    for second in range(1, 301):
        sent = min(second, 100) * 10
        pulse.beat(float(second), Totals(begun=sent, valid=sent), sent)

    assert pulse.requests_per_minute == 0
    assert pulse.eta_s(10) is None
    assert pulse.eta_s(0) == 0


def test_twenty_raises_in_a_row_stop_the_run_but_not_nineteen() -> None:
    """With the last one as an example."""
    guards = Guards(any_valid=True)
    for _ in range(19):
        assert guards.saw_verdict(valid=None, reason="KeyError") is None
    assert guards.saw_verdict(valid=True, reason=None) is None
    stops = [guards.saw_verdict(valid=None, reason="KeyError") for _ in range(20)]

    assert stops[:19] == [None] * 19
    assert stops[19] is not None
    assert "KeyError" in stops[19].message
    assert "rejudge" in (stops[19].hint or "")


def test_fifty_invalid_answers_stop_a_run_only_if_none_was_ever_valid() -> None:
    """A rule that has said yes can say yes."""
    fresh, seasoned = Guards(any_valid=False), Guards(any_valid=True)
    stops = [fresh.saw_verdict(valid=False, reason="no") for _ in range(50)]
    others = [seasoned.saw_verdict(valid=False, reason="no") for _ in range(199)]

    assert [stop is not None for stop in stops] == [False] * 49 + [True]
    assert others == [None] * 199


def test_two_hundred_invalid_answers_in_a_row_stop_a_run_whatever_it_holds() -> None:
    """A trial of three items went well; from then on everything is paid four times."""
    guards = Guards(any_valid=True)
    for _ in range(3):
        assert guards.saw_verdict(valid=True, reason=None) is None
    stops = [guards.saw_verdict(valid=False, reason="no JSON") for _ in range(200)]

    assert stops[:199] == [None] * 199
    assert stops[199] is not None
    assert stops[199].message == "200 answers in a row are invalid, e.g.: no JSON"
    assert "rejudge" in (stops[199].hint or "")


def test_hard_items_may_be_neighbours_in_a_run_that_goes_well() -> None:
    """A stop at three in the morning costs the night."""
    guards = Guards(any_valid=True)
    for _ in range(5_000):
        assert guards.saw_verdict(valid=True, reason=None) is None
    stops = [guards.saw_verdict(valid=False, reason="no") for _ in range(500)]

    assert stops[:499] == [None] * 499
    assert stops[499] is not None


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("cut off at the output limit (finish_reason length)", "--retry-invalid"),
        ("empty answer", "runner show"),
        ("unreadable answer", "runner show"),
        ("no vectors", "runner show"),
        ("not one of the choices", "fix the rule"),
    ],
)
def test_the_advice_is_for_what_is_wrong_and_not_always_the_rule(
    reason: str, hint: str
) -> None:
    """Nobody gave a rule where answers are cut off, or no answers at all."""
    guards = Guards(any_valid=False)
    stops = [guards.saw_verdict(valid=False, reason=reason) for _ in range(50)]
    assert stops[-1] is not None
    assert hint in (stops[-1].hint or "")
    assert ("fix the rule" in (stops[-1].hint or "")) == (hint == "fix the rule")


def test_the_first_twenty_items_that_fail_alike_stop_the_run() -> None:
    """A wrong parameter is wrong for all; an odd item among answered ones is not."""
    guards, mixed = Guards(any_valid=False), Guards(any_valid=False)
    stops = [guards.saw_failure("unsupported_parameter") for _ in range(20)]
    assert stops[:19] == [None] * 19
    assert stops[19] is not None
    assert stops[19].kind is StopKind.REJECTED

    assert mixed.saw_verdict(valid=False, reason="no") is None
    assert all(mixed.saw_failure("refused") is None for _ in range(50))


def test_two_hundred_failures_alike_without_an_answer_between_stop_the_run() -> None:
    """An account that ran dry in the night, told in words that nobody knew."""
    guards = Guards(any_valid=True)
    for _ in range(2):
        assert guards.saw_verdict(valid=True, reason=None) is None
        stops = [guards.saw_failure("no more coins") for _ in range(199)]
        assert stops == [None] * 199

    stop = guards.saw_failure("no more coins")

    assert stop is not None
    assert stop.message == "200 items in a row failed alike: no more coins"


def test_failures_are_alike_whatever_numbers_they_name() -> None:
    """Each item says how large it is; other words are another reason."""
    guards = Guards(any_valid=False)
    for tokens in range(5_001, 5_020):
        assert guards.saw_failure(f"needs {tokens:,} tokens, 4,000 allowed") is None
        assert guards.saw_failure(f"item {tokens} is odd {'x' * tokens}") is None

    stop = guards.saw_failure("needs 12 tokens, 4,000 allowed")
    assert stop is not None
    assert "needs 12 tokens" in stop.message


def test_too_low_a_limit_of_tokens_is_to_be_raised_not_the_question_changed() -> None:
    """Nothing is wrong with what is asked."""
    guards = Guards(any_valid=False)
    reason = "the request needs 25 tokens at once, --tpm allows 1 a minute"
    stops = [guards.saw_failure(reason) for _ in range(20)]
    assert stops[19] is not None
    assert "resume --tpm N --retry-failed" in (stops[19].hint or "")


def test_a_second_ctrl_c_counts_only_after_two_seconds(clock: FakeClock) -> None:
    """Terminals and service managers send the first one twice."""
    signals = Signals(clock)
    signals.note(signal.SIGINT)
    clock.now_s += 1
    signals.note(signal.SIGTERM)
    assert (signals.drain, signals.abandon) == (StopKind.INTERRUPTED, False)

    clock.now_s += 2
    signals.note(signal.SIGINT)
    assert signals.abandon


def test_a_closed_terminal_does_not_end_a_run(clock: FakeClock) -> None:
    """SIGHUP comes when an ssh connection drops at night."""
    with listening(clock) as signals:
        signal.raise_signal(signal.SIGHUP)
    assert signals.drain is None


def test_a_signal_ignored_at_start_stays_ignored(clock: FakeClock) -> None:
    """As nohup sets it; and all handlers are put back."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with listening(clock) as signals:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        assert signals.drain is StopKind.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_the_main_thread_signals_are_left_alone(clock: FakeClock) -> None:
    """Python allows handlers in the main thread only."""
    found: list[object] = []

    def look() -> None:
        with listening(clock):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
