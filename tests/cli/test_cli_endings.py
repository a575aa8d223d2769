"""How commands begin and end: words before, words after, exit codes, errors."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cli_builders import a_config, a_finish, a_plan, a_status, a_summary
from cli_stage import KEY, Stage

from runner.api_records import Unresolved
from runner.cli import main
from runner.config import Pacing, Service
from runner.errors import (
    ItemFileError,
    RunChanged,
    RunExists,
    RunnerError,
    RunNotFound,
    StoreError,
)
from runner.records import Totals
from runner.run_status import RunState, StopKind

START = ["start", "articles.jsonl", "--prompt", "{{text}}", "--model", "gpt-x"]
Captured = pytest.CaptureFixture[str]


def test_a_start_says_what_it_will_do_and_ends_with_the_summary(
    stage: Stage, capfd: Captured
) -> None:
    stage.finish = a_finish(None)
    assert 0 == main(START)
    said = capfd.readouterr()
    for words in (
        "10 items of articles.jsonl",
        "gpt-x (chat)",
        "none known for gpt-x",
        "Ctrl-C",
    ):
        assert words in said.err
    assert "10 valid" in said.out


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (StopKind.INTERRUPTED, 130),
        (StopKind.TERMINATED, 143),
        (StopKind.BUDGET, 4),
        (StopKind.ITEMS, 5),
        (StopKind.LIMIT, 0),
    ],
)
def test_a_stop_ends_with_why_and_the_line_that_goes_on(
    stage: Stage, capfd: Captured, kind: StopKind, code: int
) -> None:
    stage.finish = a_finish(kind)
    assert code == main([*START, "--state-dir", "my runs"])
    said = capfd.readouterr()
    for words in (
        f"because of {kind}",
        "4 of 10",
        "mend it",
        "runner resume articles --state-dir 'my runs'",
        "runner export articles --state-dir 'my runs'",
    ):
        assert words in said.err
    assert "" == said.out


@pytest.mark.parametrize("where", ["start", "work"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ItemFileError("articles.jsonl:7: not JSON", "mend the line"), 2),
        (StoreError("the disk is full", "make room"), 4),
        (RunExists("run articles holds 4 of 10 answers", "runner resume articles"), 5),
        (RunNotFound("there is no run", None), 5),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    stage: Stage, capfd: Captured, error: RunnerError, code: int, where: str
) -> None:
    stage.raises, stage.raises_in = error, where
    assert code == main(START)
    said = capfd.readouterr().err
    assert f"runner: {error}\n" in said
    assert "Traceback" not in said


def test_an_error_in_foreign_words_cannot_touch_the_terminal(
    stage: Stage, capfd: Captured
) -> None:
    stage.raises = StoreError(f"\x1b]0;x\x07\x1b[2Jmodel says {KEY}\u202e")
    assert 4 == main(START)
    said = capfd.readouterr().err
    assert "runner: model says [redacted]\n" in said
    assert "\x1b" not in said


def test_a_difference_is_shown_over_its_lines_with_the_remedy_below(
    stage: Stage, capfd: Captured
) -> None:
    stage.config = a_config()
    stage.raises = RunChanged(
        "prompt changed since this run began:\n  prompt:\n    -a\n    +b\n",
        "go on with --accept-changes",
    )
    assert 5 == main(["resume"])
    assert (
        "runner: prompt changed since this run began:\n  prompt:\n    -a\n    +b\n"
        "go on with --accept-changes\n"
    ) in capfd.readouterr().err


class _WorkerBug(RunnerError):
    """As the supervisor raises it: the message is a traceback."""


@pytest.mark.parametrize("where", ["start", "work"])
@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(f"with {KEY} in it"),
        _WorkerBug(f"Traceback of a worker, with {KEY} in it"),
        BrokenPipeError(32, f"with {KEY} in it"),
    ],
)
def test_a_bug_of_ours_is_a_traceback_without_the_key(
    stage: Stage, capfd: Captured, error: Exception, where: str
) -> None:
    stage.raises, stage.raises_in = error, where
    assert 1 == main(START)
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "with [redacted] in it" in said
    assert "please report it" in said
    assert KEY not in said


@pytest.mark.parametrize("kind", [ZeroDivisionError, _WorkerBug])
def test_a_key_of_an_odd_shape_is_kept_out_of_a_bug_too(
    stage: Stage,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
) -> None:
    monkeypatch.setenv("MINE", "odd/looking+key=")
    stage.raises = kind("with odd/looking+key= in it")
    assert 1 == main([*START, "--api-key-env", "MINE"])
    assert "odd/looking" not in capfd.readouterr().err


def test_ctrl_c_before_anything_was_sent_says_so(stage: Stage, capfd: Captured) -> None:
    stage.raises, stage.raises_in = KeyboardInterrupt(), "start"
    assert 130 == main(START)
    assert "no run was created, nothing was sent" in capfd.readouterr().err


def test_ctrl_c_while_files_are_written_says_how_to_go_on(
    stage: Stage, capfd: Captured
) -> None:
    stage.raises = KeyboardInterrupt()
    assert 130 == main(START)
    assert "runner resume articles goes on" in capfd.readouterr().err


def test_a_dry_run_sends_nothing_and_needs_no_key(
    stage: Stage, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert 0 == main([*START, "--dry-run"])
    assert ["plan"] == [what for what, _ in stage.told]
    assert "nothing was created, nothing was sent" in capfd.readouterr().out


def test_a_resume_says_first_what_may_be_paid_twice(
    stage: Stage, capfd: Captured
) -> None:
    stage.config = a_config()
    stage.unresolved = Unresolved(
        count=2, worst_usd=Decimal("0.02"), first_items=("a-1", "a-2")
    )
    main(["resume"])
    said = capfd.readouterr().err
    assert (
        "2 requests may have been billed without an answer (at most $0.02;"
        " items a-1, a-2): they are asked again"
    ) in said
    assert said.index("asked again") < said.index("because of")


def test_resuming_a_finished_run_is_0_also_where_items_stayed_invalid(
    stage: Stage, capfd: Captured
) -> None:
    done = a_status(state=RunState.FINISHED, totals=Totals(valid=9, invalid=1))
    stage.config, stage.statuses = a_config(), [done]
    stage.finish = replace(a_finish(None, status=done), nothing_left=True)
    assert 0 == main(["resume"])
    said = capfd.readouterr().err
    assert 1 == said.count(" left to do")


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 0), (["--retry-failed"], 2), (["--accept-changes"], 2)],
)
def test_a_run_with_nothing_left_to_send_needs_no_key(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    done = a_status(state=RunState.FINISHED, totals=Totals(valid=9, failed=1))
    stage.config, stage.statuses = a_config(), [done]
    stage.finish = replace(a_finish(None, status=done), nothing_left=True)
    assert code == main(["resume", *words])


def test_a_run_that_finishes_with_invalid_items_is_3(stage: Stage) -> None:
    done = a_status(state=RunState.FINISHED, totals=Totals(valid=9, invalid=1))
    stage.config, stage.statuses = a_config(), [a_status(), done]
    stage.finish = a_finish(None, status=done)
    assert 3 == main(["resume"])


@pytest.mark.parametrize(
    ("url", "is_warned"),
    [
        ("http://api.example.com/v1", True),
        ("https://api.example.com/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://192.168.1.7/v1", False),
        ("http://vllm:8000/v1", False),
    ],
)
def test_a_key_that_would_travel_openly_is_warned_of(
    stage: Stage, capfd: Captured, url: str, is_warned: bool
) -> None:
    main([*START, "--base-url", url])
    assert is_warned == ("is not encrypted" in capfd.readouterr().err)


def test_the_proxy_is_shown_without_its_password(
    stage: Stage, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass@proxy.local:3128/")
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.delenv("no_proxy", raising=False)
    main(START)
    said = capfd.readouterr().err
    assert "through proxy http://proxy.local:3128" in said
    assert "pass" not in said
    main([*START, "--base-url", "https://localhost/v1"])
    assert "proxy" not in capfd.readouterr().err
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.local:3128/")
    main([*START, "--simulate"])
    assert "proxy" not in capfd.readouterr().err


def test_a_resume_keeps_to_its_server_and_says_so(
    stage: Stage, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.config = a_config(service=Service(base_url="https://one.example/v1"))
    monkeypatch.setenv("OPENAI_BASE_URL", "https://two.example/v1")
    main(["resume"])
    said = capfd.readouterr().err
    assert (
        "OPENAI_BASE_URL is https://two.example/v1, but this run asks"
        " https://one.example/v1"
    ) in said
    assert stage.given("work")["changes"].base_url is None


def test_a_resume_announces_the_limits_it_was_told_anew(
    stage: Stage, capfd: Captured
) -> None:
    stage.config = a_config(pacing=Pacing(rpm=100, tpm=5_000, limit=3))
    main(["resume", "--rpm", "700", "--base-url", "http://api.example.com/v1"])
    said = capfd.readouterr().err
    assert "700 requests/min, 5,000 tokens/min" in said
    assert "(--limit)" not in said
    assert "http://api.example.com/v1 is not encrypted" in said


class _Keyboard:
    """A terminal at which somebody types."""

    def __init__(self, typed: str) -> None:
        self._typed = typed

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._typed


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    def sit_down(typed: str) -> None:
        monkeypatch.setattr("sys.stdin", _Keyboard(typed))
        monkeypatch.setattr("runner.cli.sending._is_terminal", lambda _: True)

    return sit_down


@pytest.mark.parametrize(("typed", "is_started"), [("y\n", True), ("\n", False)])
def test_before_a_run_that_may_cost_much_a_person_is_asked(
    stage: Stage, capfd: Captured, at_terminal: Any, typed: str, is_started: bool
) -> None:
    at_terminal(typed)
    stage.plan = a_plan(worst_usd=Decimal("164.2"))
    code = main(START)
    said = capfd.readouterr().err
    assert "cost at most $164.20" in said
    assert "--max-cost" in said
    assert is_started == ("start" in [what for what, _ in stage.told])
    assert (130 if is_started else 2) == code


@pytest.mark.parametrize(
    ("options", "worst_usd"),
    [
        (["--yes"], Decimal(1_000)),
        (["--max-cost", "5"], Decimal(1_000)),
        (["--simulate"], Decimal(1_000)),
        ([], Decimal(10)),
        ([], None),
    ],
)
def test_nobody_is_asked_where_it_is_answered_or_cheap(
    stage: Stage, at_terminal: Any, options: list[str], worst_usd: Decimal | None
) -> None:
    at_terminal("\n")
    stage.plan = a_plan(worst_usd=worst_usd)
    main([*START, *options])
    assert "work" in [what for what, _ in stage.told]


def test_a_script_is_never_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage.plan = a_plan(worst_usd=Decimal(1_000))
    with (tmp_path / "empty").open("w+") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        main(START)
    assert ["start", "work"] == [what for what, _ in stage.told]


def test_a_key_is_asked_for_on_a_terminal_without_echo(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr("sys.stdin", _Keyboard(""))
    monkeypatch.setattr("getpass.getpass", lambda _: f"{KEY}\n")
    main([*START, "--yes"])
    assert KEY == stage.given("work")["api_key"]
    assert KEY not in "".join(capfd.readouterr())


def test_a_limit_of_dollars_is_said_before(stage: Stage, capfd: Captured) -> None:
    main([*START, "--max-cost", "5"])
    assert "at most $5.00" in capfd.readouterr().err
    assert Pacing(max_cost_usd=Decimal(5)) == stage.given("start")["config"].pacing


def test_a_file_this_account_may_not_read_is_told_where_items_are_read(
    stage: Stage, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("articles.jsonl").write_text('{"text": "a"}\n')
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    stage.raises_in = "start"
    stage.raises = ItemFileError("articles.jsonl cannot be read", "check the file")
    assert 2 == main(START)
    assert "runner: articles.jsonl cannot be read: check the file\n" == (
        capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("counts", "options"),
    [
        ({"invalid": 1}, "--retry-invalid"),
        ({"failed": 2}, "--retry-failed"),
        ({"invalid": 1, "failed": 2}, "--retry-invalid --retry-failed"),
        ({}, None),
    ],
)
def test_a_finish_with_items_that_have_no_valid_answer_says_how_to_ask_them_again(
    stage: Stage, capfd: Captured, counts: dict[str, Any], options: str | None
) -> None:
    stage.finish = a_finish(None, summary=replace(a_summary(), **counts))
    main(START)
    said = capfd.readouterr().err
    assert (options is not None) == ("ask them again" in said)
    if options:
        asked = f"ask them again   runner resume articles {options} (new requests)\n"
        assert asked in said
        assert "why one of them  runner show articles line:N\n" in said
    assert ("a better rule    runner rejudge articles (free" in said) == (
        "invalid" in counts
    )
