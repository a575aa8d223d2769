"""A run that no session has begun is new: a resume begins it; nothing has died."""

import contextlib
import shutil
import sqlite3

import pytest
from session_stage import Killed, Script, Stage

from runner.api import Run
from runner.api_records import Changes
from runner.run_folder import HEARTBEAT, LOST
from runner.run_status import RunState, RunStatus


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


def test_a_copy_of_a_salvaged_run_is_as_new_as_it_and_tells_the_same_losses(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    stage.session()
    salvaged = Run.open(stage.run.salvage().run, stage.state_dir)
    copy = Run(salvaged.backup(stage.folder / "copy").folder)

    assert copy.status() == salvaged.status()
    told = (salvaged.folder / LOST).read_bytes()
    assert (copy.folder / LOST).read_bytes() == told


def test_a_copy_of_a_salvaged_run_at_work_is_dead_and_not_new(stage: Stage) -> None:
    """No sign of life is copied, but a session that was its own."""
    stage.start("a", "b")
    with pytest.raises(Killed):
        stage.session(Script(killed_after=1))
    salvaged, folder = stage.run.salvage().folder, stage.run.folder
    shutil.rmtree(folder)
    salvaged.rename(folder)
    copy = stage.folder / "copy"

    def copied(_: RunStatus) -> None:
        if not copy.exists():
            stage.run.backup(copy)

    stage.session(on_status=copied)
    assert Run(copy).status().state is RunState.DEAD


def test_a_session_whose_note_is_lost_gives_its_number_to_no_other(
    stage: Stage,
) -> None:
    """The next one would write over the note of one that is there."""
    stage.start("a", "b", "c", "d")
    for _ in range(3):
        stage.session(changes=Changes(limit=1))
    database = stage.run.folder / "shard-00" / "cache.db"
    with contextlib.closing(sqlite3.connect(database)) as damaged:
        damaged.execute("DELETE FROM Cache WHERE key = 's/000002'")
        damaged.commit()
    salvaged = Run.open(stage.run.salvage().run, stage.state_dir)
    assert salvaged.status().state is RunState.NEW

    stage.session()

    assert [1, 3, 4] == [session["session"] for session in stage.sessions()]
