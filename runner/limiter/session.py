"""What the supervisor does to the run's cell: begin a session, bury a worker.

Floor: doors and rules. Beside the limiter. Knows the run's cell through the pair only.
"""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal

from runner.clock import Clock
from runner.errors import RunLocked
from runner.limiter import bursts
from runner.limiter.breaker import Breaker
from runner.limiter.budget import Lines, pico_usd
from runner.limiter.keystate import KeyState
from runner.limiter.pair import CellPair
from runner.limiter.permits import LimiterPlace, RunCeilings
from runner.limiter.runstate import RunState

_PATIENCE_S = 10.0
_MOMENT_S = 0.1


def begin_session(
    place: LimiterPlace,
    ceilings: RunCeilings,
    committed_usd_by_slot: Mapping[int, Decimal],
    clock: Clock,
) -> None:
    """Put in the dollars on record; nothing in flight, no outage, nothing proven.

    What was granted in the last minute and the learned ratio stay: a restart must
    not burst. Only for the holder of the run's lock.

    Raises:
        RunLocked: another process has held the cell for 10 s.
        UsageError: a cell cannot be made or opened.
    """

    def begin(_key: KeyState, run: RunState, now_ns: int) -> None:
        run.set_ceilings(ceilings.rpm, ceilings.tpm, now_ns)
        run.breaker = Breaker()
        run.lines = Lines()
        for slot, usd in committed_usd_by_slot.items():
            run.lines.rebuild(slot, pico_usd(usd))
        run.is_begun, run.is_proven = 1, 0
        run.trouble_ns = run.trouble_last_ns = run.budget_wait_ns = 0
        run.last_failure = b""
        bursts.forget(run)

    holder = _change(place, clock, begin, _PATIENCE_S)
    if holder:
        raise RunLocked(f"waited {_PATIENCE_S:.0f} s for {holder}")


def rebuild_slot(
    place: LimiterPlace,
    slot: int,
    committed_usd: Decimal,
    clock: Clock,
) -> str | None:
    """Replace a dead worker's line by what its shard says it spent.

    Waits a moment only: the supervisor has other things to do.

    Returns:
        Who holds a cell, in words, if that was not possible; None: done.
    """

    def rebuild(_key: KeyState, run: RunState, now_ns: int) -> None:
        run.lines.rebuild(slot, pico_usd(committed_usd))
        if run.breaker.is_open and run.breaker.probe_slot == slot:
            run.breaker.drop_probe(now_ns)

    return _change(place, clock, rebuild, _MOMENT_S)


def _change(
    place: LimiterPlace,
    clock: Clock,
    work: Callable[[KeyState, RunState, int], None],
    patience_s: float,
) -> str | None:
    cells = CellPair(place, clock)

    def did(key: KeyState, run: RunState, now_ns: int) -> bool:
        work(key, run, now_ns)
        return True

    try:
        if cells.change(did, threading.Event(), patience_s):
            return None
        return cells.holder_words()
    finally:
        cells.close()
