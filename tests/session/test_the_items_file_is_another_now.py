"""Commands that read the items later say truly what is wrong with the file."""

from collections.abc import Callable
from typing import Any

import pytest
from session_stage import Stage

from runner.errors import RunChanged

Command = Callable[[Stage], Any]


def export(stage: Stage) -> Any:
    return stage.run.export()


def rejudge(stage: Stage) -> Any:
    return stage.run.rejudge()


def show(stage: Stage) -> Any:
    return stage.run.show("line:2")


def resume(stage: Stage) -> Any:
    return stage.session()


def night_of(stage: Stage) -> None:
    """A finished run of three items."""
    stage.start("a", "b", "c")
    stage.session()


@pytest.mark.parametrize("command", [export, show])
def test_a_line_edited_hours_ago_is_named_with_both_ways_on(
    stage: Stage, command: Command
) -> None:
    """Nobody was reading the file then: nothing is said of that."""
    night_of(stage)
    stage.write_items("a", "x", "c")
    with pytest.raises(RunChanged) as raised:
        command(stage)
    assert (
        f"{stage.items_path}:2: the items file has changed since the run began:"
        " put it back as it was, or `runner resume --accept-changes`"
    ) == str(raised.value)
    assert 5 == raised.value.exit_code


@pytest.mark.parametrize("command", [export, rejudge, show, resume])
def test_an_items_file_that_is_gone_is_said_to_be_needed(
    stage: Stage, command: Command
) -> None:
    night_of(stage)
    stage.items_path.unlink()
    with pytest.raises(RunChanged) as raised:
        command(stage)
    assert (
        f"{stage.items_path}: no such file, and the run needs its items:"
        " put the file back there as it was, then do this again"
    ) == str(raised.value)
