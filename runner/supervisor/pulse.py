"""How fast a run goes: rates over the last minute and the time that is left.

Only this session counts, so an estimate is right after a resume too.

Floor: the run. Pure.
"""

import collections
from dataclasses import dataclass

from runner.records import Totals

WINDOW_S = 60.0
_LEAST_S = 2.0
_LEAST_FINISHED = 10
"""So many have to be finished, or a whole window be over, before that is a pace."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    sent: int
    tokens: int
    finished: int


class Pulse:
    """Remembers the totals of the last minute."""

    def __init__(self, now_s: float, totals: Totals) -> None:
        self._samples = collections.deque([_sample(now_s, totals)])

    def beat(self, now_s: float, totals: Totals, finished: int) -> None:
        """Add what is known at this moment.

        `finished`: items that came to an outcome in this session. Totals do not tell:
        the new outcome of an item that was asked anew replaces one.
        """
        self._samples.append(_sample(now_s, totals, finished))
        while now_s - self._samples[1].at_s > WINDOW_S:
            self._samples.popleft()

    @property
    def requests_per_minute(self) -> float | None:
        """Requests begun a minute; None in the first seconds."""
        return self._per_minute("sent")

    @property
    def tokens_per_minute(self) -> float | None:
        """Input and output tokens a minute; None in the first seconds."""
        return self._per_minute("tokens")

    def eta_s(self, pending: int, wait_s: float = 0.0) -> float | None:
        """Seconds until `pending` items are finished at this pace, if any is.

        `wait_s`: so long nobody sends, as far as is known.
        """
        if pending == 0:
            return 0.0
        seconds_each = self._seconds_each()
        return None if seconds_each is None else wait_s + pending * seconds_each

    def _seconds_each(self) -> float | None:
        """What an item takes at this pace; None while there is none to go by.

        Until the first one is finished nothing is slow: its answer is on the way.
        """
        last = self._samples[-1]
        first = self._samples[0]
        for sample in self._samples:
            if sample.finished:
                break
            first = sample
        elapsed_s, finished = last.at_s - first.at_s, last.finished - first.finished
        is_pace = finished >= _LEAST_FINISHED or elapsed_s >= WINDOW_S
        if not finished or not is_pace or elapsed_s < _LEAST_S:
            return None
        return elapsed_s / finished

    def _per_minute(self, what: str) -> float | None:
        first, last = self._samples[0], self._samples[-1]
        elapsed_s = last.at_s - first.at_s
        if elapsed_s < _LEAST_S:
            return None
        rise: int = getattr(last, what) - getattr(first, what)
        return round(rise / elapsed_s * 60, 1)


def _sample(now_s: float, totals: Totals, finished: int = 0) -> _Sample:
    tokens = totals.input_tokens + totals.output_tokens
    return _Sample(now_s, totals.sent, tokens, finished)
