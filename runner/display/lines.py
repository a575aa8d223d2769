"""What does a log, a pipe or a nohup file see of a run's progress?

One line at once, then every 30 s, and whenever something changes that somebody who
reads it in the morning would look for.

Floor: faces. Knows facts and wording.
"""

import re
from typing import TextIO

from runner.clock import Clock, SystemClock
from runner.display.doing import Doing
from runner.display.facts import (
    anew_words,
    items_words,
    left_facts,
    speed_words,
    state_fact,
    status_cost_words,
    waiting_words,
)
from runner.printable import printable
from runner.run_status import RunState, RunStatus
from runner.wording import count, time_of_day

EVERY_S = 30.0
_LEAST_S = 5.0
"""What holds a run back may change every second; a log need not know."""
_NUMBERS = re.compile(r"[\d.,]+")


class LinePainter:
    """Writes a line when it is time, or when the state changed."""

    def __init__(
        self, stream: TextIO, clock: Clock | None = None, *, every_s: float = EVERY_S
    ) -> None:
        self._stream = stream
        self._every_s = every_s
        self._clock = clock or SystemClock()
        self._said_s: float | None = None
        self._state: RunState | None = None
        self._waiting: str | None = None
        self._what: str | None = None
        self._what_since_s = 0.0

    def paint(self, status: RunStatus) -> None:
        """Write a line if this one is worth it."""
        # A wait is the same wait when only its seconds are fewer.
        waiting = _NUMBERS.sub("", status.pace.waiting_for or "") or None
        is_new = status.state is not self._state
        if waiting != self._waiting and self._has_passed(_LEAST_S):
            is_new = True
        if is_new or self._has_passed(self._every_s):
            self._state, self._waiting = status.state, waiting
            self._say(status_line(status))

    def prepare(self, doing: Doing) -> None:
        """Write a line when it takes long, then every 30 s."""
        now_s = self._clock.monotonic_s()
        if doing.what != self._what:
            self._what, self._what_since_s = doing.what, now_s
        is_long = now_s - self._what_since_s >= _LEAST_S
        if is_long and self._has_passed(self._every_s):
            self._say(printable(doing.words))

    def say(self, text: str) -> None:
        """Write a text of several lines, as it is."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do: a line that was written has left."""

    def _has_passed(self, seconds: float) -> bool:
        now_s = self._clock.monotonic_s()
        return self._said_s is None or now_s - self._said_s >= seconds

    def _say(self, words: str) -> None:
        self._said_s = self._clock.monotonic_s()
        self._stream.write(f"{time_of_day(self._clock.unix_s())} {words}\n")
        self._stream.flush()


def status_line(status: RunStatus) -> str:
    """All that matters in one line."""
    words = [f"{printable(status.run)} {items_words(status)}", *anew_words(status)]
    if status.state.is_at_work:
        words += [
            f"{count(status.in_flight)} in flight",
            speed_words(status),
            f"cost {status_cost_words(status)}",
            *(f"{left.label} {left.text}" for left in left_facts(status)),
        ]
    else:
        words.append(f"cost {status_cost_words(status)}")
    if status.state is RunState.STOPPED:
        words.append("stopped")  # why stands below it, once
    elif status.state is not RunState.RUNNING:
        words.append(state_fact(status).text)
    waiting = waiting_words(status)
    if waiting and status.state is RunState.RUNNING:
        words.append(f"waiting: {waiting}")
    return ", ".join(word for word in words if word)
