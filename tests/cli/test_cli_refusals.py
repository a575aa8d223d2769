"""Every option that makes no sense: exit 2, one line, before anything happens."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import a_config
from cli_stage import KEY, Stage

from runner import api
from runner.cli import main
from runner.config import TaskSpec

Refuse = Callable[[list[str]], str]
_MODEL = ["--model", "gpt-x"]
START = ["start", "articles.jsonl", "--prompt", "{{text}}", *_MODEL]

_NUMBERS = ("0", "-1", "abc", "", "nan", "inf", "1.5", "1e3", "9" * 30, "٣", "0x10")
_WHOLE = ("--rpm", "--tpm", "--workers", "--threads", "--max-requests", "--limit")
_TIMES = ("0", "-1", "abc", "", "nan", "inf", "1e3", "6 weeks", "9" * 30, "1h-5m")
_MONEY = ("0", "-1", "abc", "", "nan", "inf", "1e3", "9" * 30, "5€", "1,50", "0.00")
_SIZES = ("-1", "abc", "", "nan", "inf", "1e3", "2 XiB", "9" * 30, "GiB")

_NONSENSE = [
    *[(option, value) for option in _WHOLE for value in _NUMBERS],
    *[(option, v) for option in ("--timeout", "--give-up-after") for v in _TIMES],
    *[("--max-cost", value) for value in _MONEY],
    *[("--min-free", value) for value in _SIZES],
    ("--endpoint", "completions"),
    ("--endpoint", ""),
    ("--on-bad-line", "ignore"),
    ("--choices", "a,,b"),
    ("--choices", "a,a"),
    ("--choices", " "),
    ("--param", "temperature"),
    ("--param", "=1"),
    ("--param", "stop=text"),
    ("--param", "temperature=NaN"),
    ("--param", "temperature=1e999"),
    ("--param", "a={"),
    ("--price", "gpt-x"),
    ("--price", "gpt-x=1"),
    ("--price", "gpt-x=-1,0,1"),
    ("--price", "gpt-x=nan,0,1"),
    ("--out", ""),
    ("--out", "."),
    ("--out", ".."),
    ("--out", "/"),
    ("--out", "folder/"),
    ("--out", "-"),
    ("--name", ""),
    ("--result-key", " "),
    ("--id-field", ""),
    ("--state-dir", ""),
    ("--prompt-file", ""),
    ("--scenario", "latency=-1"),
    ("--scenario", "no_such_setting=1"),
]


@pytest.mark.parametrize(("option", "value"), _NONSENSE)
def test_nonsense_is_refused_in_one_line_that_names_the_option(
    refuse: Refuse, option: str, value: str
) -> None:
    assert option in refuse([*START, f"{option}={value}"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start"], "missing argument 'ITEMS'"),
        (["start", "a", "b"], "extra argument"),
        ([*START, "--no-such"], "no such option: --no-such"),
        ([*START, "--rpm"], "--rpm"),
        (["strat"], "did you mean 'start'"),
        (["show"], "missing argument '[RUN] ITEM'"),
        (["show", "a", "b", "c"], "show takes [RUN] ITEM"),
        (["export", "--format", "csv"], "jsonl, answers, batch"),
        (["resume", "--rpm", "0"], "--rpm"),
        (["rejudge", "--choices", "a,a"], "--choices"),
        ([*START, "--prompt-file", "p.txt"], "--prompt and --prompt-file"),
        ([*START, "--task", "t.py"], "--prompt and --task"),
        ([*START, "--param", "a=1", "--param", "a=2"], "--param a is given twice"),
        ([*START, "--simulate", "--base-url", "http://x/v1"], "--base-url"),
        ([*START, "--api-key-env", "A", "--api-key-file", "b"], "keep one of them"),
        (["resume", "--api-key-env", "A", "--api-key-file", "b"], "keep one of them"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    refuse: Refuse, arguments: list[str], words: str
) -> None:
    assert words in refuse(arguments)


_TYPO = ["--price", "gpt-y=1,1,1"]


@pytest.mark.parametrize("command", [START, [*START, "--dry-run"], ["resume"]])
def test_the_price_of_a_model_that_is_not_asked_is_refused_with_both_names(
    refuse: Refuse, stage: Stage, command: list[str]
) -> None:
    """It would price nothing: the cost would be unknown in the morning."""
    stage.config = a_config(task=TaskSpec(prompt="{{text}}", model="gpt-x"))
    said = refuse([*command, "--price", "GPT-X=1,1,1", *_TYPO])
    assert "--price names gpt-y, but --model gpt-x is asked" in said


@pytest.mark.parametrize(
    "more",
    [
        ["--price", "gpt-x=1,1,1", "--price", "gpt-x-2026-08-06=1,1,1"],
        [*_TYPO, "--param", 'models=["gpt-y"]'],
        [*_TYPO, "--model", "openrouter/auto"],
    ],
)
def test_prices_of_models_that_may_answer_are_taken(
    stage: Stage, more: list[str]
) -> None:
    words = [word for word in START if "--model" not in more or word not in _MODEL]
    assert 0 == main([*words, "--dry-run", *more])
    assert stage.told


def test_a_task_file_may_choose_among_models_with_prices(stage: Stage) -> None:
    words = ["start", "articles.jsonl", "--task", "t.py", *_MODEL, "--dry-run"]
    assert 0 == main([*words, *_TYPO])
    assert stage.told


@pytest.mark.parametrize(
    ("command", "option", "values"),
    [
        (START, "--prompt", ["{{a}}"]),
        (START, "--rpm", ["5", "5"]),
        (["resume"], "--max-cost", ["1", "2"]),
        (["status"], "--state-dir", ["a", "b"]),
        (["rejudge"], "--choices", ["a,b", ""]),
    ],
)
def test_an_option_with_one_value_is_taken_once(
    refuse: Refuse, command: list[str], option: str, values: list[str]
) -> None:
    given = [f"{option}={value}" for value in values]
    said = refuse([*command, *given])
    assert f"{option} is given twice: keep one of them" in said


def test_what_may_be_said_often_may_be_said_twice(stage: Stage) -> None:
    often = ["--param", "a=1", "--param", "b=2", "--yes", "--yes"]
    assert 0 == main([*START, "--dry-run", *often])
    assert {"a": 1, "b": 2} == stage.given("plan")["config"].task.params


def test_a_folder_of_another_account_is_told_in_one_line(
    stage: Stage, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the key is at hand: that is no reason to call it a bug of ours."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "state/a/run.lock")

    monkeypatch.setattr(api.Run, "start", denied)

    assert 5 == main(START)

    said = capfd.readouterr().err
    assert "runner: state/a/run.lock: Permission denied: use the account" in said
    assert "Traceback" not in said
    assert [] == stage.told


@pytest.mark.parametrize("command", ["start", "resume", "rejudge", "stop"])
def test_a_disk_that_is_only_read_is_told_alike_by_every_command(
    stage: Stage,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """It is not full, and no other account can help."""

    def denied(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "state/a/run.lock")

    monkeypatch.setattr(stage, "tell", denied)
    assert 5 == main(START if command == "start" else [command])
    assert (
        "runner: state/a/run.lock cannot be written: Read-only file system:"
        " mount its disk for writing, or use another --state-dir\n"
    ) == capfd.readouterr().err


def test_a_string_without_quotes_is_shown_with_them(refuse: Refuse) -> None:
    assert """--param 'stop="end"'""" in refuse([*START, "--param", "stop=end"])


@pytest.mark.parametrize("form", [["--api-key", KEY], [f"--api-key={KEY}"]])
@pytest.mark.parametrize("command", [START, ["resume"]])
def test_a_key_given_as_an_option_is_refused_and_the_reason_said(
    refuse: Refuse, command: list[str], form: list[str]
) -> None:
    said = refuse([*command, *form])
    assert "list of processes" in said
    assert "--api-key-file" in said
    assert KEY not in said


def test_a_key_behind_a_mistyped_option_is_not_repeated(refuse: Refuse) -> None:
    for form in ([f"--apikey={KEY}"], ["--key", KEY], [f"--api-kye={KEY}"]):
        assert KEY not in refuse([*START, *form])


def test_without_a_key_all_ways_to_give_one_are_named(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    said = refuse(START)
    for way in ("OPENAI_API_KEY", "--api-key-env", "--api-key-file", "--simulate"):
        assert way in said


def test_a_key_file_that_others_can_read_is_refused(
    refuse: Refuse, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    said = refuse([*START, "--api-key-file", str(path)])
    assert f"chmod 600 {path}" in said
    assert KEY not in said


def test_without_a_command_the_help_is_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert 2 == main([])
    assert "start" in capfd.readouterr().err


@pytest.mark.parametrize("place", [["--api-key-file", "no"], ["--api-key-env", "NO"]])
def test_a_dry_run_looks_for_the_key_where_it_is_said_to_be(
    refuse: Refuse, place: list[str]
) -> None:
    assert place[1] in refuse([*START, "--dry-run", *place])


def test_items_from_a_pipe_are_refused_with_what_to_do_instead(refuse: Refuse) -> None:
    assert "write them into one first" in refuse(["start", "-", *START[2:]])
