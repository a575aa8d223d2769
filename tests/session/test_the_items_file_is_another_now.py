"""Commands that read the items later say truly what is wrong with the file."""

import json
import stat
from collections.abc import Callable
from typing import Any

import pytest
from session_stage import Stage

from runner.api import Run
from runner.api_records import Changes
from runner.config import Format, default_output
from runner.errors import OutputError, RunChanged

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
        " put it back as it was, or `runner resume --accept-changes` (for the answers"
        " alone: `runner export --format answers`)"
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
        " put it back as it was, or say where it is by now, and where answers go:"
        " runner resume RUN --items F --out F (for the answers alone it is not needed:"
        " runner export RUN --format answers)"
    ) == str(raised.value)


@pytest.mark.parametrize("becomes", ["gone", "edited"])
def test_the_answers_can_be_had_without_the_items_they_were_given_for(
    stage: Stage, becomes: str
) -> None:
    """They are paid for, and whole in the run's folder."""
    night_of(stage)
    if becomes == "edited":
        stage.write_items("x", "y")
    else:
        stage.items_path.unlink()
    summary = stage.run.export(format=Format.ANSWERS)
    written = stage.folder / "items_answers.jsonl"
    told = [json.loads(line) for line in written.read_bytes().splitlines()]
    assert [(1, 0), (2, 1), (3, 2)] == [(each["line"], each["id"]) for each in told]
    assert [True] * 3 == [each["valid"] for each in told]
    assert (3, "answers") == (summary.valid, summary.format)


def test_new_files_are_private_where_nobody_can_say_how_private_the_items_were(
    stage: Stage,
) -> None:
    night_of(stage)
    stage.items_path.unlink()
    stage.run.export(format=Format.ANSWERS)
    written = stage.folder / "items_answers.jsonl"
    assert 0o600 == stat.S_IMODE(written.stat().st_mode)


def test_items_that_were_moved_are_found_where_they_are_said_to_be(
    stage: Stage,
) -> None:
    """Nothing else has changed: nobody is asked twice, and it is remembered."""
    stage.start("a", "b", "c")
    stage.session(changes=Changes(limit=1))
    elsewhere = stage.folder / "moved" / "questions.jsonl"
    elsewhere.parent.mkdir()
    stage.items_path.rename(elsewhere)

    stage.session(changes=Changes(items_path=elsewhere))
    assert [len(engine.asked) for engine in stage.engines] == [1, 2]
    assert stage.run.config.items_path == elsewhere
    written = stage.folder / "items_processed.jsonl"
    assert len(written.read_text().splitlines()) == 3


def test_other_items_in_another_place_are_a_change_as_ever(stage: Stage) -> None:
    stage.start("a", "b", "c")
    stage.write_items("a", "x", "c")
    elsewhere = stage.items_path.rename(stage.folder / "questions.jsonl")
    with pytest.raises(RunChanged, match=r"questions\.jsonl changed since"):
        stage.session(changes=Changes(items_path=elsewhere))
    assert stage.run.config.items_path == stage.items_path


def test_a_resume_writes_where_it_is_told_from_now_on(stage: Stage) -> None:
    stage.start("a", "b")
    out = stage.folder / "answers" / "night.jsonl"
    with pytest.raises(OutputError, match=r"mkdir -p .*--out"):
        stage.session(changes=Changes(processed_path=out))
    out.parent.mkdir()
    stage.session(changes=Changes(processed_path=out))
    assert len(out.read_text().splitlines()) == 2
    assert out.with_name("night_summary.json").exists()
    assert not stage.folder.joinpath("items_processed.jsonl").exists()


def test_a_resume_does_not_write_over_another_run(stage: Stage) -> None:
    night_of(stage)
    theirs = stage.run.config.output.processed_path
    other = stage.folder / "other.jsonl"
    other.write_text('{"id": 1, "text": "d"}\n')
    config = stage.config(items_path=other, output=default_output(other))
    run = Run.start(config, state_dir=stage.state_dir)
    with pytest.raises(OutputError, match="belongs to run items"):
        run.work(api_key="sk-none", changes=Changes(processed_path=theirs))
