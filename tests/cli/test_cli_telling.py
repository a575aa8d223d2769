"""What the library is told: every option ends up where it belongs."""

import dataclasses
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_builders import RAW, a_config, a_finish, a_status
from cli_stage import KEY, Stage

from runner.api_records import Changes
from runner.cli import main
from runner.cli.app import app
from runner.cli.grouping import GroupedCommand
from runner.config import Format, Pacing, Price, Service
from runner.records import Endpoint
from runner.run_status import RunState

START = ["start", "articles.jsonl", "--prompt", "{{text}}", "--model", "gpt-x"]
_PRICE = Price(
    input_usd=Decimal("1.5"), cached_input_usd=Decimal("0.5"), output_usd=Decimal(10)
)
_PACE = [
    *("--rpm", "500", "--tpm", "200_000", "--workers", "3", "--threads", "64"),
    *("--max-requests", "2", "--timeout", "2m", "--max-cost", "5"),
    *("--give-up-after", "6h", "--min-free", "2GiB", "--limit", "10"),
]
_PACED: dict[str, Any] = {
    "rpm": 500,
    "tpm": 200_000,
    "workers": 3,
    "threads": 64,
    "max_requests": 2,
    "timeout_s": 120.0,
    "max_cost_usd": Decimal(5),
    "give_up_after_s": 21_600.0,
    "min_free_bytes": 2 << 30,
    "limit": 10,
}


def test_every_option_of_a_start_reaches_the_config(stage: Stage) -> None:
    arguments = [
        *("start", "articles.jsonl", "--task", "t.py", "--system", "Be {{mood}}"),
        *("--id-field", "key", "--on-bad-line", "skip", "--schema", "s.json"),
        *("--valid-regex", "^y", "--choices", "yes,no", "--reask-truncated"),
        *("--model", "gpt-x", "--base-url", "http://localhost:8000/v1"),
        *("--endpoint", "responses", "--param", "temperature=0.2", "--param", "n=1"),
        *("--price", "gpt-x=1.5,0.5,10", "--api-key-env", "MY_KEY"),
        *("--out", "there/out.jsonl", "--overwrite", "--result-key", "answer"),
        *("--state-dir", "runs", "--name", "night", "--new"),
        *_PACE,
    ]
    os.environ["MY_KEY"] = KEY
    try:
        main(arguments)
    finally:
        del os.environ["MY_KEY"]
    given = stage.given("start")
    config = given["config"]
    assert ("night", Path("runs"), True) == (
        given["name"],
        given["state_dir"],
        given["new"],
    )
    assert (Path("articles.jsonl"), "key", "skip") == (
        config.items_path,
        config.id_field,
        config.on_bad_line,
    )
    assert Pacing(**_PACED) == config.pacing
    task = config.task
    assert (None, None, Path("t.py"), "Be {{mood}}") == (
        task.prompt,
        task.prompt_path,
        task.task_path,
        task.system,
    )
    assert (Path("s.json"), "^y", ("yes", "no"), True) == (
        task.schema_path,
        task.valid_regex,
        task.choices,
        task.reask_truncated,
    )
    assert ("gpt-x", Endpoint.RESPONSES, {"temperature": 0.2, "n": 1}) == (
        task.model,
        task.endpoint,
        task.params,
    )
    assert (
        Service(
            base_url="http://localhost:8000/v1",
            prices={"gpt-x": _PRICE},
            api_key_env="MY_KEY",
        )
        == config.service
    )
    output = config.output
    assert (Path("there/out.jsonl"), Path("there/out_summary.json")) == (
        output.processed_path,
        output.summary_path,
    )
    assert ("answer", True) == (output.result_key, output.overwrite)
    assert KEY == stage.given("work")["api_key"]


def test_a_start_without_options_leaves_every_default_to_the_config(
    stage: Stage,
) -> None:
    main(START)
    config = stage.given("start")["config"]
    assert (Pacing(), Service(), "stop") == (
        config.pacing,
        config.service,
        config.on_bad_line,
    )
    assert stage.given("start")["name"] is None
    assert Path("state") == stage.given("start")["state_dir"]
    work = stage.given("work")
    assert {"api_key", "on_status", "on_progress"} == work.keys()


