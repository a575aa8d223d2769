"""How does a run show its progress without ever waiting for a terminal?

The run leaves its latest status here and goes on; a thread of our own paints it.
A terminal that is stopped (Ctrl-S), slow or gone holds up that thread only.

Floor: faces. Knows the two painters.
"""

import logging
import threading
from types import TracebackType
from typing import Protocol, Self, TextIO

from runner.display.doing import Doing
from runner.display.lines import LinePainter
from runner.display.live import LivePainter
from runner.display.outlet import outlet
from runner.display.painting import is_live
from runner.run_status import RunStatus

_LAST_PAINT_S = 2.0
"""How long the end waits for a terminal that takes nothing."""
_log = logging.getLogger("runner.display")


class Painter(Protocol):
    """Shows a status, or how far some preparation is."""

    def paint(self, status: RunStatus) -> None:
        """Show the run as it is now."""
        ...

    def prepare(self, doing: Doing) -> None:
        """Show how far reading or writing is."""
        ...

    def say(self, text: str) -> None:
        """Write a text that stays."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def painter_for(stream: TextIO) -> Painter:
    """Live on a terminal, a line now and then anywhere else."""
    return LivePainter(stream) if is_live(stream) else LinePainter(stream)


class Screen:
    """Shows progress while the block runs: `show` and `progress` return at once."""

    def __init__(self, stream: TextIO | None, painter: Painter | None = None) -> None:
        self._painter = painter or painter_for(outlet(stream))
        self._texts: list[str] = []
        self._news: list[RunStatus | Doing] = []
        self._changed = threading.Condition()
        self._is_over = False
        # A daemon: a terminal that blocks for ever must not keep the process.
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)

    def show(self, status: RunStatus) -> None:
        """The run as it is now; replaces what was not painted yet."""
        self._leave(status)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far reading or writing is."""
        self._leave(Doing(what=what, done=done, total=total))

    def say(self, text: str) -> None:
        """A text that stays, before whatever is shown next; none is left out."""
        with self._changed:
            self._texts.append(text)
            self._changed.notify()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(_LAST_PAINT_S)

    def _leave(self, news: RunStatus | Doing) -> None:
        with self._changed:
            self._news = [news]
            self._changed.notify()

    def _work(self) -> None:
        try:
            while self._paint_next():
                pass
            self._painter.close()
        except Exception:  # noqa: BLE001 - painting must not cost a night's work
            _log.exception("progress is not shown any more")

    def _paint_next(self) -> bool:
        """Paint what is new; False when there will be no more."""
        with self._changed:
            while not (self._texts or self._news or self._is_over):
                self._changed.wait()
            texts, self._texts = self._texts, []
            news, self._news = self._news, []
        for text in texts:
            self._painter.say(text)
        for one in news:
            if isinstance(one, RunStatus):
                self._painter.paint(one)
            else:
                self._painter.prepare(one)
        return bool(texts or news) or not self._is_over
