"""In flight or unresolved: told by the same totals, never by two clocks."""

from runner.records import Totals
from runner.supervisor.slot import Slot


def test_what_an_earlier_session_left_is_not_in_flight() -> None:
    """Nor when it is asked again: then it is lost, and the new one is in flight."""
    slot = Slot(number=1, threads=2, totals=Totals(open=3, lost=1, begun=9))
    assert slot.in_flight == 0
    slot.totals = Totals(open=3, lost=2, begun=10)
    assert slot.in_flight == 1
    slot.totals = Totals(open=4, lost=2, begun=11)
    assert slot.in_flight == 2
    slot.totals = Totals(open=3, lost=2, begun=11, answered=1)
    assert slot.in_flight == 1


def test_what_a_dead_worker_had_in_flight_is_unresolved() -> None:
    """From the moment its shard was read."""
    slot = Slot(number=1, threads=2, totals=Totals())
    slot.totals = Totals(open=2, begun=2)
    assert slot.in_flight == 2
    slot.rest(Totals(open=2, begun=2))
    assert slot.in_flight == 0
