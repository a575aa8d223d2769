"""A limiter, callers and a server as arithmetic, for the governor alone.

Time goes on in steps; nobody sleeps. Told apart: a permit is taken when its turn has
come and a caller is free; an answer comes when the server is done.
"""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.supervisor.governor import FIRST, MOST, Governor, Seen

STEP_S = 0.05
LOOK_S = 0.2


@dataclass
class Server:
    """How long an answer takes, with so many under way; and whether it refuses."""

    latency_s: Callable[[float, int], float]
    """Second and calls under way → seconds."""
    refuses: Callable[[int], bool] = lambda _under_way: False


@dataclass
class Model:
    """One run."""

    server: Server
    per_s: float | None = None
    """What the limiter grants; None: everything at once."""
    most: int = MOST
    lag_s: float = 0.3
    """How late callers are there, and their news here."""
    now_s: float = 0.0
    sent: list[float] = field(default_factory=list)
    targets: list[tuple[float, int]] = field(default_factory=list)
    _tat_s: float = 0.0
    _ends: list[tuple[float, float, bool]] = field(default_factory=list)
    _finished: int = 0
    _took_s: float = 0.0
    _fastest_s: float = math.inf
    _throttled: int = 0
    _callers: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.governor = Governor(FIRST, self.most, 0.0)

    def go(self, seconds: float) -> "Model":
        """Let it work."""
        looked_s = self.now_s
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += STEP_S
            self._answer()
            waiting = self._send()
            if self.now_s - looked_s >= LOOK_S:
                looked_s = self.now_s
                self._look(waiting)
        return self

    def rate_per_s(self, since_s: float) -> float:
        """Requests a second since then."""
        recent = sum(1 for at_s in self.sent if at_s >= since_s)
        return recent / (self.now_s - since_s)

    @property
    def under_way(self) -> int:
        """Calls in flight."""
        return len(self._ends)

    def _answer(self) -> None:
        while self._ends and self._ends[0][0] <= self.now_s:
            _, began_s, refused = heapq.heappop(self._ends)
            self._finished += 1
            self._took_s += self.now_s - began_s
            self._fastest_s = min(self._fastest_s, self.now_s - began_s)
            self._throttled += refused

    def _send(self) -> int:
        callers = self._allowed()
        # Until the first answer each worker has one request under way.
        free = (callers if self._took_s or self.is_proven else 1) - len(self._ends)
        while free > 0:
            if self.per_s is not None:
                self._tat_s = max(self._tat_s, self.now_s - STEP_S)
                if self._tat_s > self.now_s:
                    break
                self._tat_s += 1 / self.per_s
            self._begin()
            free -= 1
        return max(0, callers - len(self._ends))

    is_proven: bool = False

    def _begin(self) -> None:
        refused = self.server.refuses(len(self._ends))
        took_s = 0.05 if refused else self.server.latency_s(self.now_s, len(self._ends))
        heapq.heappush(self._ends, (self.now_s + took_s, self.now_s, refused))
        self.sent.append(self.now_s)

    def _allowed(self) -> int:
        known = [n for at_s, n in self._callers if at_s <= self.now_s - self.lag_s]
        return known[-1] if known else FIRST

    def _look(self, waiting: int) -> None:
        self.is_proven = self.is_proven or self._finished > 0
        target = self.governor.look(
            Seen(
                now_s=self.now_s,
                under_way=len(self._ends),
                waiting=waiting,
                finished=self._finished,
                took_s=self._took_s,
                fastest_s=self._fastest_s,
                throttled=self._throttled,
                failed=0,
                per_s=self.per_s,
                has_more=True,
            )
        )
        self._finished = self._throttled = 0
        self._took_s, self._fastest_s = 0.0, math.inf
        self._callers = [*self._callers[-20:], (self.now_s, target)]
        self.targets.append((self.now_s, target))


def steady(seconds: float) -> Server:
    """Always as long, whatever comes."""
    return Server(lambda _now_s, _n: seconds)


def spread(median_s: float, sigma: float, seed: int) -> Server:
    """Lognormal, as answers of a language model are."""
    draw = random.Random(seed)
    return Server(lambda _now_s, _n: median_s * math.exp(draw.gauss(0, sigma)))


def full_at(calls: int, seconds: float) -> Server:
    """Queues what is more than it can do at once."""
    return Server(lambda _now_s, n: seconds * max(1.0, (n + 1) / calls))


def batching(seconds: float, doubles_at: int, full: int) -> Server:
    """Slower per call the more it does at once, and faster in all, until it is full."""
    return Server(
        lambda _now_s, n: seconds * (1 + n / doubles_at) * max(1.0, (n + 1) / full)
    )
