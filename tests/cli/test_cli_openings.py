"""What is said before a session, and that nothing is said of one that is refused."""

from dataclasses import replace

import pytest
from cli_builders import a_config, a_finish, a_status
from cli_stage import KEY, Stage

from runner.api_records import Unresolved
from runner.cli import main
from runner.errors import ItemFileError, RunChanged, RunLocked
from runner.records import Totals
from runner.run_status import StopKind

START = ["start", "articles.jsonl", "--prompt", "{{text}}", "--model", "gpt-x"]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("kind", [RunLocked, RunChanged])
def test_a_refused_resume_announces_nothing(
    stage: Stage, capfd: Captured, kind: type[RunLocked]
) -> None:
    stage.config = a_config()
    stage.unresolved = Unresolved(count=2, worst_usd=None, first_items=("a", "b"))
    stage.raises = kind("run articles cannot go on", "mend it")
    assert 5 == main(["resume"])
    assert "runner: run articles cannot go on: mend it\n" == capfd.readouterr().err


def test_a_resume_that_goes_on_announces_what_it_does(
    stage: Stage, capfd: Captured
) -> None:
    stage.config = a_config()
    main(["resume"])
    said = capfd.readouterr().err
    assert said.startswith(
        "run articles: 10 items of articles.jsonl, 4 done, 6 to go\n"
    )


@pytest.mark.parametrize(
    ("anew", "told"),
    [
        (3, "7 done, 3 to go (3 of them asked again)"),
        (10, "0 done, 10 to go (10 of them asked again)"),
        (0, "10 done, 0 to go"),
    ],
)
def test_what_is_asked_anew_counts_as_to_do(
    stage: Stage, capfd: Captured, anew: int, told: str
) -> None:
    """What an interrupted retry has left, and what this one adds to it."""
    stage.config = a_config()
    finished = a_status(totals=Totals(valid=6, invalid=3, failed=1))
    stage.statuses = [replace(finished, stopped_because=None, anew=anew)]
    main(["resume"])
    assert f"10 items of articles.jsonl, {told}\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "prices  none known for gpt-x at this server (--price)"),
        (["--price", "gpt-x=1,1,1"], "prices  --price gpt-x, otherwise genai-prices"),
    ],
)
def test_a_start_says_whether_it_knows_a_price_while_one_can_still_be_given(
    stage: Stage, capfd: Captured, more: list[str], words: str
) -> None:
    main([*START, "--base-url", "http://127.0.0.1:9/v1", *more])
    assert words in capfd.readouterr().err


def test_a_missing_key_hides_no_other_mistake(
    stage: Stage, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert 2 == main(START)
    assert "no API key" in capfd.readouterr().err
    stage.raises, stage.raises_in = ItemFileError("articles.jsonl:7: not JSON"), "plan"
    assert 2 == main(START)
    said = capfd.readouterr().err
    assert "runner: articles.jsonl:7: not JSON\n" == said


def test_a_dry_run_is_told_where_the_run_would_be(stage: Stage) -> None:
    assert 0 == main([*START, "--dry-run", "--name", "mine", "--new"])
    told = stage.given("plan")
    assert ("mine", True) == (told["name"], told["new"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["strat"], "no such command 'strat', did you mean 'start', 'status'? See"),
        (["start", "x.jsonl", "--promt", "y"], "--prompt-file? See `runner start"),
        (["start", "x.jsonl", "--zzzzzz"], "no such option: --zzzzzz: see `runner"),
    ],
)
def test_a_slip_of_the_pen_is_told_what_was_meant(
    stage: Stage, capfd: Captured, words: list[str], says: str
) -> None:
    assert 2 == main(words)
    assert says in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "it came from the variable OPENAI_API_KEY; --api-key-env and"),
        (["--api-key-env", "MINE"], "it came from the variable MINE"),
    ],
)
def test_a_stop_for_a_bad_key_names_where_the_key_was(
    stage: Stage,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.setenv("MINE", KEY)
    stage.finish = a_finish(StopKind.DENIED)
    assert 4 == main([*START, *words])
    said = capfd.readouterr().err
    assert f"  key      {says}" in said
    assert "  go on    runner resume articles\n" in said
    assert KEY not in said
