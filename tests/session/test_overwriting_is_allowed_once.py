"""`start --overwrite` is said of the files that are there then, not of later ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api_records import Changes
from runner.errors import OutputError

SUFFIXES = ("_processed.jsonl", "_failed.jsonl", "_summary.json")


@pytest.fixture
def answers(stage: Stage) -> Path:
    """A run that may write over three files of somebody's, half answered."""
    for suffix in SUFFIXES:
        (stage.folder / f"items{suffix}").write_text("from last year\n")
    output = replace(stage.config().output, overwrite=True)
    stage.start("a", "b", output=output)
    stage.session(changes=Changes(limit=1))
    return output.processed_path


def edited(path: Path) -> bytes:
    with path.open("a") as stream:
        stream.write("a line of the user's\n")
    return path.read_bytes()


@pytest.mark.parametrize(
    "write", [lambda stage: stage.run.export(), lambda stage: stage.session()]
)
def test_what_was_written_once_and_edited_since_is_not_replaced_unasked(
    stage: Stage, answers: Path, write: Callable[[Stage], object]
) -> None:
    stage.run.export()
    kept = edited(answers)
    asked = len(stage.engines)

    with pytest.raises(OutputError, match="not as this run wrote it"):
        write(stage)

    assert kept == answers.read_bytes()
    assert asked == len(stage.engines)
    stage.run.export(overwrite=True)
    assert b"user's" not in answers.read_bytes()


def test_until_then_it_holds_whatever_is_written_elsewhere(
    stage: Stage, answers: Path
) -> None:
    stage.run.export(processed_path=stage.folder / "a.jsonl")
    stage.session()
    assert b"last year" not in answers.read_bytes()


def test_it_is_said_of_the_runs_own_files_alone(stage: Stage, answers: Path) -> None:
    other = answers.with_name("b.jsonl")
    other.write_text("mine")
    with pytest.raises(OutputError, match="not as this run wrote it"):
        stage.run.export(processed_path=other)
    assert "mine" == other.read_text()
