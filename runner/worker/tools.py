"""What do all walks of a worker share?

Floor: the work. Knows the doors and rules.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.checkpoint.entries import Attempt
from runner.checkpoint.shard import Shard
from runner.client import Client
from runner.clock import Clock, SystemClock
from runner.config import Pacing
from runner.limiter import Limiter
from runner.pricing import PriceBook
from runner.retrying import Retrying
from runner.task import Patience, Task
from runner.worker.meter import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a worker has opened for all walks of its process."""

    run_id: str
    slot: int
    task: Task
    limiter: Limiter
    shard: Shard
    client: Client
    prices: PriceBook
    clock: Clock
    pacing: Pacing
    stop: threading.Event
    """Set: start nothing new."""
    retrying: Retrying
    stored_reply: Callable[[int, int, int], tuple[Attempt, bytes]]
    """Slot, item number, attempt → what is on disk of it."""
    flights: dict[tuple[int, int], float]
    """Item number and attempt → monotonic second it was sent."""
    meter: Meter = field(default_factory=Meter)
    patience: Patience = field(default_factory=lambda: Patience(SystemClock()))
    """Waits for the user's functions."""
    others_wait: Callable[[], bool] = lambda: False
    """Whether other items of this worker wait for a thread."""
    without_key: Callable[[str], str] = lambda text: text
    """What the user's code says when it raises may hold the key; this takes it out."""
