"""It says so, writes the files if they are missing, and notes no session."""

import pytest
from session_stage import Killed, Script, Stage, valid_but

from runner.config import default_output
from runner.errors import OutputError
from runner.exit_codes import exit_code
from runner.records import OutcomeState
from runner.run_status import RunState, RunStatus
from runner.supervisor.loop import Supervisor

INVALID, FAILED, VALID = OutcomeState.INVALID, OutcomeState.FAILED, OutcomeState.VALID


def test_no_session_is_added_and_the_beginning_stays_where_it_was(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    stage.session()
    before, started = stage.sessions(), stage.run.status().started_unix_s
    stage.clock.now_s += 3_600

    finish = stage.session()

    assert finish.nothing_left
    assert stage.sessions() == before
    assert stage.run.status().started_unix_s == started
    assert stage.run.status().state is RunState.FINISHED
    assert finish.summary is not None
    assert len(finish.summary.sessions) == 1


@pytest.mark.parametrize(("state", "code"), [(VALID, 0), (INVALID, 3), (FAILED, 3)])
def test_it_is_0_whatever_the_run_came_to(
    stage: Stage, state: OutcomeState, code: int
) -> None:
    stage.start("a", "b")
    first = stage.session(Script(states=valid_but(1, state=state)))
    assert not first.nothing_left
    assert exit_code(first) == code
    assert exit_code(stage.session()) == 0


def test_files_that_are_missing_are_written(stage: Stage) -> None:
    stage.start("a", "b")
    stage.session()
    output = stage.run.config.output
    before = output.processed_path.read_bytes()
    for path in (output.processed_path, output.failed_path, output.summary_path):
        path.unlink()

    stage.session()

    assert output.processed_path.read_bytes() == before
    assert output.failed_path.exists()
    assert output.summary_path.exists()


def test_a_wish_that_no_item_fits_is_nothing_to_do(stage: Stage) -> None:
    stage.start("a", "b")
    stage.session()
    assert stage.session(retry_invalid=True, retry_failed=True).nothing_left


def test_a_run_killed_after_its_last_item_is_finished_by_a_resume(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.start("a", "b")

    def killed(_self: Supervisor) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Supervisor, "_drain", killed)
        with pytest.raises(Killed):
            stage.session()
    assert stage.run.status().pending == 0
    assert stage.run.status().state is not RunState.FINISHED

    assert stage.session().nothing_left
    assert stage.run.status().state is RunState.FINISHED
    assert stage.run.config.output.summary_path.exists()


def test_a_folder_that_vanished_costs_only_the_files(stage: Stage) -> None:
    """And that is what is said: every answer is recorded."""
    folder = stage.folder / "answers"
    folder.mkdir()
    stage.start("a", "b", output=default_output(stage.items_path, folder / "a.jsonl"))

    def vanish(status: RunStatus) -> None:
        if status.state is RunState.FINISHED:
            folder.rmdir()

    with pytest.raises(OutputError, match=r"every item of run items has its outcome"):
        stage.session(on_status=vanish)
    folder.mkdir()
    assert stage.run.export().valid == 2
