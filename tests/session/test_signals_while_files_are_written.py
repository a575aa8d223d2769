"""A signal after the last item changes nothing; a second one breaks the export off."""

import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from session_stage import Script, Stage, valid_but

from runner.api_records import Finish
from runner.exit_codes import exit_code
from runner.records import OutcomeState
from runner.run_status import RunState

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


class Unheard(Exception):
    """The signal met the handler that was there before the session."""


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """What a process had would end it; here it is only told."""

    def unheard(_number: int, _frame: FrameType | None) -> None:
        raise Unheard

    old = {n: signal.signal(n, unheard) for n, _ in SIGNALS}
    yield
    assert [signal.getsignal(n) for n, _ in SIGNALS] == [unheard, unheard]
    for number, handler in old.items():
        signal.signal(number, handler)


def signalling(
    stage: Stage, number: signal.Signals, times: int
) -> Callable[[str, int, int], None]:
    """The signal comes while files are written, so many times, 3 s apart."""

    def progress(what: str, done: int, _total: int) -> None:
        if what == "writing files" and done == 0:
            for _ in range(times):
                os.kill(os.getpid(), number)
                stage.clock.now_s += 3

    return progress


def finished(stage: Stage, number: signal.Signals, times: int) -> Finish:
    """A session whose export meets the signal."""
    return stage.session(
        Script(states=valid_but(1, state=OutcomeState.INVALID)),
        on_progress=signalling(stage, number, times),
    )


@pytest.mark.parametrize(("number", "_code"), SIGNALS)
def test_one_signal_after_the_last_item_is_3_or_0_and_the_files_are_there(
    stage: Stage, number: signal.Signals, _code: int
) -> None:
    stage.start("a", "b")
    finish = finished(stage, number, 1)
    assert exit_code(finish) == 3
    assert finish.summary is not None
    assert finish.summary.state is RunState.FINISHED
    assert stage.run.config.output.summary_path.exists()


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_second_signal_breaks_off_and_says_how_to_get_the_files(
    stage: Stage, number: signal.Signals, code: int
) -> None:
    stage.start("a", "b")
    before = {path.name for path in stage.folder.iterdir()}

    finish = finished(stage, number, 2)

    assert exit_code(finish) == code
    assert finish.stop is not None
    assert "`runner export` writes them" in finish.stop.message
    # Not one of the three, and no half of one.
    assert {path.name for path in stage.folder.iterdir()} == before | {"xdg"}
    assert stage.run.export().valid == 1


def test_files_of_before_stay_as_they_were_when_new_ones_are_broken_off(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    stage.session(Script(states=valid_but(1, state=OutcomeState.INVALID)))
    output = stage.run.config.output
    paths = output.processed_path, output.failed_path, output.summary_path
    before = [path.read_bytes() for path in paths]

    stage.session(retry_invalid=True, on_progress=signalling(stage, signal.SIGTERM, 2))

    assert [path.read_bytes() for path in paths] == before
    assert stage.session().nothing_left
    assert output.processed_path.read_bytes() != before[0]


def test_a_signal_while_a_resume_with_nothing_to_do_writes_is_0(stage: Stage) -> None:
    stage.start("a")
    stage.session()
    progress = signalling(stage, signal.SIGTERM, 1)
    assert exit_code(stage.session(on_progress=progress)) == 0
