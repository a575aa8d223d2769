"""What a process leaves out where nobody changed anything, and what it never does."""

import itertools
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from limiter_fakes import FakeClock, due_s, failure, granted, limiter_in, place_in, want

from runner.limiter import Permit, RunCeilings, begin_session
from runner.limiter.keystate import KeyState
from runner.limiter.pair import CellPair
from runner.limiter.runstate import RunState
from runner.records import FailureKind

NOTHING = Decimal(0)


def under_way(folder: Path, clock: FakeClock) -> int:
    """Requests in flight, as any other process sees them."""
    return CellPair(place_in(folder), clock).peek_run().lines.requests


def test_an_answer_is_settled_with_the_next_request(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    limiter.answered(granted(limiter), {}, None, None)
    assert 1 == under_way(tmp_path, clock)
    granted(limiter)
    assert 1 == under_way(tmp_path, clock)


def test_an_answer_that_comes_while_another_thread_is_refused_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: a no that notes nothing is about to store nothing."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=1))
    limiter.answered(granted(limiter), {}, None, None)
    flying = granted(limiter)
    settle_all = limiter._settle_all

    def just_before(*states: Any) -> bool:
        limiter.answered(flying, {}, None, None)
        return settle_all(*states)

    with monkeypatch.context() as other_thread:
        other_thread.setattr(limiter, "_settle_all", just_before)
        other_thread.setattr(limiter, "_await_news", lambda *_: True)
        assert not isinstance(limiter.reserve(want(2), threading.Event()), Permit)
    assert 0 == under_way(tmp_path, clock)


def test_an_answer_that_no_request_follows_is_settled_by_a_tick(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    for _ in range(2):
        limiter.answered(granted(limiter), {}, None, None)
    limiter.settle()
    assert 0 == under_way(tmp_path, clock)


def test_the_first_answer_of_a_session_lets_all_others_go_at_once(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    one, other = limiter_in(tmp_path, clock), limiter_in(tmp_path, clock, slot=2)
    first = granted(one)
    granted(other)
    one.answered(first, {}, None, None)
    began_s = clock.now_s
    granted(other)
    assert clock.now_s - began_s < 0.1


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.THROTTLED])
def test_an_answer_after_trouble_is_told_to_everybody_at_once(
    tmp_path: Path, kind: FailureKind
) -> None:
    """The next failure somewhere else would be taken for one more in a row."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    limiter.failed(granted(limiter), failure(kind), {}, NOTHING)
    limiter.answered(granted(limiter), {}, None, None)
    run = CellPair(place_in(tmp_path), clock).peek_run()
    assert (0, 0) == (run.breaker.streak, run.trouble_ns)


def test_answers_that_wait_are_settled_before_a_failure_is(tmp_path: Path) -> None:
    """Else it would be one more in a row although others were answered."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    permits = [granted(limiter, want(number)) for number in range(2)]
    limiter.answered(permits[0], {}, None, None)
    limiter.failed(permits[1], failure(FailureKind.SERVER), {}, NOTHING)
    run = CellPair(place_in(tmp_path), clock).peek_run()
    assert 1 == run.breaker.streak
    assert 0 == run.lines.requests


def test_processes_that_take_turns_see_what_the_other_did(tmp_path: Path) -> None:
    """What each left is worth nothing once the other has changed it."""
    clock, ceilings = FakeClock(), RunCeilings(rpm=60)
    limiters = [limiter_in(tmp_path, clock, slot, ceilings) for slot in (1, 2)]
    limiters[0].answered(granted(limiters[0]), {}, None, None)
    moments = [due_s(granted(limiters[turn])) for turn in (0, 1, 1, 0, 0, 1)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) > 0.99


def test_a_process_alone_takes_the_cells_apart_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    monkeypatch.setattr(KeyState, "load", _must_not)
    monkeypatch.setattr(RunState, "load", _must_not)
    for _ in range(3):
        limiter.answered(granted(limiter), {}, None, None)
    limiter.settle()
    with pytest.raises(AssertionError):
        granted(limiter_in(tmp_path, clock, slot=2))


class Meanwhile(FakeClock):
    """Something happens each time that somebody begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0
        self.happens: Callable[[], object] = lambda: None

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Likewise, afterwards."""
        self.waits += 1
        self.happens()
        return super().wait(stop, seconds)


@pytest.mark.parametrize("slot", [1, 2])
def test_who_waits_for_an_answer_hears_of_it_whoever_had_it(
    tmp_path: Path, slot: int
) -> None:
    """Another thread of the same process, or another process."""
    clock = Meanwhile()
    other, waiting = limiter_in(tmp_path, clock, slot), limiter_in(tmp_path, clock)
    if slot == 1:
        waiting = other
    ours, theirs = granted(waiting), None if slot == 1 else granted(other)
    permit = theirs or ours

    def answer() -> None:
        if clock.waits == 1:
            other.answered(permit, {}, None, None)

    clock.happens = answer
    began_s = clock.now_s
    granted(waiting)
    assert clock.now_s - began_s <= 0.2


def test_a_no_that_notes_nothing_is_no_news_to_anybody(tmp_path: Path) -> None:
    """A dozen processes that wait would otherwise wake each other for ever."""
    clock, stop = Meanwhile(), threading.Event()
    limiter = limiter_in(tmp_path, clock)
    granted(limiter)
    cells = CellPair(place_in(tmp_path), clock)
    before = cells.edition()

    def enough() -> None:
        if clock.waits == 100:
            stop.set()

    clock.happens = enough
    assert not isinstance(limiter.reserve(want(2), stop), Permit)
    assert before == cells.edition()


def test_the_minute_after_a_loss_begins_once_though_nobody_may_send(
    tmp_path: Path,
) -> None:
    """Counted from each look anew it would never end."""
    clock, never = FakeClock(), threading.Event()
    limiter_in(tmp_path, clock).close()
    for cell in (place_in(tmp_path).key_cell, place_in(tmp_path).run_cell):
        cell.write_bytes(b"nonsense")
    cells = CellPair(place_in(tmp_path), clock)

    def look(key: KeyState, run: RunState, _now_ns: int) -> tuple[object, bool]:
        return (key.starts_ns, run.starts_ns), False

    first = cells.consider(look, never)
    clock.now_s += 30
    assert first == cells.consider(look, never)


def test_that_dollars_are_waited_for_is_told_every_few_seconds(tmp_path: Path) -> None:
    clock, ceilings = Meanwhile(), RunCeilings(max_cost_usd=Decimal("0.05"))
    place = place_in(tmp_path)
    begin_session(place, ceilings, {}, clock)
    limiter = limiter_in(tmp_path, clock, ceilings=ceilings)
    limiter.answered(granted(limiter, want(usd="0.01")), {}, None, NOTHING)
    granted(limiter, want(usd="0.03"))
    cells = CellPair(place, clock)
    editions, end_s = set(), clock.now_s + 60
    stop = threading.Event()

    def look() -> None:
        editions.add(cells.edition())
        assert "--max-cost" in (limiter.pace().waiting_for or "")
        if clock.now_s > end_s:
            stop.set()

    clock.happens = look
    assert not isinstance(limiter.reserve(want(usd="0.03"), stop), Permit)
    assert 10 <= len(editions) <= 20


def test_what_went_wrong_half_way_is_forgotten_not_stored(tmp_path: Path) -> None:
    clock = FakeClock()
    cells = CellPair(place_in(tmp_path), clock)
    never = threading.Event()

    def good(_key: KeyState, run: RunState, _now_ns: int) -> bool:
        run.token_ratios += 1
        return True

    def bad(_key: KeyState, run: RunState, _now_ns: int) -> bool:
        run.token_ratios += 100
        raise RuntimeError

    assert cells.change(good, never)
    with pytest.raises(RuntimeError):
        cells.change(bad, never)
    assert cells.change(good, never)
    assert 2 == cells.peek_run().token_ratios


def _must_not(*_: object) -> None:
    raise AssertionError