def test_the_base_url_comes_from_the_option_then_the_environment(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    main(START)
    assert "http://localhost:1/v1" == stage.given("start")["config"].service.base_url
    main([*START, "--base-url", "http://localhost:2/v1"])
    assert "http://localhost:2/v1" == stage.given("start")["config"].service.base_url


def test_a_simulated_run_needs_no_key(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    main([*START, "--simulate"])
    assert "" == stage.given("start")["config"].service.scenario
    assert "simulated" == stage.given("work")["api_key"]
    main([*START, "--scenario", "latency=0.1"])
    assert "latency=0.1" == stage.given("start")["config"].service.scenario


def test_without_the_extra_a_simulated_run_says_what_to_install(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert 2 == main([*START, "--simulate"])
    assert "pip install aiohttp" in capfd.readouterr().err


def test_every_option_of_a_resume_reaches_the_changes(stage: Stage) -> None:
    stage.config = a_config()
    code = main(
        [
            *("resume", "articles", "--accept-changes", "--retry-failed"),
            *("--retry-invalid", "--prompt-file", "p.txt", "--system", "s"),
            *("--schema", "s.json", "--valid-regex", "^y", "--choices", "yes,no"),
            *("--reask-truncated", "--model", "gpt-y", "--endpoint", "embeddings"),
            *("--base-url", "http://localhost/v1", "--param", "seed=1"),
            *("--price", "gpt-y=1.5,0.5,10"),
            *("--items", "moved/items.jsonl", "--out", "moved/answers.jsonl"),
            *_PACE,
        ]
    )
    assert 130 == code
    work = stage.given("work")
    assert (True, True, True) == (
        work["accept_changes"],
        work["retry_failed"],
        work["retry_invalid"],
    )
    assert (
        Changes(
            **_PACED,
            prompt_path=Path("p.txt"),
            system="s",
            schema_path=Path("s.json"),
            valid_regex="^y",
            choices=("yes", "no"),
            reask_truncated=True,
            model="gpt-y",
            endpoint=Endpoint.EMBEDDINGS,
            base_url="http://localhost/v1",
            params={"seed": 1},
            prices={"gpt-y": _PRICE},
            items_path=Path("moved/items.jsonl"),
            processed_path=Path("moved/answers.jsonl"),
        )
        == work["changes"]
    )


def test_a_resume_without_options_changes_nothing(stage: Stage) -> None:
    stage.config = a_config()
    main(["resume"])
    assert stage.given("open")["name"] is None
    work = stage.given("work")
    assert Changes() == work["changes"]
    assert (False, False, False) == (
        work["accept_changes"],
        work["retry_failed"],
        work["retry_invalid"],
    )


def test_a_resume_looks_for_the_key_where_the_start_did_unless_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.config = a_config(service=Service(api_key_env="FIRST_KEY"))
    monkeypatch.setenv("FIRST_KEY", "first-key")
    monkeypatch.setenv("OTHER_KEY", "other-key")
    main(["resume"])
    assert "first-key" == stage.given("work")["api_key"]
    main(["resume", "--api-key-env", "OTHER_KEY"])
    assert "other-key" == stage.given("work")["api_key"]


def test_export_rejudge_and_show_tell_what_they_were_told(
    stage: Stage, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stage.config = a_config()
    assert 0 == main(
        ["export", "articles", "--out", "o.jsonl", "--format", "batch", "--overwrite"]
    )
    export = stage.given("export")
    assert (Path("o.jsonl"), Format.BATCH, True) == (
        export["processed_path"],
        export["format"],
        export["overwrite"],
    )
    assert 0 == main(["rejudge", "--task", "t.py", "--choices", "a,b"])
    assert (
        Changes(task_path=Path("t.py"), choices=("a", "b"))
        == stage.given("rejudge")["changes"]
    )
    said = capfdbinary.readouterr().out.decode()
    for words in (
        "12 stored answers judged",
        "3 items became valid",
        "42 items have another answer",
    ):
        assert words in said
    assert 0 == main(["show", "articles", "a-1", "--raw"])
    assert RAW == capfdbinary.readouterr().out
    assert 0 == main(["show", "articles", "a-1", "--attempt", "1", "--raw"])
    assert b"first" == capfdbinary.readouterr().out
    assert 0 == main(["show", "line:1"])
    assert b"\x1b" not in capfdbinary.readouterr().out
    assert 2 == main(["show", "articles", "a-1", "--attempt", "3"])


def test_stop_waits_until_the_run_has_drained(
    stage: Stage, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.cli.writing._LOOK_S", 0.0)
    stage.is_running = True
    draining = a_status(state=RunState.DRAINING, in_flight=3)
    stage.statuses = [draining, draining, a_status()]
    assert 0 == main(["stop"])
    assert "stopped by Ctrl-C" in capfd.readouterr().out
    assert [a_status()] == stage.statuses


def test_stopping_what_does_not_run_says_so(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 0 == main(["stop", "articles"])
    assert "no session is at work on run articles" in capfd.readouterr().out


def test_simulate_hands_all_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda *told: executed.append(told))
    main(["simulate", "--port", "8000", "--scenario", "latency=1", "--help"])
    command = [sys.executable, "-m", "runner.simulator", "--port", "8000"]
    assert [
        (sys.executable, [*command, "--scenario", "latency=1", "--help"])
    ] == executed


def test_every_pacing_field_is_an_option_of_start_and_resume(stage: Stage) -> None:
    """No option is forgotten when a field is added: max_failures is not the user's."""
    fields = {f.name for f in dataclasses.fields(Pacing)} - {"max_failures"}
    assert _PACED.keys() == fields


def test_every_option_says_in_the_help_what_it_does() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # a group
        if not isinstance(command, GroupedCommand):
            continue
        assert command.help, name
        silent = [p.name for p in command.params if not (p.help or p.hidden)]  # type: ignore[attr-defined]  # options
        assert [] == silent, name


def test_help_shows_defaults_where_a_run_begins_and_none_on_a_resume(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert 0 == main(["start", "--help"])
    assert "(default 4)" in " ".join(capfd.readouterr().out.split())
    assert 0 == main(["resume", "--help"])
    shown = capfd.readouterr().out
    assert "(default" not in shown
    for heading in ("How fast:", "How long:", "What is valid:", "Whom to ask:"):
        assert heading in shown
    assert "--api-key " not in shown


def test_the_finish_decides_the_exit_code(stage: Stage) -> None:
    stage.finish = a_finish(None)
    assert 0 == main(START)
