"""What happens in a night, drawn from its seed.

Faults come by the count of requests, not by the clock, so that they hit a run at
work; how long they last is drawn in seconds.

A family of nights shares a beginning. At each turn it parts: what has happened has
happened, and what is still to come is drawn anew, once for each of two futures. So
each seed is a night of its own, and what its family has in common is worked out once.
"""

import random
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal

from nights import provider

ITEMS = 1_000
HOURS = 10
_SINGLE_FAULTS = 12
_WINDOWS = 7
_REFUSED_ITEMS = 3
_ALWAYS_INVALID = 5
_LAST = ITEMS + 3 * _ALWAYS_INVALID
"""So many requests every night has: four for an answer that stays invalid."""
TURNS = (700, 850, 920, 960, 985, 1_000, 1_008)
"""Requests after which a family parts."""
FAMILY = 1 << len(TURNS)
"""Nights in it: those of so many seeds in a row."""

KILL_ALL = "kill everything"
KILL_SUPERVISOR = "kill the supervisor"
KILL_WORKER = "kill a worker"
STOP_WORKER = "stop a worker for a while"
SUSPEND = "suspend the machine"
DRAIN = "Ctrl-C"
DRAIN_TWICE = "Ctrl-C twice"
DISK_FULL = "fill the disk"
CLOCK_JUMP = "set the wall clock"
_DEEDS = (
    KILL_ALL,
    KILL_SUPERVISOR,
    KILL_WORKER,
    STOP_WORKER,
    SUSPEND,
    DRAIN,
    DRAIN_TWICE,
    DISK_FULL,
    CLOCK_JUMP,
)
_PASSING = (*provider.OUTAGE, *provider.SLOWER)
_EACH = (*_PASSING, *provider.FATAL, *_DEEDS)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done to the run."""

    after_requests: int
    what: str
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole night."""

    seed: int
    workers: int
    threads: int
    enforced_rpm: int | None
    told_rpm: int | None
    latency_s: float
    max_cost_usd: Decimal | None
    deeds: tuple[Deed, ...]
    singles: dict[int, str]
    """Request, counted at the server → what goes wrong with it."""
    refused: dict[int, str]
    """Item → why the provider never takes it."""
    always_invalid: frozenset[int]
    always_500: frozenset[int]
    poison: frozenset[int]
    invalid_share: float

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The night of that seed, as it begins."""
        draw = random.Random(seed // FAMILY)
        rpm = draw.choice((None, 120, 300, 600, 1_200))
        numbers = draw.sample(range(ITEMS), 20)
        refused = numbers[:_REFUSED_ITEMS]
        return cls(
            seed=seed,
            workers=draw.randint(1, 4),
            threads=draw.randint(1, 6),
            enforced_rpm=rpm,
            told_rpm=rpm if draw.random() < 0.7 else None,
            latency_s=draw.choice((0.3, 1.0, 4.0)),
            max_cost_usd=draw.choice((None, Decimal("0.004"))),
            deeds=tuple(sorted(_deeds(draw), key=lambda deed: deed.after_requests)),
            singles={
                draw.randrange(30, ITEMS): draw.choice(provider.OUTAGE)
                for _ in range(_SINGLE_FAULTS)
            },
            refused={n: draw.choice(provider.REFUSED_ITEM) for n in refused},
            always_invalid=frozenset(numbers[3 : 3 + _ALWAYS_INVALID]),
            always_500=frozenset(numbers[10 : 10 + draw.randint(0, 1)]),
            poison=frozenset(numbers[12 : 12 + draw.randint(0, 1)]),
            invalid_share=draw.choice((0.0, 0.1)),
        )

    @property
    def family(self) -> int:
        """Number of those it shares its beginning with."""
        return self.seed // FAMILY

    def turned(self, way: str, after_requests: int, done: AbstractSet[int]) -> "Plan":
        """The same past with the future of that way; `done`: items that came up."""
        draw = random.Random(f"{self.family} {way} plan")
        deeds = [d for d in self.deeds if d.after_requests <= after_requests]
        deeds += _future(draw, way, after_requests, len(self.deeds) - len(deeds))
        singles = {
            at: what for at, what in self.singles.items() if at <= after_requests
        }
        for _ in range(len(self.singles) - len(singles)):
            at = draw.randrange(after_requests + 1, _LAST)
            singles[at] = draw.choice(provider.OUTAGE)
        refused = {item: why for item, why in self.refused.items() if item in done}
        ahead = sorted({*range(ITEMS)} - done - self.always_invalid)
        count = min(len(ahead), max(1, _REFUSED_ITEMS - len(refused)))
        for at, item in enumerate(draw.sample(ahead, count), int(way, 2)):
            refused[item] = provider.REFUSED_ITEM[at % len(provider.REFUSED_ITEM)]
        return replace(
            self,
            deeds=tuple(sorted(deeds, key=lambda deed: deed.after_requests)),
            singles=singles,
            refused=refused,
        )

    @property
    def faults(self) -> int:
        """How many things go wrong."""
        items = len(self.refused) + len(self.always_500) + len(self.poison)
        return len(self.deeds) + len(self.singles) + items

    def describe(self) -> str:
        """For a person who looks into a seed."""
        deeds = ", ".join(
            f"{d.what} at {d.after_requests} for {d.lasts_s:.0f} s" for d in self.deeds
        )
        return (
            f"seed {self.seed}: {self.workers} x {self.threads}, rpm"
            f" {self.told_rpm} told, {self.enforced_rpm} enforced, cap"
            f" {self.max_cost_usd}; {deeds}"
        )


def _deeds(draw: random.Random) -> list[Deed]:
    done = [
        Deed(draw.randrange(ITEMS), what, _length_s(draw, what))
        for what in (*_DEEDS[:2], *draw.choices(_DEEDS, k=4))
    ]
    moods = (
        *draw.choices(provider.OUTAGE, k=_WINDOWS - 3),
        *draw.choices(provider.SLOWER, k=2),
        draw.choice(provider.FATAL),
    )
    windows = [
        Deed(draw.randrange(ITEMS), mood, _length_s(draw, mood)) for mood in moods
    ]
    return done + windows


def _future(
    draw: random.Random, way: str, after_requests: int, count: int
) -> list[Deed]:
    """So many deeds; two at least, since a late turn leaves none.

    These are taken in turn: nights that follow each other see all kinds, and see them
    again, since what comes last may find no request left to hit.
    """
    turn = int(way, 2)
    kinds = [_EACH[at % len(_EACH)] for at in (turn, turn + len(_EACH) // 2)]
    kinds += [
        draw.choice((draw.choice(_DEEDS), draw.choice(_PASSING)))
        for _ in range(len(kinds), count)
    ]
    return [
        Deed(draw.randrange(after_requests + 1, _LAST), what, _length_s(draw, what))
        for what in kinds
    ]


def _length_s(draw: random.Random, what: str) -> float:
    if what in provider.SLOWER:
        return draw.uniform(0.5, 20)
    if what in provider.OUTAGE:
        return draw.choice((5.0, 30.0, 120.0, 900.0)) * draw.uniform(0.5, 1.5)
    return draw.choice((0.1, 2.0, 90.0)) * draw.uniform(0.5, 1.5)
