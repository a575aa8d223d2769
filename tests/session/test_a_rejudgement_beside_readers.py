"""An export and a backup take no lock: a rejudgement may begin while they read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_stage import Stage

from runner.api import Run
from runner.api_records import Changes
from runner.errors import RunChanged
from runner.session import backing_up, exporting

ALL, NONE = Changes(valid_regex="row"), Changes(valid_regex="never")


@pytest.fixture
def judged(stage: Stage) -> Stage:
    """Three items, once judged anew already: all are valid."""
    stage.start("a", "b", "c")
    stage.session()
    stage.run.rejudge(NONE)
    stage.run.rejudge(ALL)
    return stage


def before(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, do: Callable[[], Any]
) -> None:
    """Have something else happen just before a function of that module is called."""
    real, left = getattr(where, name), [do]

    def called(*words: Any, **named: Any) -> Any:
        while left:
            left.pop()()
        return real(*words, **named)

    monkeypatch.setattr(where, name, called)


def test_verdicts_that_come_while_files_are_written_are_not_in_them(
    judged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, exporting, "export", lambda: judged.run.rejudge(NONE))
    summary = judged.run.export()
    assert (summary.valid, summary.invalid) == (3, 0)


def test_a_rejudgement_that_ended_while_the_run_was_opened_is_told(
    judged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of the run is of before, the verdicts are of after."""
    before(monkeypatch, exporting, "read_status", lambda: judged.run.rejudge(NONE))
    with pytest.raises(RunChanged, match="changed while it was being read"):
        judged.run.export()
    assert judged.run.export().invalid == 3


def test_a_backup_has_the_rules_of_its_verdicts(
    judged: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before(monkeypatch, backing_up, "_copy_file", lambda: judged.run.rejudge(NONE))
    copy = Run(judged.run.backup(tmp_path / "copy").folder)
    assert copy.config.task.valid_regex == "never"
    assert copy.status().totals.invalid == 3
