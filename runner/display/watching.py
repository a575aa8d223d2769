"""How is a run watched from another terminal?

Floor: faces. Knows the painters.
"""

import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from runner.clock import Clock, SystemClock
from runner.display.lines import LinePainter
from runner.display.live import LivePainter
from runner.display.painting import is_live, print_status
from runner.run_status import RunStatus

EVERY_S = 1.0


def looks(look: Callable[[], RunStatus], clock: Clock) -> Iterator[RunStatus]:
    """A look each second, the last one when nothing works on the run any more."""
    never = threading.Event()
    while True:
        status = look()
        yield status
        if not status.state.is_at_work:
            return
        clock.wait(never, EVERY_S)


def watch(
    look: Callable[[], RunStatus], stream: TextIO, clock: Clock | None = None
) -> None:
    """Show a run each second until nothing works on it, then its table."""
    clock = clock or SystemClock()
    if is_live(stream):
        painter: LivePainter | LinePainter = LivePainter(stream, clock)
    else:
        painter = LinePainter(stream, clock, every_s=EVERY_S)
    try:
        for status in looks(look, clock):
            painter.paint(status)
    finally:
        painter.close()
    print_status(status, stream)
