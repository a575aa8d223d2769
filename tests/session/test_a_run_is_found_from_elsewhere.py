"""Which run is meant: from another folder, among others, among other people's."""

import dataclasses
import errno
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api import Run
from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.config import TaskSpec, default_output
from runner.errors import UsageError


def test_a_task_file_that_changes_the_working_directory_changes_nothing_else(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that wants to find its own files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    task_path = tmp_path / "mine.py"
    task_path.write_text(
        f"import os\nos.chdir({str(elsewhere)!r})\n"
        "def get_prompt(item): return str(item['id'])\n"
    )
    stage.write_items("a")
    monkeypatch.chdir(tmp_path)
    spec = TaskSpec(model="m", task_path=task_path)

    run = Run.start(stage.config(task=spec), state_dir=Path("state"))

    assert Path.cwd() == elsewhere
    assert run.folder.is_relative_to(tmp_path / "state")
    assert run.status().totals.begun == 0
    assert [] == list((tmp_path / "state").glob(".runner-start*"))


def test_the_keys_file_is_found_from_any_folder(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a task file and the items are."""
    stage.write_items("a")
    monkeypatch.chdir(tmp_path)
    config = stage.config()
    service = dataclasses.replace(config.service, api_key_path=Path("key.txt"))

    run = Run.start(
        dataclasses.replace(config, service=service), state_dir=stage.state_dir
    )

    assert run.config.service.api_key_path == tmp_path / "key.txt"


def test_the_run_that_is_being_worked_on_is_the_one_to_stop(stage: Stage) -> None:
    """Not the latest: that may be at rest while another one spends."""
    stage.write_items("a")
    older, newer = (
        Run.start(
            stage.config(output=default_output(stage.items_path, stage.folder / name)),
            name=name,
            state_dir=stage.state_dir,
            new=True,
        )
        for name in ("older", "newer")
    )
    assert Run.at_work(stage.state_dir) is None

    lock = RunLock(older.folder, 1.0)
    at_work = Run.at_work(stage.state_dir)
    assert at_work is not None
    assert "older" == at_work.name

    another = RunLock(newer.folder, 1.0)
    with pytest.raises(UsageError, match="newer, older"):
        Run.at_work(stage.state_dir)
    lock.release()
    another.release()


def test_a_folder_of_another_account_is_passed_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run as root is in nobody's way."""
    stage.write_items("a")
    theirs = Run.start(stage.config(), name="theirs", state_dir=stage.state_dir)
    load = Manifest.load

    def closed(folder: Path) -> Manifest:
        if folder.name == "theirs":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return load(folder)

    monkeypatch.setattr(Manifest, "load", closed)
    output = default_output(stage.items_path, stage.items_path.with_name("mine.jsonl"))
    mine = Run.start(
        stage.config(output=output), name="mine", state_dir=stage.state_dir
    )

    assert mine.folder.is_dir()
    assert "mine" == Run.open(None, stage.state_dir).name
    assert theirs.folder.is_dir()
