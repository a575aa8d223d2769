"""`runner rejudge`: what is said of it, how it is broken off, how a rule is dropped."""

from dataclasses import replace
from pathlib import Path

import pytest
from cli_builders import a_config, a_status
from cli_stage import Stage

from runner.api_records import Changes, Rejudged
from runner.cli import main
from runner.config import TaskSpec
from runner.records import Totals

START = ["start", "articles.jsonl", "--prompt", "{{text}}", "--model", "gpt-x"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def night(stage: Stage) -> Stage:
    stage.config = a_config()
    return stage


def test_a_rejudgement_that_is_interrupted_says_how_to_do_the_rest(
    night: Stage, capfd: Captured
) -> None:
    night.raises, night.raises_in = KeyboardInterrupt(), "rejudge"
    assert 130 == main(["rejudge", "--choices", "a,b"])
    assert "the same command does all of it" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (42, "42 items have another answer"),
        (1, "1 item has another answer"),
        (0, "0 items have another answer"),
    ],
)
def test_answers_that_changed_are_told_although_all_are_valid_as_before(
    night: Stage, capfd: Captured, other: int, words: str
) -> None:
    night.rejudged = Rejudged(
        judged=90, changed_to_valid=0, changed_to_invalid=0, another_answer=other
    )
    main(["rejudge"])
    assert f"0 items became invalid, {words}\n" in capfd.readouterr().out


def test_asking_invalid_items_is_proposed_only_where_there_are_some(
    night: Stage, capfd: Captured
) -> None:
    main(["rejudge"])
    assert "--retry-invalid" not in capfd.readouterr().out
    night.statuses = [a_status(totals=Totals(valid=3, invalid=1))]
    main(["rejudge"])
    assert (
        "ask invalid ones runner resume articles --retry-invalid\n"
        in capfd.readouterr().out
    )


def test_an_empty_rule_drops_it(night: Stage) -> None:
    told = ["--schema", "", "--valid-regex", "", "--choices", ""]
    main(["rejudge", *told])
    dropped = Changes(dropped_rules=("schema", "valid_regex", "choices"))
    assert dropped == night.given("rejudge")["changes"]
    main(["resume", "--accept-changes", "--choices", ""])
    assert Changes(dropped_rules=("choices",)) == night.given("work")["changes"]


@pytest.mark.parametrize("option", ["--schema", "--valid-regex", "--choices"])
def test_a_run_that_begins_has_no_rule_to_drop(
    stage: Stage, capfd: Captured, option: str
) -> None:
    """An empty variable of the shell is told of, and starts no night without rules."""
    assert 2 == main([*START, option, ""])
    assert f"runner: {option} is empty" in capfd.readouterr().err
    assert [] == stage.told


def test_the_rules_in_force_are_named_before_a_session_and_after_a_rejudgement(
    night: Stage, capfd: Captured, tmp_path: Path
) -> None:
    task = tmp_path / "task.py"
    task.write_text("def is_response_valid(response): return True\n")
    assert night.config
    spec = TaskSpec(
        task_path=task, model="gpt-x", choices=("yes", "no"), valid_regex="^y"
    )
    night.config = replace(night.config, task=spec)
    words = "choices yes|no, pattern ^y, is_response_valid of task.py"
    main(["resume", "articles"])
    assert f"\n  rules   {words}\n" in capfd.readouterr().err
    main(["rejudge"])
    assert f"\n  by the rules     {words}\n" in capfd.readouterr().out


def test_a_run_without_rules_names_none(night: Stage, capfd: Captured) -> None:
    main(["resume", "articles"])
    assert "\n  rules " not in capfd.readouterr().err
    main(["rejudge"])
    assert "by the rules     none but the default\n" in capfd.readouterr().out


@pytest.mark.parametrize("command", ["rejudge", "resume"])
def test_the_help_says_how_a_rule_is_dropped(command: str, capfd: Captured) -> None:
    assert 0 == main([command, "--help"])
    assert "as in --choices ''" in " ".join(capfd.readouterr().out.split())
