"""What is spent, promised and unresolved never exceeds the cap."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limiter_fakes import FakeClock, failure, granted, limiter_in, place_in, want

from runner.limiter import Limiter, Permit, RefusalKind, RunCeilings, begin_session
from runner.limiter.admission import Asked, Blocked, admit
from runner.limiter.budget import Lines, pico_usd
from runner.limiter.headers import Meters
from runner.limiter.keystate import KeyState
from runner.limiter.pair import CellPair
from runner.limiter.permits import Refusal
from runner.limiter.runstate import RunState
from runner.limiter.settling import Ended, ServerSaid, answered, given_back
from runner.limiter.window import SECOND_NS
from runner.records import FailureKind

COINS = st.decimals(min_value="0", max_value="2", places=4)


def capped(folder: Path, clock: FakeClock, cap_usd: int) -> Limiter:
    """The limiter of a session that has spent nothing of its cap."""
    ceilings = RunCeilings(max_cost_usd=Decimal(cap_usd))
    begin_session(place_in(folder), ceilings, {}, clock)
    return limiter_in(folder, clock, ceilings=ceilings)


@given(
    cap=st.decimals(min_value="0", max_value="20", places=3),
    steps=st.lists(
        st.tuples(
            COINS, st.decimals(min_value="0", max_value="1", places=3), st.booleans()
        ),
        max_size=60,
    ),
)
@settings(deadline=None)
def test_spent_and_promised_never_exceed_the_cap(
    cap: Decimal, steps: list[tuple[Decimal, Decimal, bool]]
) -> None:
    """Answers cost at most their worst case; some permits come back unused."""
    key, run, now_ns = KeyState(), RunState(is_proven=1), 5_000 * SECOND_NS
    flying: list[Permit] = []
    ceilings, stop = RunCeilings(max_cost_usd=cap), threading.Event()
    for worst_usd, share, is_sent in steps:
        what = want(usd=str(worst_usd))
        asked = Asked(want=what, slot=1, ceilings=ceilings, stop=stop)
        decision = admit(key, run, asked, now_ns)
        if isinstance(decision, Permit):
            flying.append(decision)
        elif isinstance(decision, Refusal):
            assert not flying
        else:
            assert isinstance(decision, Blocked)
            permit = flying.pop(0)
            ended = Ended(permit=permit, slot=1, draw=0.5)
            cost_usd = (permit.want.worst_usd or Decimal(0)) * share
            said = ServerSaid(meters=Meters())
            if is_sent:
                answered(
                    key,
                    run,
                    ended,
                    said=said,
                    usage=None,
                    cost_usd=cost_usd,
                    now_ns=now_ns,
                )
            else:
                given_back(key, run, ended, now_ns)
        total_pico = run.lines.committed_pico + run.lines.reserved_pico
        assert total_pico <= cap * 10**12


def test_dollars_are_rounded_up_never_down() -> None:
    assert pico_usd(Decimal("1e-12")) == 1
    assert pico_usd(Decimal("1e-13")) == 1
    assert pico_usd(Decimal("0.1234567890123456789012345678901234567890")) == (
        123456789013
    )
    assert pico_usd(Decimal(0)) == 0
    for nonsense in ("-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="not an amount"):
            pico_usd(Decimal(nonsense))


def test_an_unknown_cost_counts_as_the_worst_and_a_known_one_as_itself(
    tmp_path: Path,
) -> None:
    clock, ceilings = FakeClock(), RunCeilings(max_cost_usd=Decimal(3))
    begin_session(place_in(tmp_path), ceilings, {0: Decimal("0.5")}, clock)
    limiter = limiter_in(tmp_path, clock, ceilings=ceilings)
    limiter.answered(granted(limiter, want(usd="1")), {}, None, Decimal("0.25"))
    limiter.answered(granted(limiter, want(usd="1")), {}, None, None)
    limiter.answered(granted(limiter, want(usd="1.25")), {}, None, None)
    refusal = limiter.reserve(want(usd="0.0001"), threading.Event())
    assert not isinstance(refusal, Permit)
    assert refusal.kind is RefusalKind.BUDGET
    assert "$3.00 of $3.00 are spent or may have been" in refusal.message


def test_a_failure_costs_what_it_may_have_cost_and_a_permit_given_back_nothing(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    limiter = capped(tmp_path, clock, 2)
    unsent, cut = failure(FailureKind.NOT_SENT), failure(FailureKind.CUT)
    limiter.give_back(granted(limiter, want(usd="2")))
    limiter.failed(granted(limiter, want(usd="2")), unsent, {}, Decimal(0))
    limiter.failed(granted(limiter, want(usd="1")), cut, {}, Decimal(1))
    granted(limiter, want(usd="1"))


def test_near_the_cap_it_waits_for_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    limiter = capped(tmp_path, clock, 10)
    limiter.answered(granted(limiter, want(usd="1")), {}, None, Decimal(0))
    flying = granted(limiter, want(usd="9"))
    wait = clock.wait
    said: list[str | None] = []

    def answer_meanwhile(stop: threading.Event, seconds: float) -> bool:
        if not said:
            said.append(limiter.pace().waiting_for)
            limiter.answered(flying, {}, None, Decimal(1))
        return wait(stop, seconds)

    monkeypatch.setattr(clock, "wait", answer_meanwhile)
    granted(limiter, want(usd="9"))
    assert said == ["answers under way: the rest of --max-cost is promised to them"]


def test_a_permit_is_renewed_past_whoever_waits_for_its_dollars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In line behind him it would wait for ever, and he for it."""
    clock = FakeClock()
    limiter = capped(tmp_path, clock, 10)
    limiter.answered(granted(limiter, want(usd="1")), {}, None, Decimal(0))
    late, wait = granted(limiter, want(usd="9")), clock.wait
    begun: list[threading.Thread] = []
    turns: list[Permit | Refusal] = []

    def renewed_meanwhile(stop: threading.Event, seconds: float) -> bool:
        if not begun:
            renewing = threading.Thread(
                target=lambda: turns.append(limiter.renew(late)), daemon=True
            )
            begun.append(renewing)
            renewing.start()
            renewing.join(10)
            for turn in turns:
                assert isinstance(turn, Permit)
                limiter.answered(turn, {}, None, Decimal(1))
        return wait(stop, seconds)

    monkeypatch.setattr(clock, "wait", renewed_meanwhile)
    granted(limiter, want(usd="9"))
    assert len(turns) == 1


