"""How many calls should be under way now? Finds it; nobody has to say.

Two ways, and the answers say which is right:

* A limit is known (told, or learned): callers are added until permits are waited for,
  rate x latency (Little's law) and a little more. So the limit decides, not we.
* None is known, or the server does not keep up with it: callers are added as long as
  answers take hardly longer for it, by steps (a hill climb over latency, as in Vegas
  and Netflix' concurrency-limits). Where twice as many take twice as long, the server
  is full: back to as many as it answered without a queue. Fewer when it refuses, or
  gets slower and fewer callers make it faster.

The step is judged by how latency follows concurrency, not by latency itself: a server
that batches (vLLM) gets slower per call and does far more all the same.

Floor: the run. Pure.
"""

import math
from dataclasses import dataclass

FIRST = 8
"""Calls under way before anything is known of the server."""
MOST = 1_280
"""Nobody who did not ask for more gets more under way: threads cost memory."""
_FOLLOWS = 0.7
"""Latency grew by this power of concurrency: from there on more callers only queue.
0: it does not grow at all; 1: as much as concurrency, all of it is queue."""
_CLIMB, _PROBE = 2.0, 1.25
"""How far a step goes: until the first one that failed, and after it."""
_SPARE_S = 0.5
"""Callers that wait for permits: enough for so long, that no permit waits for one."""
_TRUSTED = 2.0
"""So many times rate x latency, before a server that does not keep up is noticed."""
_DROWNED = 1.5
"""Even the fastest answer takes so many times longer than the usual one did at first,
and the rate is not reached."""
_KEPT_UP = 0.8
_BUSY_SHARE = 0.8
_REFUSED_SHARE = 0.1
_FEWEST_REFUSED_OF = 20
"""Calls that the share is one of, at least: three bad ones in a row are chance."""
_BY_CHANCE = 2.0
"""Standard deviations above that share: lasting half of it must never add up to it."""
_BACK_OFF = 0.7
_FELL_FAR, _FELL_TOO = 0.5, 0.75
"""Half the callers get less than three quarters of the answers, and as many of them
are refused: then it was not for our sake, and fewer callers only cost answers."""
_UNMOVED_S = 600.0
"""So long what is refused is taken as it comes."""
_SLOWER = 1.5
_FIRST_HOLD_S, _LONGEST_HOLD_S = 15.0, 300.0
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S = 1.0, 60.0
_FEWEST_CALLS = 10
_NEAR = 0.8
_OVERFULL = 1.25
_DECAY_PER_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What workers did since the last look."""

    now_s: float
    """Monotonic."""
    under_way: int
    """Calls, from permit to recorded reply, at this moment."""
    waiting: int
    """Callers that wait for a permit at this moment."""
    finished: int
    took_s: float
    """All of them together."""
    fastest_s: float
    """Of them; infinite where none has finished."""
    throttled: int
    """429s among them."""
    failed: int
    """5xx, timeouts and cut replies among them."""
    per_s: float | None
    """Requests a second that the lowest known limit allows; None: none is known."""
    has_more: bool
    """Whether items are left that nobody has got yet."""


@dataclass(slots=True)
class _Window:
    """What was seen since `began_s`."""

    began_s: float
    looks: int = 0
    under_way: int = 0
    """Over all looks."""
    free_looks: int = 0
    """Looks at which the server was all that callers waited for."""
    finished: int = 0
    took_s: float = 0.0
    fastest_s: float = math.inf
    refused: int = 0
    unanswered: int = 0
    """Whatever the reason, 429s within a known limit included."""
    waiting_looks: int = 0
    """Looks at which callers waited for a permit."""

    @property
    def callers(self) -> float:
        return self.under_way / self.looks

    @property
    def latency_s(self) -> float:
        """0: none is known. Errors may come at once: no answer was that fast."""
        mean_s = self.took_s / max(1, self.finished)
        return mean_s if math.isinf(self.fastest_s) else max(mean_s, self.fastest_s)

    @property
    def is_limited(self) -> bool:
        """Whether callers waited for permits nearly all the time."""
        return self.waiting_looks >= _BUSY_SHARE * self.looks

    @property
    def is_answered(self) -> bool:
        """Whether what came back tells how long answers take."""
        return self.unanswered <= _REFUSED_SHARE * self.finished

    def per_s(self, now_s: float) -> float:
        return self.finished / (now_s - self.began_s)

    def good_per_s(self, now_s: float) -> float:
        return (self.finished - self.refused) / max(now_s - self.began_s, 1e-9)


@dataclass(frozen=True, slots=True)
class _Fall:
    """Where callers were first taken away, and what was answered there."""

    target: int
    good_per_s: float


@dataclass(frozen=True, slots=True)
class _Level:
    """A concurrency and what came of it."""

    target: int
    callers: float
    latency_s: float


class Governor:
    """Turns what is seen into how many calls may be under way."""

    def __init__(self, first: int, most: int, now_s: float) -> None:
        self.target = max(1, min(first, most))
        """Calls that may be under way, those waiting for a permit included."""
        self._most = most
        self._window, self._lately = _Window(now_s), _Window(now_s)
        self._first_s: float | None = None
        """Mean latency of the fastest window so far."""
        self._usual_s: float | None = None
        """Mean latency of late."""
        self._before: _Level | None = None
        """Where the step under way began; None: none is under way."""
        self._goes_up = True
        self._held_s: float | None = None
        """Latency while this concurrency is held."""
        self._fall: _Fall | None = None
        """None: none have been since it last became more."""
        self._unmoved_until_s = now_s
        self._step = _CLIMB
        self._hold_s = _FIRST_HOLD_S
        self._held_until_s = self._settled_s = self._seen_s = now_s
        self._trusts_rate = True

    def look(self, seen: Seen) -> int:
        """The target from now on."""
        passed_s, self._seen_s = seen.now_s - self._seen_s, seen.now_s
        if seen.under_way > _OVERFULL * self.target + 1:
            # Callers that are no longer allowed are still at it.
            self._settle(seen, self._first_s or 0.0)
        if seen.now_s >= self._settled_s > self._window.began_s:
            self._window = _Window(seen.now_s)
        self._note(seen, self._window)
        self._note(seen, self._lately)
        lately = self._told_lately(seen)
        if self._is_refused(seen):
            self._back_off(seen)
        elif lately and self._is_drowned(lately, seen):
            self._leave_rate(lately, seen)
        elif seen.waiting and seen.per_s:
            self._follow(seen, passed_s)
        else:
            self._grow_to_rate(seen)
        if self._is_window_full(seen):
            window, self._window = self._window, _Window(seen.now_s)
            self._close(window, seen)
        return self.target

    def _note(self, seen: Seen, window: _Window) -> None:
        window.looks += 1
        window.under_way += seen.under_way
        window.finished += seen.finished
        window.took_s += seen.took_s
        window.fastest_s = min(window.fastest_s, seen.fastest_s)
        window.waiting_looks += seen.waiting > 0
        # For known limits 429s are the limiter's business.
        window.refused += seen.failed + (0 if seen.per_s else seen.throttled)
        window.unanswered += seen.failed + seen.throttled
        # Not while a limit, or the want of items, keeps callers from the server.
        is_busy = seen.under_way >= _BUSY_SHARE * self.target
        window.free_looks += seen.has_more and not seen.waiting and is_busy

    def _is_window_full(self, seen: Seen) -> bool:
        window = self._window
        age_s = seen.now_s - window.began_s
        if not window.finished or age_s < _SHORTEST_WINDOW_S:
            return False
        calls = max(_FEWEST_CALLS, self.target * (1 if self._step == _CLIMB else 2))
        is_told = window.finished >= calls and age_s >= window.latency_s
        return is_told or age_s >= max(_LONGEST_WINDOW_S, 2 * window.latency_s)

    # A limit is known

    def _spare(self, per_s: float) -> int:
        return max(2, math.ceil(per_s * _SPARE_S))

    def _follow(self, seen: Seen, passed_s: float) -> None:
        """Permits are waited for: as many callers as that takes, and spare ones."""
        assert seen.per_s is not None
        spare = self._spare(seen.per_s)
        if seen.waiting < spare / 2:
            self._grow_to_rate(seen)
            return
        needed = seen.under_way + spare
        if self.target > needed:
            shrunk = self.target * (1 - min(1.0, _DECAY_PER_S * passed_s))
            self._set(max(needed, math.ceil(shrunk)))

    def _grow_to_rate(self, seen: Seen) -> None:
        usual_s = self._window.latency_s if self._usual_s is None else self._usual_s
        if not seen.per_s or not usual_s or not self._trusts_rate:
            return
        spare = self._spare(seen.per_s)
        trusted = math.ceil(seen.per_s * usual_s * _TRUSTED) + spare
        self._set(max(self.target, min(trusted, seen.under_way + spare)))

    # A window is full

    def _close(self, window: _Window, seen: Seen) -> None:
        latency_s = window.latency_s
        self._usual_s = ((self._usual_s or latency_s) + latency_s) / 2
        if window.is_limited:
            self._trusts_rate = True
        is_free = window.free_looks >= _BUSY_SHARE * window.looks
        if seen.now_s >= self._settled_s and is_free:
            self._judge(window.callers, latency_s, seen)

    def _told_lately(self, seen: Seen) -> _Window | None:
        """What the last few calls tell, once there are enough of them."""
        lately = self._lately
        age_s = seen.now_s - lately.began_s
        if lately.finished < _FEWEST_CALLS or age_s < _SHORTEST_WINDOW_S:
            return None
        self._lately = _Window(seen.now_s)
        if lately.is_answered:
            self._first_s = min(self._first_s or math.inf, lately.latency_s)
        return lately

    def _is_drowned(self, lately: _Window, seen: Seen) -> bool:
        """The known rate is not reached, and no answer comes without a queue."""
        if not seen.per_s or not self._trusts_rate or not self._first_s:
            return False
        if lately.is_limited:
            # The ramp after an outage, or a pause, holds the rate down.
            return False
        is_late = lately.fastest_s > _DROWNED * self._first_s
        return is_late and lately.per_s(seen.now_s) < _KEPT_UP * seen.per_s

    def _leave_rate(self, lately: _Window, seen: Seen) -> None:
        """From now on step by step, from where there would be no queue."""
        assert self._first_s is not None
        self._trusts_rate = False
        self._step = _PROBE
        fits = lately.per_s(seen.now_s) * self._first_s
        self._land(fits, seen, lately.latency_s)

    def _judge(self, callers: float, latency_s: float, seen: Seen) -> None:
        """What a window at one concurrency tells; then hold, or try another."""
        if self._before is not None:
            self._judge_trial(callers, latency_s, seen)
            return
        is_slower = self._held_s is not None and latency_s > _SLOWER * self._held_s
        if is_slower:
            # For our sake? Fewer callers will tell.
            self._goes_up = False
        elif seen.now_s < self._held_until_s:
            self._held_s = min(self._held_s or latency_s, latency_s)
            return
        self._try(callers, latency_s, seen)

    def _try(self, callers: float, latency_s: float, seen: Seen) -> None:
        """Another concurrency, higher or lower."""
        if self.target == self._most:
            self._goes_up = False
        step = self._step if self._goes_up else 1 / _PROBE
        self._before = _Level(self.target, callers, latency_s)
        near = math.ceil if self._goes_up else math.floor
        self._set(near(self.target * step))
        self._settle(seen, latency_s)

    def _judge_trial(self, callers: float, latency_s: float, seen: Seen) -> None:
        assert self._before is not None
        before, self._before = self._before, None
        power = _power(latency_s / before.latency_s, callers / before.callers)
        is_worth_it = power < _FOLLOWS if self._goes_up else power > _FOLLOWS
        if is_worth_it:
            self._try(callers, latency_s, seen)
            return
        if self._goes_up:
            # As many as it would have answered in the latency of before.
            fits = callers * before.latency_s / latency_s
            self._step = _PROBE
            self._land(max(fits, _NEAR * before.callers), seen, latency_s)
        else:
            self._land(before.target, seen, latency_s)

    # Steps

    def _land(self, callers: float, seen: Seen, latency_s: float) -> None:
        """Stay here for a while; then look to the other side."""
        self._set(round(callers))
        self._goes_up = not self._goes_up
        self._hold(seen)
        self._settle(seen, latency_s)

    def _is_refused(self, seen: Seen) -> bool:
        window = self._window
        if seen.now_s < max(self._settled_s, self._unmoved_until_s):
            return False
        # A few finish sooner than all others: hold them against all.
        calls = max(window.finished, self.target / 2, _FEWEST_REFUSED_OF)
        spread = math.sqrt(_REFUSED_SHARE * (1 - _REFUSED_SHARE) * calls)
        return window.refused >= _REFUSED_SHARE * calls + _BY_CHANCE * spread

    def _back_off(self, seen: Seen) -> None:
        good_per_s = self._window.good_per_s(seen.now_s)
        self._fall = fall = self._fall or _Fall(self.target, good_per_s)
        is_far = self.target <= _FELL_FAR * fall.target
        if is_far and good_per_s < _FELL_TOO * fall.good_per_s:
            self._unmoved_until_s = seen.now_s + _UNMOVED_S
            self._set(fall.target)
            self._settle(seen, self._window.latency_s)
            return
        self._step = _PROBE
        self._goes_up = True
        self._set(math.floor(self.target * _BACK_OFF))
        self._hold(seen)
        # Until then come the answers to what was sent before.
        self._settle(seen, self._window.latency_s)

    def _hold(self, seen: Seen) -> None:
        self._before = self._held_s = None
        self._held_until_s = seen.now_s + self._hold_s
        self._hold_s = min(_LONGEST_HOLD_S, 2 * self._hold_s)

    def _settle(self, seen: Seen, latency_s: float) -> None:
        """What was sent at the old concurrency tells nothing of the new one."""
        self._settled_s = seen.now_s + max(_SHORTEST_WINDOW_S / 2, latency_s)

    def _set(self, target: int) -> None:
        if target > self.target:
            self._fall = None
        self.target = max(1, min(target, self._most))


def _power(ratio: float, of: float) -> float:
    """`x` in `ratio = of ** x`."""
    # A step of nothing tells nothing.
    return math.log(ratio) / math.log(of) if of != 1 else 1.0
