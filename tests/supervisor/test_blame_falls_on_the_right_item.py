"""Who is to blame when workers die: an item, or somebody outside."""

import itertools
import random
from collections import deque

import pytest
from fake_clock import FakeClock

from runner.supervisor.blame import Blame

_START_S = 2.0


def died_twice_in_company(blame: Blame, row: int) -> None:
    """Its neighbours are done soon after."""
    for _ in range(2):
        blame.died({row, 100, 101}, alone=False)
        blame.acquit(100)
        blame.acquit(101)


def deaths_until_failed(blame: Blame, row: int) -> int:
    """A poison item is tried alone again and again; how often it killed in all."""
    for _ in range(100):
        blame.died({row}, alone=True)
        if blame.is_convicted(row):
            return blame.convict(row)
    raise AssertionError("never convicted")


def test_two_deaths_in_company_set_an_item_aside_and_a_third_alone_fails_it(
    clock: FakeClock,
) -> None:
    """Nothing else dies that night."""
    blame = Blame(clock)
    blame.died({1, 2, 3}, alone=False)
    assert not blame.is_to_set_aside(1, 0)

    blame.died({1, 2, 4}, alone=False)
    assert blame.is_to_set_aside(1, 0)
    assert not blame.is_to_set_aside(4, 0)
    assert not blame.is_convicted(1)

    blame.acquit(2)
    blame.died({1}, alone=True)
    assert blame.is_convicted(1)


def test_nobody_is_blamed_for_deaths_that_another_item_explains(
    clock: FakeClock,
) -> None:
    """It died twice with a poison item, and then once by an outside hand."""
    blame = Blame(clock)
    for _ in range(2):
        blame.died({1, 2}, alone=False)
    assert deaths_until_failed(blame, 1) == 4

    blame.died({2}, alone=True)
    assert not blame.is_convicted(2)


def test_of_two_that_died_together_none_is_failed_before_the_other_was_asked(
    clock: FakeClock,
) -> None:
    """A hand from outside killed the innocent one's worker, once."""
    poison, innocent = 1, 2
    blame = Blame(clock)
    for _ in range(2):
        blame.died({poison, innocent}, alone=False)
    blame.died({innocent}, alone=True)
    assert not blame.is_convicted(innocent)

    blame.died({poison}, alone=True)
    assert not blame.is_convicted(poison)
    # Its answer shows that hands from outside are at work: for a minute.
    blame.acquit(innocent)
    assert not blame.is_convicted(poison)
    clock.now_s += 61
    assert blame.is_convicted(poison)


def test_an_item_that_died_only_in_company_is_never_failed(clock: FakeClock) -> None:
    """Not even if it was there a hundred times."""
    blame = Blame(clock)
    for other in range(100):
        blame.died({1, 100 + other}, alone=False)

    assert blame.is_to_set_aside(1, 0)
    assert not blame.is_convicted(1)


def test_an_outcome_wipes_out_all_suspicion(clock: FakeClock) -> None:
    """What it survived once, it did not cause before."""
    blame = Blame(clock)
    died_twice_in_company(blame, 1)
    blame.acquit(1)
    clock.now_s += 3_600
    blame.died({1}, alone=True)

    assert not blame.is_convicted(1)


def test_a_death_that_no_item_can_have_caused_makes_lone_deaths_prove_less(
    clock: FakeClock,
) -> None:
    """All its items were answered: it was killed from outside, and so may others be."""
    blame = Blame(clock)
    died_twice_in_company(blame, 1)
    blame.died({7, 8}, alone=False)
    blame.acquit(7)
    blame.acquit(8)

    assert deaths_until_failed(blame, 1) == 2 + Blame.LONE_DEATHS_TO_FAIL_IN_A_STORM


def test_a_worker_that_dies_over_nothing_is_killed_from_outside(
    clock: FakeClock,
) -> None:
    """It had no item at all."""
    blame = Blame(clock)
    died_twice_in_company(blame, 1)
    blame.died((), alone=False)

    assert deaths_until_failed(blame, 1) == 2 + Blame.LONE_DEATHS_TO_FAIL_IN_A_STORM


