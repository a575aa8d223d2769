"""One worker, as its supervisor sees it.

Floor: the run.
"""

from dataclasses import dataclass, field

from runner.records import SlowItem, Totals


@dataclass(slots=True)
class Slot:
    """One worker, as its supervisor sees it."""

    number: int
    threads: int
    totals: Totals
    assigned: set[int] = field(default_factory=set)
    in_flight: int = 0
    slowest: tuple[SlowItem, ...] = ()
    is_ready: bool = False
    is_alive: bool = True
    silent_s: float = 0.0
    recorded: int = 0
    restart_at_s: float = 0.0
    failed_starts: int = 0

    @property
    def most_assigned(self) -> int:
        """Enough that no thread waits for work, little enough to lose little."""
        return self.threads + max(2, self.threads // 4)
