"""A run that is begun in one folder and goes on from another."""

import dataclasses
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api import Run
from runner.config import TaskSpec


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
