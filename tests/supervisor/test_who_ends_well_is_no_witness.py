"""What a worker's end says nothing against: all of them if told to, some if killed."""

from types import SimpleNamespace
from typing import Any

import pytest
from fake_clock import FakeClock

from runner.protocols import Died
from runner.records import Totals
from runner.supervisor import undertaker
from runner.supervisor.slot import Slot
from runner.supervisor.undertaker import Undertaker

_QUARANTINE = 3
_POISON = 7


class NothingOnDisk:
    """A shard without outcomes."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def totals(self) -> Totals:
        """None."""
        return Totals()

    def outcome(self, _number: int) -> None:
        """None."""

    def close(self) -> None:
        """Nothing to do."""


class Run:
    """As much of a run as deaths are held against."""

    folder = None
    concurrency = SimpleNamespace(workers=2)
    index = SimpleNamespace(
        number=lambda row: row, ref=lambda r: SimpleNamespace(number=r)
    )

    def __init__(self) -> None:
        self.given_back: list[int] = []
        self.backlog = SimpleNamespace(
            give_back=self.given_back.append, set_aside=lambda _row: None
        )

    def is_finished_by(self, _number: int, _found: object) -> bool:
        """Nothing is."""
        return False

    def decide_last_commit(self, _slot: int) -> None:
        """Nothing is half seen."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run whose shards are empty."""
    monkeypatch.setattr(undertaker, "ShardReader", NothingOnDisk)
    return Run()


def dies(
    found: Undertaker,
    number: int,
    rows: set[int],
    *,
    is_clean: bool,
    aside: frozenset[int] = frozenset(),
) -> set[int]:
    """Rows that are failed for it."""
    slot = Slot(number=number, threads=1, totals=Totals(), is_ready=True)
    slot.assigned, slot.aside, slot.recorded = rows, set(aside), 1
    failed: set[int] = set()
    why = "ended with exit code 0" if is_clean else "killed by SIGKILL"
    death = Died(number, why, is_clean=is_clean)
    found.bury(slot, death, lambda _slot, row: failed.add(row), draining=is_clean)
    return failed


def test_a_suspect_is_not_failed_because_its_worker_was_told_to_end(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in a storm, which spares it; then the storm is over, and Ctrl-C comes."""
    clock = FakeClock()
    found = Undertaker(run, clock)
    monkeypatch.setattr(found, "_fail", lambda _row, _death: None)
    dies(found, 1, set(), is_clean=False)  # over nothing: it was killed from outside
    for number, company in ((1, 8), (2, 9), (1, 10)):
        dies(found, number, {_POISON, company}, is_clean=False)
    assert dies(found, _QUARANTINE, {_POISON}, is_clean=False) == set()
    for company in (8, 9, 10):
        found.saw_outcome(company)
    clock.now_s += 120

    assert dies(found, _QUARANTINE, {_POISON}, is_clean=True) == set()
    assert run.given_back[-1] == _POISON
    assert dies(found, _QUARANTINE, {_POISON}, is_clean=False) == {_POISON}


@pytest.mark.parametrize("waits", [True, False])
def test_what_stood_in_its_backoff_is_no_suspect(run: Any, *, waits: bool) -> None:
    """None of its code ran: it is given back, and not asked alone."""
    item = 7
    found = Undertaker(run, FakeClock())
    aside = frozenset({item}) if waits else frozenset()
    for company in (8, 9):
        rows = {item, company}
        assert dies(found, 1, rows, is_clean=False, aside=aside) == set()

    assert list(found.suspects) == ([] if waits else [item])
    assert run.given_back.count(item) == (2 if waits else 1)
