"""What has this process been asked so far?

Owns the counters of `/simulator/stats`. The ledger is the truth about money; this
is for looking at.

Floor: simulator. Knows plans and wire.
"""

from collections import Counter
from decimal import Decimal

from runner.simulator.plans import Plan
from runner.simulator.wire import JsonObject

_TOO_MANY = 429


class Stats:
    """Counters since this process started."""

    def __init__(self) -> None:
        self.open = 0
        self.max_concurrent = 0
        self._requests = 0
        self._outcomes: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._billed = 0
        self._cost_usd = Decimal(0)

    def arrive(self) -> None:
        """One more request to a model endpoint."""
        self._requests += 1
        self.open += 1
        self.max_concurrent = max(self.max_concurrent, self.open)

    def leave(self) -> None:
        """It is over, however it ended."""
        self.open -= 1

    def count(self, plan: Plan) -> None:
        """What became of it, as its ledger line says."""
        self._outcomes[plan.outcome] += 1
        self._statuses[plan.status] += 1
        if plan.kind:
            self._kinds[plan.kind] += 1
        self._billed += plan.billed
        self._cost_usd += plan.cost_usd or 0

    def to_json(self) -> JsonObject:
        """The counters as JSON."""
        return {
            "requests": self._requests,
            "answers": self._outcomes["answer"],
            "by_outcome": dict(sorted(self._outcomes.items())),
            "by_kind": dict(sorted(self._kinds.items())),
            "rate_limited_429": self._statuses[_TOO_MANY],
            "open": self.open,
            "max_concurrent": self.max_concurrent,
            "billed": self._billed,
            "cost_usd": f"{self._cost_usd:f}",
        }
