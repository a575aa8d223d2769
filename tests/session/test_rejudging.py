"""A new rule over what is stored: nothing is sent, nothing paid for is left out."""

from pathlib import Path

import pytest
from session_stage import KEY, Script, Stage, valid_but

from runner.api_records import Changes
from runner.config import TaskSpec
from runner.records import OutcomeState


def test_an_answer_of_an_item_whose_workers_died_is_judged_too(stage: Stage) -> None:
    """It was the rule that killed them; mended, the answer that was paid for counts."""
    stage.start("a", "b", "c")
    stage.session(Script(states=valid_but(1, state=OutcomeState.FAILED)))
    assert stage.states()[1] is OutcomeState.FAILED

    done = stage.run.rejudge(Changes(valid_regex="row"))

    assert (done.judged, done.changed_to_valid) == (3, 1)
    assert set(stage.states()) == {OutcomeState.VALID}
    assert stage.outcomes()[1].answer == (1, 1)
    assert stage.run.verify().is_sound


def test_what_a_rule_says_when_it_raises_does_not_show_the_key(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reasons are stored, exported and shown."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY[3:])
    task = tmp_path / "mine.py"
    source = "def get_prompt(item): return item['text']\n"
    task.write_text(source)
    spec = TaskSpec(task_path=task, model="gpt-4o-mini")
    stage.start("a", task=spec)
    stage.session()
    task.write_text(
        f"{source}import os\n"
        "def is_response_valid(text): raise ValueError(os.environ['OPENAI_API_KEY'])\n"
    )

    stage.run.rejudge()

    assert "ValueError: [redacted]" in (stage.outcomes()[0].reason or "")