def test_a_cap_without_a_worst_case_is_a_bug_said_at_once(tmp_path: Path) -> None:
    ceilings = RunCeilings(max_cost_usd=Decimal(1))
    limiter = limiter_in(tmp_path, FakeClock(), ceilings=ceilings)
    with pytest.raises(ValueError, match="worst case"):
        limiter.reserve(want(), threading.Event())


def test_a_line_never_goes_below_zero_nor_wraps_round() -> None:
    """A settlement of a line that was rebuilt meanwhile must not free money."""
    lines = Lines()
    lines.rebuild(3, 2**70)
    lines.end(3, 5, 5, 5)
    assert lines.values.tolist()[12:] == [2**63 - 1, 0, 0, 0]
    assert Lines.from_bytes(lines.to_bytes()) == lines
    with pytest.raises(ValueError, match="slots 0 to 999"):
        lines.begin(1000, 0, 0)


def late_permit(limiter: Limiter, clock: FakeClock, stop: threading.Event) -> Permit:
    """One of $1.50, granted five seconds ago, in a run that has had an answer."""
    limiter.answered(granted(limiter, want(usd="1")), {}, None, Decimal(0))
    permit = limiter.reserve(want(usd="1.5"), stop)
    assert isinstance(permit, Permit)
    clock.wait(threading.Event(), 5)
    assert not limiter.is_fresh(permit)
    assert not limiter.is_called_off(permit)
    return permit


def test_a_request_that_was_late_may_be_as_late_again(tmp_path: Path) -> None:
    """A name look-up of 5 s, before every connection: it goes at the second try."""
    clock, stop = FakeClock(), threading.Event()
    limiter = capped(tmp_path, clock, 9)
    renewed = limiter.renew(late_permit(limiter, clock, stop))
    assert isinstance(renewed, Permit)
    clock.wait(threading.Event(), 5)
    assert limiter.is_fresh(renewed)
    clock.wait(threading.Event(), 3600)
    assert not limiter.is_fresh(renewed)
    again = limiter.renew(renewed)
    assert isinstance(again, Permit)
    clock.wait(threading.Event(), 21)
    assert not limiter.is_fresh(again)
    stop.set()
    assert limiter.is_called_off(again)


def test_a_renewed_permit_keeps_its_dollars_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request is on disk as about to be sent: who dies now leaves that open."""
    clock = FakeClock()
    limiter = capped(tmp_path, clock, 2)
    renewed = limiter.renew(late_permit(limiter, clock, threading.Event()))
    assert isinstance(renewed, Permit)
    assert limiter.is_fresh(renewed)

    def answer_meanwhile(_stop: threading.Event, _seconds: float) -> bool:
        limiter.answered(renewed, {}, None, Decimal("1.5"))
        return False

    monkeypatch.setattr(clock, "wait", answer_meanwhile)
    refusal = limiter.reserve(want(usd="1"), threading.Event())
    assert isinstance(refusal, Refusal)
    assert refusal.kind is RefusalKind.BUDGET


def test_after_a_refused_renewal_the_dollars_are_promised_until_released(
    tmp_path: Path,
) -> None:
    """Until its attempt is on disk as not sent."""
    clock = FakeClock()
    limiter = capped(tmp_path, clock, 2)
    stop = threading.Event()
    permit = late_permit(limiter, clock, stop)
    stop.set()
    assert isinstance(limiter.renew(permit), Refusal)

    promised = CellPair(place_in(tmp_path), clock)
    assert promised.peek_run().lines.reserved_pico > 0
    promised.close()
    limiter.release(permit)
    granted(limiter, want(usd="1"))


def test_a_server_that_ignores_the_output_limit_is_counted_as_it_bills(
    tmp_path: Path,
) -> None:
    """Its first answer, before any others are under way, cost ten times its bound."""
    clock, stop = FakeClock(), threading.Event()
    limiter = capped(tmp_path, clock, cap_usd=35)
    first = limiter.reserve(want(usd="1"), stop)
    assert isinstance(first, Permit)
    limiter.answered(first, {}, None, Decimal(10))
    flying = [granted(limiter, want(usd="1")) for _ in range(2)]
    stop.set()
    full = limiter.reserve(want(usd="1"), stop)
    assert isinstance(full, Refusal)
    for permit in flying:
        limiter.answered(permit, {}, None, Decimal(10))
    last = limiter.reserve(want(usd="1"), threading.Event())
    assert isinstance(last, Refusal)
    assert last.message == (
        "$30.00 of $35.00 are spent or may have been, and the next request may cost"
        " $10.00"
    )
