"""Prompts and answers are for the user who asked: so is every file of a run."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api import Run
from runner.run_folder import LOG, LOST


@pytest.fixture(params=[0, 0o022])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Too open, and usual."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> set[str]:
    """Files and folders of a run that are not for their owner alone."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes
    return {
        path.name
        for path, mode in modes.items()
        if mode != (0o700 if path.is_dir() else 0o600)
    }


@pytest.mark.usefixtures("_umask")
def test_a_log_that_took_the_place_of_a_full_one_is_private(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.session.working._LOG_BYTES", 100)
    stage.start("a", "b")
    stage.session()
    logs = sorted(stage.run.folder.glob(f"{LOG}*"))

    assert [path.name for path in logs[:2]] == [LOG, f"{LOG}.1"]
    assert "session begins" in "".join(path.read_text() for path in logs)
    assert open_to_others(stage.run.folder) == set()


@pytest.mark.usefixtures("_umask")
def test_what_a_salvage_writes_is_private(stage: Stage) -> None:
    """Lines left out hold the user's words, and losses the names of records."""
    stage.write_items("a")
    with stage.items_path.open("a") as items:
        items.write("no item\n")
    Run.start(stage.config(on_bad_line="skip"), state_dir=stage.state_dir)
    made = Run.open("items", stage.state_dir).salvage().folder

    assert (made / "rejected.jsonl").stat().st_size
    assert (made / LOST).exists()
    assert open_to_others(made) == set()
