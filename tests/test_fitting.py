"""Wrong values and names at the library's door: one line, before anything is read."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runner import Run, run
from runner.api_records import Changes
from runner.config import RunConfig, TaskSpec, default_output
from runner.engines import _ENGINES
from runner.errors import TaskError, UsageError
from runner.fitting import at_the_door

ASK: dict[str, Any] = {"prompt": "{{text}}", "model": "m", "scenario": "latency=0"}


def test_the_task_file_may_be_named_as_the_field_is(tmp_path: Path) -> None:
    """It was left out without a word, and "nothing says what to ask"."""
    items = tmp_path / "items.jsonl"
    items.write_text('{"id": 1}\n')
    for name in ("task", "task_path"):
        told: dict[str, Any] = {name: tmp_path / "gone.py", "state_dir": tmp_path}
        with pytest.raises(TaskError, match=r"gone\.py"):
            run(items, model="m", scenario="", **told)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"choices": "yes,no"}, "choices wants a tuple of texts that differ, for"),
        ({"choices": ("a", "a")}, "got ('a', 'a') (tuple)"),
        ({"choices": ("yes", "")}, "choices wants"),
        ({"rpm": "60"}, "rpm wants a whole number, got '60' (str)"),
        ({"rpm": 0}, "rpm wants a whole number from 1 to 1,000,000,000, got 0 (int)"),
        ({"tpm": True}, "tpm wants a whole number, got True (bool)"),
        ({"workers": 2.0}, "workers wants a whole number from 1 to 512"),
        ({"timeout_s": float("nan")}, "timeout_s wants seconds from 1 to 86,400"),
        ({"max_cost_usd": -1}, "max_cost_usd wants an amount of US dollars above 0"),
        ({"max_cost_usd": "5"}, "max_cost_usd wants an amount of US dollars"),
        ({"prompt": " "}, "prompt wants text that is not empty"),
        ({"schema_path": 5}, "schema_path wants a path, got 5 (int)"),
        ({"params": {"a": object()}}, "params wants what JSON can say"),
        ({"params": {"a": float("inf")}}, "params wants what JSON can say"),
        ({"endpoint": "chatt"}, "endpoint wants one of 'chat', 'responses'"),
        ({"engine": "remote"}, "engine wants one of 'local', 'inline'"),
        ({"on_bad_line": "go"}, "on_bad_line wants one of 'stop', 'skip'"),
        ({"prices": {"gpt-x": 5}}, "gpt-x wants a Price"),
        ({"new": "no"}, "new wants True or False"),
        ({"name": 5}, "name wants text"),
        ({"on_status": 4}, "on_status wants something to call"),
        ({"modle": "x"}, "run() knows no modle: did you mean model?"),
        ({"max_cost": 5}, "did you mean max_cost_usd?"),
        ({"rpm": 0.5, "workers": "two"}, "rpm wants a whole number, got 0.5 (float)"),
    ],
)
def test_a_wrong_value_or_name_is_one_line_and_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items.jsonl").write_text('{"id": 1, "text": "a"}\n')
    with pytest.raises(UsageError) as refused:
        run("items.jsonl", **{**ASK, **told})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert ["items.jsonl"] == [path.name for path in tmp_path.iterdir()]


def test_all_misfits_of_a_record_are_told_at_once() -> None:
    changes = Changes(rpm=0, timeout_s="soon", choices="yes")  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(UsageError) as refused:
        _told(changes)
    for name in ("rpm wants", "timeout_s wants", "choices wants"):
        assert name in str(refused.value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Run.open(5), "name wants text"),  # type: ignore[arg-type]  # a mistake
        (lambda: Run.open(stat_dir="x"), "did you mean state_dir?"),  # type: ignore[call-arg]  # a mistake
        (run, "missing a required argument: 'items'"),
        (lambda: run(b"items.jsonl"), "items wants text or a path"),  # type: ignore[arg-type]  # a mistake
        (lambda: Run.plan({"model": "m"}), "config wants a RunConfig"),  # type: ignore[arg-type]  # a mistake
    ],
)
def test_every_call_of_the_library_looks_at_its_arguments(
    call: Callable[[], object], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        call()
    assert says in str(refused.value)


def test_a_key_of_the_wrong_type_is_not_shown() -> None:
    with pytest.raises(UsageError) as refused:
        run("items.jsonl", **ASK, api_key=b"sk-0123456789")  # type: ignore[arg-type]  # a mistake
    assert "api_key wants text, got bytes" in str(refused.value)
    assert "0123" not in str(refused.value)


def test_what_is_meant_beyond_doubt_is_taken() -> None:
    items = "items.jsonl"
    config = RunConfig(
        items_path=items,  # type: ignore[arg-type]  # a str is meant as a path
        task=TaskSpec(
            choices=["yes", "no"],  # type: ignore[arg-type]  # as a tuple
            endpoint="responses",  # type: ignore[arg-type]  # as an Endpoint
        ),
        output=default_output(Path(items)),
    )
    fitted, changes = _told(config), _told(Changes(max_cost_usd=0.1, timeout_s=30))  # type: ignore[arg-type]  # as dollars
    assert fitted == RunConfig(
        items_path=Path(items),
        task=TaskSpec(choices=("yes", "no"), endpoint=fitted.task.endpoint),
        output=default_output(Path(items)),
    )
    assert "Endpoint" == type(fitted.task.endpoint).__name__
    assert (Decimal("0.1"), 30.0) == (changes.max_cost_usd, changes.timeout_s)


def test_all_engines_there_are_may_be_named() -> None:
    for engine in _ENGINES:
        config = RunConfig(
            items_path=Path("i.jsonl"),
            task=TaskSpec(),
            output=default_output(Path("i.jsonl")),
            engine=engine,
        )
        assert engine == _told(config).engine


def _told(record: Any) -> Any:
    """What a call receives that was given this record."""

    @at_the_door
    def configured(told: RunConfig | Changes) -> RunConfig | Changes:
        return told

    return configured(record)
