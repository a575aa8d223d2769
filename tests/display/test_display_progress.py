"""What is seen while a run works: on a terminal, and in a log."""

import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console
from status_builders import a_status

from runner.display.doing import Doing
from runner.display.lines import LinePainter, status_line
from runner.display.live import LivePainter, live_view
from runner.display.screen import Screen
from runner.display.watching import watch
from runner.run_status import Pace, RunState, RunStatus


class _Clock:
    """Time that moves when it is waited for."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.now_s += seconds
        return stop.is_set()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return _Terminal()


def _rendered(status: RunStatus, columns: int) -> str:
    console = Console(file=io.StringIO(), width=columns, force_terminal=False)
    with console.capture() as captured:
        console.print(live_view(status))
    return captured.get()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_live_view_has_all_that_matters_and_fits(columns: int) -> None:
    pace = Pace(rpm_limit=1_000, waiting_for="the key's 1,000 requests a minute")
    shown = _rendered(a_status(pace=pace), columns)
    for words in (
        "articles",
        "48 %",
        "4,812 of 10,000",
        "4,790 valid, 14 invalid, 8 failed; 32 in flight",
        "812 requests/min of 1,000",
        "$1.2346, at most $1.2546",
        "1 h 5 min",
        "the key's 1,000 requests a minute",
        "line 4712 (attempt 2) 38 s",
    ):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= columns


def test_a_narrow_terminal_wraps_and_loses_nothing() -> None:
    shown = " ".join(_rendered(a_status(), 40).split())
    assert "5 min" in shown
    assert max(map(len, _rendered(a_status(), 40).splitlines())) <= 40


def test_the_bar_is_not_full_while_one_item_is_waited_for() -> None:
    """As other tools do: 100 % for an hour."""
    totals = a_status().totals
    left = 10_000 - totals.valid - totals.invalid - totals.failed - 1
    status = a_status(items=10_000 - left)
    shown = _rendered(status, 80)
    assert "99 %" in shown
    assert "100 %" not in shown


def test_the_bar_of_a_resume_begins_where_the_last_session_ended() -> None:
    shown = _rendered(a_status(requests_per_minute=None, eta_s=None), 80)
    assert "48 %" in shown
    assert "not known yet" in shown


def test_the_live_view_is_repainted_in_place_and_gone_at_the_end(
    terminal: _Terminal,
) -> None:
    painter = LivePainter(terminal)
    painter.prepare(Doing(what="reading items", done=1, total=2))
    painter.paint(a_status())
    painter.paint(a_status(in_flight=7))
    painter.close()
    shown = terminal.getvalue()
    assert "reading items" in shown
    assert "7 in flight" in shown
    assert "\x1b[1A" in shown
    assert shown.rstrip().endswith("\x1b[2K")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_no_color_is_respected(
    terminal: _Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    painter = LivePainter(terminal)
    painter.paint(a_status(pace=Pace(waiting_for="something")))
    painter.close()
    assert "\x1b[3" not in terminal.getvalue()


def test_a_log_gets_a_line_at_once_and_then_every_30_seconds() -> None:
    stream, clock = io.StringIO(), _Clock()
    painter = LinePainter(stream, clock)
    for _ in range(61):
        painter.paint(a_status())
        clock.now_s += 1
    assert 3 == len(stream.getvalue().splitlines())
    assert "4,812 of 10,000 (48 %)" in stream.getvalue()


def test_a_log_gets_a_line_when_the_state_changes() -> None:
    stream, clock = io.StringIO(), _Clock()
    painter = LinePainter(stream, clock)
    painter.paint(a_status())
    painter.paint(a_status(state=RunState.DRAINING))
    painter.paint(a_status(state=RunState.STOPPED, stopped_because="SIGTERM"))
    lines = stream.getvalue().splitlines()
    assert 3 == len(lines)
    assert "draining" in lines[1]
    assert lines[2].endswith("stopped")


def test_a_log_tells_of_a_new_wait_but_not_of_each_second_of_it() -> None:
    stream, clock = io.StringIO(), _Clock()
    painter = LinePainter(stream, clock)
    painter.paint(a_status())
    for second in range(10):
        clock.now_s += 1
        waiting = Pace(waiting_for=f"outage, since {second} s", next_try_s=60 - second)
        painter.paint(a_status(pace=waiting))
    assert 2 == len(stream.getvalue().splitlines())
    assert "waiting: outage" in stream.getvalue()


def test_a_log_tells_of_a_preparation_only_when_it_takes_long() -> None:
    stream, clock = io.StringIO(), _Clock()
    painter = LinePainter(stream, clock)
    for done in range(100):
        painter.prepare(Doing(what="reading items", done=done, total=100))
    painter.prepare(Doing(what="writing files", done=0, total=0))
    assert "" == stream.getvalue()
    for done in range(70):
        clock.now_s += 1
        painter.prepare(Doing(what="writing files", done=done, total=100))
    assert 3 == len(stream.getvalue().splitlines())
    assert "writing files 4 %" in stream.getvalue()


def test_a_text_stays_in_front_of_what_is_shown_after_it() -> None:
    stream = io.StringIO()
    with Screen(stream, LinePainter(stream, _Clock())) as screen:
        screen.say("run articles:\n  asks    gpt-x")
        screen.show(a_status())
    said = stream.getvalue()
    assert said.startswith("run articles:\n  asks    gpt-x\n")
    assert "of" in said.splitlines()[2]


def test_a_text_on_a_terminal_is_whole_and_stays(terminal: _Terminal) -> None:
    painter = LivePainter(terminal, _Clock())
    painter.paint(a_status())
    painter.say("asks    [bold]gpt-x " + "x" * 300)
    painter.close()
    assert "asks    [bold]gpt-x " + "x" * 300 in terminal.getvalue()


def test_nothing_is_said_of_a_speed_nobody_knows_yet() -> None:
    unknown = a_status(requests_per_minute=None, tokens_per_minute=None)
    line = status_line(unknown)
    assert "?" not in line
    assert "/min" not in line
    assert ", ," not in line


def test_why_a_run_stopped_is_left_to_the_words_below_the_progress() -> None:
    why = "the server refuses the key: " + "long words " * 20
    stopped = a_status(state=RunState.STOPPED, stopped_because=why)
    assert why[:20] not in status_line(stopped)
    draining = status_line(a_status(state=RunState.DRAINING, stopped_because=why))
    assert why[:20] in draining
    assert why not in draining


def test_watching_ends_with_the_run(terminal: _Terminal) -> None:
    looks: Iterator[RunStatus] = iter(
        [a_status(), a_status(), a_status(state=RunState.FINISHED)]
    )
    clock = _Clock()
    watch(lambda: next(looks), terminal, clock)
    assert 1_002.0 == clock.now_s
    assert "finished: every item has its outcome" in terminal.getvalue()


def test_watching_through_a_pipe_writes_a_line_each_second() -> None:
    looks = iter([a_status(), a_status(), a_status(state=RunState.STOPPED)])
    stream = io.StringIO()
    watch(lambda: next(looks), stream, _Clock())
    timed = [line for line in stream.getvalue().splitlines() if ":" in line[:5]]
    assert 3 == len(timed)


class _Painter:
    """Remembers what it was told to paint."""

    def __init__(self, blocked: threading.Event | None = None) -> None:
        self.painted: list[RunStatus | Doing] = []
        self.is_closed = False
        self.said: list[str] = []
        self._blocked = blocked

    def paint(self, status: RunStatus) -> None:
        if self._blocked:
            self._blocked.wait()
        self.painted.append(status)

    def prepare(self, doing: Doing) -> None:
        self.painted.append(doing)

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        self.is_closed = True


def test_the_last_status_is_always_painted() -> None:
    painter = _Painter()
    with Screen(None, painter) as screen:
        screen.progress("reading items", 1, 1)
        for in_flight in range(100):
            screen.show(a_status(in_flight=in_flight))
    assert a_status(in_flight=99) == painter.painted[-1]
    assert painter.is_closed


def test_a_terminal_that_takes_nothing_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after Ctrl-S: the run goes on, and the end waits a moment only."""
    monkeypatch.setattr("runner.display.screen._LAST_PAINT_S", 0.05)
    blocked = threading.Event()
    painter = _Painter(blocked)
    with Screen(None, painter) as screen:
        for _ in range(1_000):
            screen.show(a_status())
    assert [] == painter.painted
    blocked.set()


_STUCK = """
import threading
from runner.display.screen import Screen

class Stuck:
    def prepare(self, doing):
        print("stuck", flush=True)
        threading.Event().wait()

with Screen(None, Stuck()) as screen:
    screen.progress("reading items", 1, 2)
print("over")
"""


def test_a_terminal_that_takes_nothing_does_not_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STUCK],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "stuck\nover\n" == done.stdout


def test_a_bug_in_the_painting_is_logged_and_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(_Painter):
        def paint(self, status: RunStatus) -> None:
            raise ZeroDivisionError(status.run)

    with Screen(None, Broken()) as screen:
        screen.show(a_status())
        screen.show(a_status())
    assert "progress is not shown any more" in caplog.text


def test_a_terminal_that_is_closed_under_way_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, Screen(stream) as screen:
        assert isinstance(screen._painter, LivePainter)
        screen.show(a_status())
        shown = b""
        while b"articles" not in shown:
            shown += os.read(ours, 10_000)
        os.close(ours)
        for _ in range(10):
            screen.show(a_status())
