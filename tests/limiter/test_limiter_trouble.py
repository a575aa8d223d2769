"""Stopped holders and files cut short: nobody waits long, and it is said why."""

import os
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import FakeClock, granted, limiter_in, place_in, want

from runner.errors import StateDamaged
from runner.limiter import Permit, RunCeilings, begin_session, rebuild_slot
from runner.limiter.cell import Cell

CEILINGS = RunCeilings(max_cost_usd=Decimal(10))


def held(folder: Path) -> Cell:
    """The run's cell, locked by somebody."""
    holder = Cell(place_in(folder).run_cell, 1000)
    holder._size = place_in(folder).run_cell.stat().st_size
    assert holder.try_lock()
    return holder


def test_whoever_let_go_is_never_named(tmp_path: Path) -> None:
    """The next holder may be stopped before it could write its number."""
    first, second = Cell(tmp_path / "a.cell", 1000), Cell(tmp_path / "a.cell", 1000)
    assert first.try_lock()
    assert second.holder_pid() == os.getpid()
    first.unlock()
    assert second.holder_pid() is None


def test_after_a_stop_nobody_waits_for_a_held_cell(tmp_path: Path) -> None:
    """Ctrl-C while a stopped process holds it; what is left is settled later."""
    clock, stop = FakeClock(), threading.Event()
    begin_session(place_in(tmp_path), CEILINGS, {}, clock)
    limiter = limiter_in(tmp_path, clock, ceilings=CEILINGS)
    permit = limiter.reserve(want(usd="9"), stop)
    assert isinstance(permit, Permit)
    holder = held(tmp_path)
    stop.set()
    began_s = clock.now_s
    limiter.answered(permit, {}, None, Decimal(1))
    assert clock.now_s - began_s < 0.1
    holder.unlock()
    granted(limiter, want(usd="9"))


def test_dollars_of_a_dead_worker_are_put_right_later_if_a_cell_is_held(
    tmp_path: Path,
) -> None:
    """The supervisor has a Ctrl-C to listen to."""
    clock = FakeClock()
    begin_session(place_in(tmp_path), CEILINGS, {}, clock)
    holder = held(tmp_path)
    began_s = clock.now_s
    words = rebuild_slot(place_in(tmp_path), 1, Decimal(1), clock)
    assert words is not None
    assert f"process {os.getpid()}" in words
    assert clock.now_s - began_s < 0.3
    holder.unlock()
    assert rebuild_slot(place_in(tmp_path), 1, Decimal(1), clock) is None


@pytest.mark.parametrize("size", [0, 10, 4200])
def test_a_cell_that_was_just_cut_short_kills_nobody_and_spends_nothing(
    tmp_path: Path, size: int
) -> None:
    """Touching a mapped page behind the end of its file would kill, at once."""
    clock = FakeClock()
    begin_session(place_in(tmp_path), CEILINGS, {}, clock)
    limiter = limiter_in(tmp_path, clock, ceilings=CEILINGS)
    permit = granted(limiter, want(usd="1"))
    os.truncate(place_in(tmp_path).run_cell, size)
    limiter.pace()
    limiter.is_fresh(permit)
    limiter.answered(permit, {}, None, Decimal(1))
    with pytest.raises(StateDamaged, match="does not know what has been spent"):
        limiter.reserve(want(usd="1"), threading.Event())
