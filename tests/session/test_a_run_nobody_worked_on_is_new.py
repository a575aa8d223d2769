"""A run that no session has begun is new: a resume begins it; nothing has died."""

import pytest
from session_stage import Killed, Script, Stage

from runner.api import Run
from runner.run_folder import HEARTBEAT
from runner.run_status import RunState


def test_a_run_that_no_session_has_worked_on_is_new_and_not_dead(
    stage: Stage,
) -> None:
    """Its start was interrupted before anything was asked."""
    stage.start("a", "b")
    assert stage.run.status().state is RunState.NEW

    with pytest.raises(Killed):
        stage.session(Script(killed_after=1))
    stage.engines[-1].close()
    (stage.run.folder / HEARTBEAT).unlink()
    assert stage.run.status().state is RunState.DEAD


def test_a_salvaged_run_is_new_whatever_the_damaged_one_has_lived_through(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    stage.session()
    salvaged = Run.open(stage.run.salvage().run, stage.state_dir)
    assert salvaged.status().state is RunState.NEW
