"""Which item kills its workers: by whom it died with, and what else was dying then.

Being at work in a dying worker proves nothing, dying alone proves something: then it
was that item or somebody outside, like a kernel short of memory. Whether outside hands
are at work is known from deaths that no item can have caused.

Floor: the run. Pure.
"""

import collections
from collections.abc import Iterable

from runner.clock import Clock

_STORM_S = 60.0


class Blame:
    """The deaths that are not yet explained, and each item's share of them.

    A strike is an unexplained death in whose company an item was unfinished. Its
    outcome wipes out all of them, and the conviction of another item those that this
    explains. A death whose items all got their outcome was nobody's fault.
    """

    DEATHS_TO_FAIL = 3
    DEATHS_TO_SET_ASIDE = 2
    """Before, others were at work with it, and any of them may be to blame."""
    LONE_DEATHS_TO_FAIL_IN_A_STORM = 12
    """With one worker of nine killed a second, an innocent item of 2.5 s meets a death
    in one of four tries: 12 in a row in one of 16 million."""
    DEATHS_TO_SET_ASIDE_IN_A_STORM = 3
    DEATHS_TO_SET_ASIDE_IN_A_QUEUE = 6
    """While that many suspects wait in a storm: they are asked one at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unexplained: list[set[int]] = []
        self._lone: collections.Counter[int] = collections.Counter()
        self._outside_s: float | None = None
        """When it last came out that a death was nobody's fault."""

    def died(self, suspects: Iterable[int], *, alone: bool) -> None:
        """A worker died over these unfinished rows; `alone`: in quarantine."""
        rows = set(suspects)
        if not rows:
            self._outside_s = self._clock.monotonic_s()
            return
        self._unexplained.append(rows)
        if alone:
            self._lone.update(rows)

    def acquit(self, row: int) -> None:
        """It has its outcome: whatever died in its company, it was not its fault."""
        if not self._strikes(row):
            return
        self._lone.pop(row, None)
        for death in self._unexplained:
            death.discard(row)
        if not all(self._unexplained):
            self._outside_s = self._clock.monotonic_s()
            self._unexplained = [death for death in self._unexplained if death]

    def convict(self, row: int) -> int:
        """It killed them all; how many."""
        strikes = self._strikes(row)
        self._lone.pop(row, None)
        self._unexplained = [death for death in self._unexplained if row not in death]
        return strikes

    def is_to_set_aside(self, row: int, waiting: int) -> bool:
        """Whether it is asked alone from now on, while so many wait for that."""
        if self._lone[row]:
            return True
        if not self._is_storm():
            return self._strikes(row) >= self.DEATHS_TO_SET_ASIDE
        enough = self.DEATHS_TO_SET_ASIDE_IN_A_STORM
        if waiting >= self.DEATHS_TO_SET_ASIDE_IN_A_QUEUE:
            enough = self.DEATHS_TO_SET_ASIDE_IN_A_QUEUE
        return self._strikes(row) >= enough

    def is_convicted(self, row: int) -> bool:
        """Whether so many deaths, one of them alone, can only be its own fault."""
        if self._is_storm() or self._others_die(row):
            return self._lone[row] >= self.LONE_DEATHS_TO_FAIL_IN_A_STORM
        if not self._lone[row] or self._strikes(row) < self.DEATHS_TO_FAIL:
            return False
        # One lone death may come from outside, if another one explains the rest.
        return self._lone[row] > 1 or not self._has_double(row)

    def _strikes(self, row: int) -> int:
        return sum(row in death for death in self._unexplained)

    def _has_double(self, row: int) -> bool:
        """Whether another unfinished item was in all the company that it died in."""
        shared = [d for d in self._unexplained if row in d and len(d) > 1]
        return bool(shared) and bool(set.intersection(*shared) - {row})

    def _is_storm(self) -> bool:
        """Whether workers are killed from outside, as far as that is proved."""
        if self._outside_s is None:
            return False
        return self._clock.monotonic_s() - self._outside_s < _STORM_S

    def _others_die(self, row: int) -> bool:
        """Whether there are deaths that neither it nor another lone killer explains."""
        killers = self._lone.keys() | {row}
        return any(killers.isdisjoint(death) for death in self._unexplained)
