"""What a caller of the library says of the key is checked as the command line does."""

from typing import Any

import pytest
from session_stage import KEY, Stage

from runner.api import Run, run
from runner.errors import UsageError
from runner.exit_codes import exit_code

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"api_key": "two words", "base_url": URL}, "spaces, control or non-ASCII"),
        ({"api_key": "", "base_url": URL}, "the API key is empty"),
        (
            {"api_key": KEY, "base_url": f"{URL}/{KEY}"},
            "the base URL holds the API key",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_before_anything_is_stored(
    stage: Stage, told: dict[str, Any], words: str
) -> None:
    stage.write_items("a")
    with pytest.raises(UsageError, match=words):
        run(
            stage.items_path,
            prompt="{{text}}",
            model="m",
            state_dir=stage.state_dir,
            **told,
        )
    assert not stage.state_dir.exists()


@pytest.mark.parametrize("told", [{"base_url": 5}, {"api_key_env": 5}])
def test_a_value_of_another_kind_is_named_before_the_key_is_looked_for(
    stage: Stage, told: dict[str, Any]
) -> None:
    stage.write_items("a")
    with pytest.raises(UsageError, match=rf"{next(iter(told))} wants text.*got 5"):
        run(stage.items_path, prompt="{{text}}", model="m", api_key=KEY, **told)


def test_a_line_end_after_the_key_is_none_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(
        "runner.api.work", lambda *_, api_key, **__: heard.append(api_key)
    )
    stage.start("a")
    stage.run.work(api_key=f"{KEY}\n")
    assert heard == [KEY]


def test_a_run_that_has_nothing_left_to_ask_needs_no_key(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files can be written in the morning."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    stage.start("a")
    stage.session()

    finish = Run.open("items", stage.state_dir).work()

    assert finish.nothing_left
    assert exit_code(finish) == 0


def test_one_is_needed_where_something_may_be_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    stage.start("a")
    with pytest.raises(UsageError, match="no API key"):
        stage.run.work()
    stage.session()
    with pytest.raises(UsageError, match="no API key"):
        stage.run.work(accept_changes=True)
