"""Which item a caller takes next: a failed one holds up nobody in its backoff."""

import itertools
import threading

import pytest
from fake_clock import FakeClock

from runner.checkpoint.history import History
from runner.worker.assignments import Assignments
from runner.worker.walk import Walk

WALK = Walk.__new__(Walk)


@pytest.fixture
def stop() -> threading.Event:
    """Nobody has stopped anything."""
    return threading.Event()


@pytest.fixture
def assignments(stop: threading.Event, clock: FakeClock) -> Assignments:
    """Three items nobody has begun, and one caller allowed."""
    assignments = Assignments(stop, clock)
    assignments.allow(1)
    for row in range(3):
        assignments.put(row, History())
    return assignments


def rows(assignments: Assignments, count: int) -> list[int]:
    """What one caller takes, item after item."""
    return [row for row, _ in itertools.islice(assignments, count)]


def test_others_are_taken_while_one_is_in_its_backoff(
    assignments: Assignments, clock: FakeClock
) -> None:
    """When its time has come, one more goes first."""
    assignments.put_aside(9, WALK, clock.now_s + 30)
    assert rows(assignments, 1) == [0]

    clock.now_s += 30
    assert rows(assignments, 2) == [9, 1]
    assert assignments.aside == []


def test_those_that_failed_take_turns_with_those_nobody_has_begun(
    assignments: Assignments, clock: FakeClock
) -> None:
    """Else many that failed long ago fail of an outage before anybody else tells."""
    for row in (6, 7, 8, 9):
        assignments.put_aside(row, WALK, clock.now_s)
    assert rows(assignments, 7) == [0, 6, 1, 7, 2, 8, 9]


def test_those_that_failed_make_room_for_new_ones_until_they_are_taken(
    assignments: Assignments, clock: FakeClock
) -> None:
    """They occupy no caller, and the worker is told of new ones to take turns with."""
    for row in (7, 8, 9):
        assignments.put_aside(row, WALK, clock.now_s)
    assignments.ripen()
    assert rows(assignments, 2) == [0, 7]
    assert sorted(assignments.aside) == [8, 9]
    assert assignments.callers_missing == 4


def test_those_aside_come_back_in_the_order_of_their_times(
    assignments: Assignments, clock: FakeClock
) -> None:
    """Whichever failed first, and each after one that nobody has begun."""
    for row, wait_s in ((7, 60), (8, 20), (9, 40)):
        assignments.put_aside(row, WALK, clock.now_s + wait_s)
    clock.now_s += 60

    assert rows(assignments, 6) == [0, 8, 1, 9, 2, 7]


def test_a_caller_without_work_gets_the_one_whose_backoff_is_over(
    assignments: Assignments, stop: threading.Event, clock: FakeClock
) -> None:
    """It sleeps until somebody looks at the clock, and needs no new item for that."""
    assert rows(assignments, 3) == [0, 1, 2]
    assignments.put_aside(9, WALK, clock.now_s + 30)
    taken: list[int] = []
    caller = threading.Thread(target=lambda: taken.extend(rows(assignments, 1)))
    caller.start()
    assignments.ripen()
    assert caller.is_alive()

    clock.now_s += 30
    assignments.ripen()
    caller.join(10)
    stop.set()
    assignments.wake()
    assert taken == [9]


def test_what_was_begun_is_never_given_back(
    assignments: Assignments, clock: FakeClock
) -> None:
    """Its failures and its question are known here only."""
    assignments.put_aside(9, WALK, clock.now_s)
    assignments.ripen()

    assert assignments.take_back(10) == [2, 1, 0]
    assert rows(assignments, 1) == [9]


def test_one_that_failed_makes_way_for_another_that_did(
    assignments: Assignments, clock: FakeClock
) -> None:
    """Else the only caller waits for the one, and the other is ripe meanwhile."""
    assert rows(assignments, 3) == [0, 1, 2]
    assert not assignments.others_wait()
    assignments.put_aside(0, WALK, clock.now_s + 1)
    assert assignments.others_wait()


def test_a_thousand_aside_are_enough(
    assignments: Assignments, clock: FakeClock
) -> None:
    """Each keeps its request in memory."""
    for row in range(999):
        assignments.put_aside(row, WALK, clock.now_s + row % 2)
    assignments.ripen()
    assert assignments.others_wait()
    assignments.put_aside(999, WALK, clock.now_s + 60)
    assert not assignments.others_wait()


def test_nothing_is_taken_once_it_is_stopped(
    assignments: Assignments, stop: threading.Event
) -> None:
    """Though items are there."""
    stop.set()
    assert rows(assignments, 1) == []