def test_a_storm_is_over_a_minute_after_its_last_proof(clock: FakeClock) -> None:
    """Then three deaths are proof again."""
    blame = Blame(clock)
    blame.died((), alone=False)
    clock.now_s += 61
    died_twice_in_company(blame, 1)

    assert deaths_until_failed(blame, 1) == Blame.DEATHS_TO_FAIL


def test_while_other_deaths_are_unexplained_nobody_is_failed_for_three(
    clock: FakeClock,
) -> None:
    """A storm has begun, and not one of its victims is answered yet."""
    blame = Blame(clock)
    died_twice_in_company(blame, 1)
    blame.died({7, 8}, alone=False)
    blame.died({1}, alone=True)

    assert not blame.is_convicted(1)


@pytest.mark.parametrize("poison", [2, 20])
def test_many_poison_items_do_not_hide_each_other(
    clock: FakeClock, poison: int
) -> None:
    """Four deaths each at the most: they explain each other's."""
    blame = Blame(clock)
    waiting = list(range(poison))
    for row in waiting:
        died_twice_in_company(blame, row)
    deaths: list[int] = []
    while waiting:
        row = waiting.pop(0)
        blame.died({row}, alone=True)
        if blame.is_convicted(row):
            deaths.append(blame.convict(row))
            blame.acquit(row)
        else:
            waiting.append(row)

    assert len(deaths) == poison
    assert max(deaths) <= 4


def test_in_a_storm_the_quarantine_does_not_fill_up(clock: FakeClock) -> None:
    """One at a time, it would still be asking at noon."""
    blame = Blame(clock)
    blame.died((), alone=False)
    for _ in range(3):
        blame.died({1}, alone=False)

    assert blame.is_to_set_aside(1, 5)
    assert not blame.is_to_set_aside(1, 6)

    for _ in range(3):
        blame.died({1}, alone=False)
    assert blame.is_to_set_aside(1, 6)


class Storm:
    """Eight workers of eight items that take 2.5 s each, and one for suspects.

    Item 300 kills whoever has it; somebody outside kills one of the nine each second.
    """

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self._clock = clock
        self._draw = random.Random(seed)
        self._blame = Blame(clock)
        self._fresh = itertools.count()
        self._again: deque[int] = deque()
        self._aside: deque[int] = deque()
        self._trial: set[int] = set()
        self._start_s = _START_S
        self._at_work: list[set[int]] = [set() for _ in range(8)]
        self.failed: dict[int, int] = {}
        self.most_aside = 0

    def second(self, *, calm: bool) -> None:
        """One second of it."""
        self._clock.now_s += 1.0
        struck = -1 if calm else self._draw.randrange(9)
        for slot, rows in enumerate(self._at_work):
            while len(rows) < 8:
                rows.add(self._again.popleft() if self._again else next(self._fresh))
            self._live(rows, alone=False, struck=slot == struck)
        if self._aside and not self._trial:
            self._start_s -= 1.0
            if self._start_s <= 0:
                self._trial.add(self._aside.popleft())
        self._start_s = _START_S if struck == 8 else self._start_s
        self._live(self._trial, alone=True, struck=struck == 8)
        self.most_aside = max(self.most_aside, len(self._aside))

    def _live(self, rows: set[int], *, alone: bool, struck: bool) -> None:
        if struck or 300 in rows:
            self._blame.died(rows, alone=alone)
            for row in rows:
                self._bury(row)
            rows.clear()
        for row in [row for row in rows if self._draw.random() < 1 / 2.5]:
            self._blame.acquit(row)
            rows.discard(row)

    def _bury(self, row: int) -> None:
        if self._blame.is_convicted(row):
            self.failed[row] = self._blame.convict(row)
        elif self._blame.is_to_set_aside(row, len(self._aside)):
            self._aside.append(row)
        else:
            self._again.append(row)


@pytest.mark.parametrize("seed", range(20))
def test_in_a_storm_only_the_poison_item_is_failed(clock: FakeClock, seed: int) -> None:
    """Ten minutes of deaths from outside, and two of calm."""
    storm = Storm(clock, seed)
    for second in range(720):
        storm.second(calm=second >= 600)

    assert list(storm.failed) == [300]
    assert storm.most_aside < 100
