"""Items that a run has asked already are not paid for again under another spelling."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api import Run
from runner.errors import RunExists


def through_a_folder(path: Path) -> Path:
    """`sub/../items.jsonl`."""
    (path.parent / "sub").mkdir()
    return path.parent / "sub" / ".." / path.name


def a_link(path: Path) -> Path:
    """A symbolic link to it."""
    link = path.with_name("linked.jsonl")
    link.symlink_to(path)
    return link


def a_second_name(path: Path) -> Path:
    """A hard link to it."""
    second = path.with_name("second.jsonl")
    os.link(path, second)
    return second


def a_linked_folder(path: Path) -> Path:
    """Its folder by another name."""
    (path.parent / "link").symlink_to(path.parent)
    return path.parent / "link" / path.name


@pytest.mark.parametrize(
    "spelled", [through_a_folder, a_link, a_second_name, a_linked_folder]
)
def test_a_second_run_on_the_same_file_is_refused(
    stage: Stage, spelled: Callable[[Path], Path]
) -> None:
    stage.start("a", "b")
    config = stage.config(items_path=spelled(stage.config().items_path))
    with pytest.raises(RunExists, match="runner resume items"):
        Run.start(config, name="other", state_dir=stage.state_dir)
