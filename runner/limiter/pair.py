"""How are the two cells of a run taken together, and how is that waited for?

Both or neither, the key's first: nobody keeps one while it waits for the other,
so a stopped process of one run does not hold up the other runs on its key.

Floor: doors and rules. Cells and the clock. Knows the states, not the rules.
"""

import math
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from runner.clock import Clock
from runner.errors import StateDamaged
from runner.limiter.breaker import Breaker
from runner.limiter.budget import LINE_BYTES, MAX_SLOTS
from runner.limiter.cell import Cell
from runner.limiter.keystate import KeyState
from runner.limiter.permits import LimiterPlace
from runner.limiter.runstate import RunState
from runner.limiter.throttle import Pause
from runner.limiter.window import SECOND_NS

_KEY_BYTES = len(KeyState().to_bytes())
"""No more than that: the cell of a version that keeps more or less has another size,
and so is unreadable instead of misread."""
_RUN_BYTES = len(RunState().to_bytes()) + MAX_SLOTS * LINE_BYTES
_FIRST_WAIT_S = 0.0002
_LONGEST_WAIT_S = 0.01
_TELL_AFTER_S = 5.0
_LOOK_EVERY_S = 1.0
_BLOCKED_FOR_S = 3.0
"""Whoever waits renews the news every second; older ones are history."""
T = TypeVar("T")


class CellPair:
    """The key's cell and the run's."""

    def __init__(self, place: LimiterPlace, clock: Clock) -> None:
        self._clock = clock
        self._key = Cell(place.key_cell, _KEY_BYTES)
        self._run = Cell(place.run_cell, _RUN_BYTES)
        self._blocked = ""
        self._blocked_s = -math.inf
        self._looked_s = clock.monotonic_s()
        self._known_key: KeyState | None = None
        self._known_run: RunState | None = None

    def change(
        self,
        work: Callable[[KeyState, RunState, int], T],
        stop: threading.Event,
        patience_s: float | None = None,
    ) -> T | None:
        """Do `work` on both states alone, at one moment, and keep what it changed.

        None when `stop` was set, or patience ended, before both cells were free.
        """

        def always(key: KeyState, run: RunState, now_ns: int) -> tuple[T, bool]:
            return work(key, run, now_ns), True

        return self.consider(always, stop, patience_s)

    def consider(
        self,
        work: Callable[[KeyState, RunState, int], tuple[T, bool]],
        stop: threading.Event,
        patience_s: float | None = None,
    ) -> T | None:
        """Do `work`, which says with its result whether it has changed anything.

        If not, nothing is stored, and whoever waits for news is left alone; unless
        what was found there was of no use, and a moment counts from now.
        """
        if not self._take(stop, patience_s):
            return None
        try:
            now_ns = self.now_ns()
            key, run, is_new = self._states(now_ns)
            # Whatever goes wrong from here on, what is stored counts, not these.
            self._known_key = self._known_run = None
            result, is_changed = work(key, run, now_ns)
            if is_changed or is_new:
                # A process killed between the two has charged the key for a request
                # it never sends; the other way round it could send one uncharged.
                self._key.store(key.to_bytes())
                self._run.store(run.to_bytes())
            self._known_key, self._known_run = key, run
        finally:
            self._run.unlock()
            self._key.unlock()
        return result

    def edition(self) -> tuple[bytes, bytes]:
        """What is another one after each change that anybody makes; no lock."""
        return self._key.edition(), self._run.edition()

    def peek(self) -> tuple[KeyState, RunState]:
        """Both states as last stored, without any lock."""
        now_ns = self.now_ns()
        key = KeyState.load(self._key.peek(), now_ns)
        return key, RunState.load(self._run.peek(), now_ns)

    def peek_run(self) -> RunState:
        """The run's alone, likewise."""
        return RunState.load(self._run.peek(), self.now_ns())

    def token_ratio(self) -> float:
        """What the run has learned of its estimates, likewise."""
        return RunState.token_ratio_in(self._run.peek(), self.now_ns())

    def peek_gates(self) -> tuple[Pause, Breaker]:
        """What may have shut since a permit was given, without any lock."""
        now_ns = self.now_ns()
        pause = KeyState.pause_in(self._key.peek(), now_ns)
        return pause, RunState.breaker_in(self._run.peek(), now_ns)

    def now_ns(self) -> int:
        """The moment, in nanoseconds: sums of these are exact."""
        return int(self._clock.monotonic_s() * SECOND_NS)

    def look_after_files(self) -> None:
        """Notice, once a second, that a cell was deleted or cut short.

        Raises:
            StateDamaged: the run's; its dollars are gone with it.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        if not self._run.is_in_place():
            raise StateDamaged(
                f"{self._run.path}: deleted or cut short while the run was going",
                "`runner resume` builds it anew",
            )
        if not self._key.is_in_place():
            self._key.reopen()

    def blocked_by(self) -> str | None:
        """Who holds a cell that has been waited for longer than 5 s, in words."""
        waits = self._clock.monotonic_s() - self._blocked_s < _BLOCKED_FOR_S
        return self._blocked if waits else None

    def holder_words(self) -> str:
        """Who holds the cell that is most likely waited for."""
        for cell in (self._key, self._run):
            if cell.try_lock():
                cell.unlock()
            else:
                return _words(cell)
        return _words(self._key)

    def close(self) -> None:
        """Let go of both files."""
        self._key.close()
        self._run.close()

    def _states(self, now_ns: int) -> tuple[KeyState, RunState, bool]:
        """Both states, and whether one was made anew.

        As we know them, where nobody has changed them since.
        """
        key, run, is_new = self._known_key, self._known_run, False
        if key is None or not self._key.is_as_known():
            stored = self._key.load()
            key, is_new = KeyState.load(stored, now_ns), not stored.is_usable
        if run is None or not self._run.is_as_known():
            stored = self._run.load()
            run = RunState.load(stored, now_ns)
            is_new = is_new or not stored.is_usable
        return key, run, is_new

    def _try(self) -> bool:
        if not self._key.try_lock():
            return False
        is_taken = False
        try:
            is_taken = self._run.try_lock()
        finally:
            if not is_taken:
                self._key.unlock()
        return is_taken

    def _take(self, stop: threading.Event, patience_s: float | None) -> bool:
        began_s, wait_s = self._clock.monotonic_s(), _FIRST_WAIT_S
        while not self._try():
            waited_s = self._clock.monotonic_s() - began_s
            if patience_s is not None and waited_s > patience_s:
                return False
            if waited_s > _TELL_AFTER_S:
                self._note_holder()
            # Waits differ, so that two processes do not keep meeting.
            wait_s = min(_LONGEST_WAIT_S, wait_s * (1.3 + random.random()))  # noqa: S311 - no secret
            if self._clock.wait(stop, wait_s):
                return False
        self._blocked_s = -math.inf
        return True

    def _note_holder(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._blocked_s >= _LOOK_EVERY_S:
            self._blocked, self._blocked_s = self.holder_words(), now_s


def _words(cell: Cell) -> str:
    pid = cell.holder_pid()
    if pid is None:
        return f"another process, which holds {cell.path}"
    return (
        f"process {pid}, which holds {cell.path}; is it stopped (Ctrl-Z)?"
        f" `kill -CONT {pid}`, or end it"
    )
