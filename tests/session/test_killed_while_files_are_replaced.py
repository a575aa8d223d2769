"""Killed among the renames of an export, a run knows its own files again."""

import errno
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from session_stage import Killed, Script, Stage

from runner.durable import write_json
from runner.errors import OutputError
from runner.run_folder import EXPORTS, EXPORTS_ROOM

SUFFIXES = ("_processed.jsonl", "_failed.jsonl", "_summary.json")
RENAMES = 5
"""The note of what is to come, three files, the note that it has come."""


def export_killed_at(stage: Stage, at: int) -> bool:
    """Export in a child that is killed before its `at`-th rename; if it came so far."""
    child = os.fork()
    if not child:
        real, done = os.replace, 0

        def replace(source: Any, target: Any, **more: Any) -> None:
            nonlocal done
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            real(source, target, **more)

        pytest.MonkeyPatch().setattr(os, "replace", replace)
        try:
            stage.run.export()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def answered_further(stage: Stage) -> None:
    """Exported after the first of three answers; the others came since."""
    stage.start("a", "b", "c")
    with pytest.raises(Killed):
        stage.session(Script(killed_after=1))
    stage.run.export()
    kept = {path: path.read_bytes() for path in targets(stage)}
    note = (stage.run.folder / EXPORTS).read_bytes()
    stage.session()
    for path, content in kept.items():
        path.write_bytes(content)
    (stage.run.folder / EXPORTS).write_bytes(note)


def targets(stage: Stage) -> list[Path]:
    """The three files."""
    return [stage.folder / f"items{suffix}" for suffix in SUFFIXES]


@pytest.mark.parametrize("at", range(RENAMES))
def test_a_kill_among_the_renames_is_in_the_way_of_nothing(
    stage: Stage, at: int
) -> None:
    """Neither of the next export nor of a resume; nobody has to move files away."""
    answered_further(stage)
    assert export_killed_at(stage, at)
    stage.session()
    assert export_killed_at(stage, at)
    stage.run.export()

    assert len(targets(stage)[0].read_text().splitlines()) == 3
    noted = json.loads((stage.run.folder / EXPORTS).read_text())
    assert sorted(noted) == sorted(str(path) for path in targets(stage))
    assert all("before" not in entry for entry in noted.values())


def test_a_file_of_somebody_else_is_none_of_ours_after_a_kill(stage: Stage) -> None:
    """What was about to be replaced is known, and nothing else is."""
    answered_further(stage)
    assert export_killed_at(stage, 2)
    targets(stage)[1].write_text("mine")

    with pytest.raises(OutputError, match="not as this run wrote it"):
        stage.run.export()
    assert targets(stage)[1].read_text() == "mine"


def test_an_export_makes_five_renames(stage: Stage) -> None:
    """Each of them is tried above."""
    answered_further(stage)
    assert not export_killed_at(stage, RENAMES)


def test_a_full_disk_leaves_room_for_the_note(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The files went to another disk: neither a resume nor an export refuses them."""
    answered_further(stage)
    for path in targets(stage):
        path.unlink()
    room = stage.run.folder / EXPORTS_ROOM
    assert room.stat().st_blocks * 512 >= 64 * 1024

    def write(path: Path, value: Any) -> None:
        if room.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, value)

    with monkeypatch.context() as full:
        full.setattr("runner.session.noting.write_json", write)
        stage.run.export()
    assert "cannot be written" not in caplog.text

    stage.run.export()
    stage.session()
    assert len(targets(stage)[0].read_text().splitlines()) == 3


def test_a_session_sets_the_room_aside_again(stage: Stage) -> None:
    """What one full disk took is there for the next one."""
    stage.start("a", "b")
    with pytest.raises(Killed):
        stage.session(Script(killed_after=1))
    room = stage.run.folder / EXPORTS_ROOM
    # As of a session that was killed at just that: no process has number 2**22.
    room.rename(room.with_name(f".{room.name}.{2**22}-00.tmp"))

    stage.session()
    assert room.stat().st_size == 64 * 1024
    assert [] == list(stage.run.folder.glob(".*.tmp"))


def test_a_note_that_cannot_be_written_is_said_once_with_what_follows(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a disk that is only read, with --out on another one."""
    answered_further(stage)
    for path in targets(stage):
        path.unlink()

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("runner.session.noting.write_json", refuse)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "runner"):
        stage.run.export()

    assert all(path.exists() for path in targets(stage))
    note = (
        f"{stage.run.folder / EXPORTS} cannot be written (Read-only file system): the"
        " next export takes these files for somebody else's, and needs --overwrite"
    )
    assert [note] == [record.getMessage() for record in caplog.records]
